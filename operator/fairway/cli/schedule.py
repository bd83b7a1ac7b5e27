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
    seconds: float = 0.0
    because: str = ""
    open: str = ""

    @property
    def pods(self) -> int:
        """Pods of both revisions."""
        return self.stable + self.candidate


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
    found, seen = [], dict.fromkeys((each.name for each in objectives), 0.0)
    deciding = [each for each in objectives if not each.dry_run and each.problem is None]
    for i, step in enumerate(run.plan):
        at = status.model_copy(update={"run": run.model_copy(update={"step": i})})
        size = (_stable(spec, at), capacity.candidate(spec, at, run.model_copy(update={"step": i})))
        if step.approval:
            found.append(Forecast(f"approval {step.approval}", *size, because="a person", open="a person"))
            continue
        length, because = _length(step, deciding, rates, seen)
        needed = "" if any(each.open for each in found) else _untold(deciding, rates, seen)
        because = f"{because}, {needed.partition(' for ')[0]}" if needed else because
        found.append(Forecast(f"{step.weight}%", *size, length + settle, because, needed))
        for each in deciding:
            seen[each.name] += rates.get(each.name, 0.0) * step.weight / 100 * length
    last = status.model_copy(update={"run": run.model_copy(update={"step": len(run.plan)})})
    full = capacity.candidate(spec, last, run.model_copy(update={"step": len(run.plan)}))
    ready = f"{full} ready pods"
    return [*found, Forecast("100%", _stable(spec, last), full, because=ready, open=ready)]


def _stable(spec: ModelDeploymentSpec, status: Status) -> int:
    return capacity.stable_floor(spec, status) if status.stable else 0


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
