"""One ModelDeployment as people look at it: raw objects in, a frozen view out. Draws nothing, asks nobody."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fairway.cli.tracks import TrackView, tracks_of
from fairway.cli.words import condition, dig, epoch, safe

Raw = Mapping[str, Any]
NORMAL = ("Ready", "UpToDate", "RouteReady", "ScalingReady", "MetricsReady")
SILENT = ("Reconciling", "RolledBack")
"""Conditions that say nothing which phase and message do not."""


@dataclass(frozen=True, slots=True)
class StepView:
    """One step of the open run: ``state`` is done, now or next."""

    number: int
    what: str
    state: str


@dataclass(frozen=True, slots=True)
class RunView:
    """The open run: where it is, what it waits for, and until when (RFC 3339)."""

    id: str
    progress: str
    waiting_for: str
    deadline: str | None
    started_at: str | None
    steps: tuple[StepView, ...] = ()


@dataclass(frozen=True, slots=True)
class ObjectiveView:
    """One promise and what the samples say about it."""

    name: str
    state: str
    value: str
    stable: str
    limit: str
    evidence: str
    requests: int
    message: str = ""


@dataclass(frozen=True, slots=True)
class View:
    """Everything that ``status`` shows."""

    namespace: str
    name: str
    asked: str
    phase: str
    message: str
    url: str = ""
    tracks: tuple[TrackView, ...] = ()
    run: RunView | None = None
    verdict: str = ""
    judged_at: str | None = None
    objectives: tuple[ObjectiveView, ...] = ()
    troubles: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    """What is not shown for want of a right."""
    hint: str = ""


def view(model: Raw, pods: Sequence[Raw] | None, route: Raw | None) -> View:
    """Build the view. ``pods`` is None where they may not be listed; ``route`` where it may not be read."""
    meta, status = model["metadata"], model.get("status") or {}
    verdict = status.get("verdict") or {}
    unseen = not status or status.get("observedGeneration", 0) < meta.get("generation", 0)
    return View(
        namespace=meta.get("namespace", ""),
        name=meta["name"],
        asked=safe(dig(model, "spec.model.version")),
        phase=safe(status.get("phase")) or "Pending",
        message=safe(status.get("message")) or "the operator has not looked at it yet: does it run?",
        url=safe(status.get("url")),
        tracks=tuple(tracks_of(meta["name"], status, pods, route)),
        run=_run(status.get("run")),
        verdict=safe(verdict.get("state")),
        judged_at=verdict.get("at"),
        objectives=tuple(_objective(entry) for entry in verdict.get("objectives") or ()),
        troubles=tuple(_troubles(status, unseen=unseen)),
        hint=hint(meta["name"], status),
    )


def _run(run: Raw | None) -> RunView | None:
    if not run:
        return None
    at, plan = run.get("step", 0), run.get("plan") or ()
    what = [_step(step) for step in plan]
    steps = [StepView(i + 1, words, _state(i, at)) for i, words in enumerate([*what, "100%"])]
    return RunView(
        id=safe(run["id"]),
        progress=safe(run.get("progress")) or f"{at + 1}/{len(steps)}",
        waiting_for=safe(run.get("waitingFor")),
        deadline=run.get("deadline"),
        started_at=run.get("startedAt"),
        steps=tuple(steps),
    )


def _step(step: Raw) -> str:
    if step.get("approval"):
        who = f" by {', '.join(step['approvers'])}" if step.get("approvers") else ""
        return safe(f"approval {step['approval']}{who}")
    length = f" for {step['for']}" if step.get("for") not in (None, "0s") else ""
    return safe(f"{step.get('weight', 0)}%{length}")


def _state(index: int, at: int) -> str:
    return "done" if index < at else "now" if index == at else "next"


def _objective(entry: Raw) -> ObjectiveView:
    return ObjectiveView(
        name=safe(entry.get("name")),
        state=safe(entry.get("state")),
        value=safe(entry.get("value")),
        stable=safe(entry.get("stableValue")),
        limit=safe(entry.get("limit")),
        evidence=safe(entry.get("evidence")),
        requests=entry.get("requests", 0),
        message=safe(entry.get("message")),
    )


def _troubles(status: Raw, *, unseen: bool) -> Iterator[str]:
    if unseen and status:
        yield "the operator has not seen the last edit yet"
    told = safe(status.get("message"))
    for each in status.get("conditions") or ():
        kind, state, message = each["type"], each["status"], safe(each.get("message"))
        wrong = state == "False" if kind in NORMAL else state == "True" and kind not in SILENT
        if wrong and not (message and message in told):
            yield f"{kind}={state} {safe(each.get('reason'))}: {message}"


def hint(name: str, status: Raw) -> str:
    """Return the command that a person may want next, where there is an obvious one."""
    run = status.get("run")
    paused = condition(status, "Paused")
    reason = paused.get("reason", "") if paused.get("status") == "True" else ""
    if run and reason == "ApprovalNeeded":
        return f"fairway approve {name}, or fairway deny {name}"
    if run and reason == "PausedBySpec":
        return f"fairway resume {name}"
    if run and reason:
        return f"fairway promote {name}, or fairway abort {name}"
    if status.get("phase") == "RolledBack":
        return f"fairway why {name}; fairway retry {name} tries it again"
    return ""


def objective_numbers(entry: ObjectiveView) -> str:
    """Write value, stable's value and limit of an objective."""
    slow = entry.value.partition(" ")[2]  # such as "slower than 50ms", which need not be said twice
    stable = entry.stable.removesuffix(f" {slow}") if slow else entry.stable
    beside = f"stable {stable}, " if stable else ""
    return f"{entry.value or 'no value yet'} ({beside}limit {entry.limit})"


def value_of(entry: ObjectiveView) -> float | None:
    """Return the candidate's number of an objective, for plots."""
    number = entry.value.split("%")[0].split(" ")[0]
    try:
        return float(number) if number else None
    except ValueError:
        return None


def judged(shown: View) -> float:
    """When the numbers are from, epoch seconds; 0 for never."""
    return epoch(shown.judged_at) or 0.0
