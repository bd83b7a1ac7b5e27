"""How long each step of a run needs, and how many pods: as far as it can be told beforehand. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from fairway.api.spec import ModelDeploymentSpec
from fairway.api.status import PlanStep, Status
from fairway.core import capacity
from fairway.core.verdict import ObjectivePlan

Rates = Mapping[str, float]
"""Requests a second, all revisions together, of each objective's metric, by the objective's name."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """One step: the seconds that it takes at least, what it waits for, and what nobody can tell the length of."""

    what: str
    stable: int
    candidate: int
    others: int = 0
    """Pods of revisions that are on their way out."""
    seconds: float = 0.0
    because: str = ""
    open: str = ""

    @property
    def pods(self) -> int:
        """Pods of all revisions."""
        return self.stable + self.candidate + self.others


def forecasts(
    spec: ModelDeploymentSpec,
    status: Status,
    objectives: Sequence[ObjectivePlan],
    rates: Rates,
    settle: float,
) -> list[Forecast]:
    """Return every step of the open run and the last move to 100.

    A step lasts its ``for``, and until every deciding objective has seen its minimum of requests over the run so far
    (design: what Healthy asks for at a step's end). The sequential test may need more when errors are near the limit.
    """
    run = status.run
    if run is None:
        return []
    found: list[Forecast] = []
    seen = dict.fromkeys((each.name for each in objectives), 0.0)
    deciding = [each for each in objectives if not each.dry_run and each.problem is None]
    told = False
    for i, step in enumerate(run.plan):
        pods = _pods(spec, status, i)
        if step.approval:
            found.append(Forecast(f"approval {step.approval}", *pods, because="a person", open="a person"))
            continue
        length, because = _length(step, deciding, rates, seen)
        needed = "" if told else _untold(deciding, rates, seen)
        told = told or bool(needed)
        because = f"{because}, {needed.partition(' for ')[0]}" if needed else because
        found.append(Forecast(f"{step.weight}%", *pods, seconds=length + settle, because=because, open=needed))
        for each in deciding:
            seen[each.name] += rates.get(each.name, 0.0) * step.weight / 100 * length
    pods = _pods(spec, status, len(run.plan))
    ready = f"{pods[1]} ready pods"
    return [*found, Forecast("100%", *pods, because=ready, open=ready)]


def _pods(spec: ModelDeploymentSpec, status: Status, step: int) -> tuple[int, int, int]:
    """Return the pods of stable, of the candidate and of all others at a step."""
    run = status.run.model_copy(update={"step": step}) if status.run else None
    sizes = {r: size.replicas for r, size in capacity.sizes(spec, status.model_copy(update={"run": run})).items()}
    stable = sizes.pop(status.stable.revision, 0) if status.stable else 0
    candidate = sizes.pop(status.candidate.revision, 0) if status.candidate else 0
    return stable, candidate, sum(sizes.values())


def _length(
    step: PlanStep, deciding: Sequence[ObjectivePlan], rates: Rates, seen: Mapping[str, float]
) -> tuple[float, str]:
    """Return the seconds that a step takes at the known rates, and what sets them."""
    longest, because = step.for_, "its time"
    for each in deciding:
        rate = rates.get(each.name, 0.0) * step.weight / 100
        if rate > 0 and (each.min_requests - seen[each.name]) / rate > longest:
            longest, because = (
                (each.min_requests - seen[each.name]) / rate,
                f"{each.min_requests} requests for {each.name}",
            )
    return longest, because


def _untold(deciding: Sequence[ObjectivePlan], rates: Rates, seen: Mapping[str, float]) -> str:
    """Return which requests are needed that nobody knows the rate of."""
    needed = [each for each in deciding if rates.get(each.name, 0.0) <= 0 and seen[each.name] < each.min_requests]
    most = max((each.min_requests for each in needed), default=0)
    return f"{most} requests for {', '.join(each.name for each in needed)}" if needed else ""


def shortest(steps: Sequence[Forecast]) -> float:
    """Return the seconds that the run takes at least."""
    return sum(step.seconds for step in steps)


def pods_at_once(steps: Sequence[Forecast]) -> int:
    """Return the most pods that the run has at a time."""
    return max((step.pods for step in steps), default=0)


def unknown(steps: Sequence[Forecast]) -> Iterator[str]:
    """Yield what the length of the run also depends on."""
    yield from (step.open for step in steps if step.open)
