"""A revision is asked for: open the first run, supersede an open one, or return to stable."""

from fairway.api.status import PlanStep, Run, Status, Track
from fairway.core import capacity
from fairway.core.rollout.situation import Event, Situation, Transition, history, objectives, retire

FAST_RETURN = 3
DEFAULT_WEIGHTS = (5, 25, 50)
DEFAULT_STEP = 120.0


def asked_for_another(s: Situation) -> Transition | None:
    """React to a spec whose revision is not the one being served or tried."""
    status, target = s.status, s.target.revision
    current = status.candidate.revision if status.candidate else None
    if status.run and current == target:
        return None
    if status.stable and status.stable.revision == target:
        return _return_to_stable(s)
    if current == target and status.candidate and status.candidate.rejected_reason:
        return None
    return _open(s)


def _return_to_stable(s: Situation) -> Transition | None:
    status = s.status
    if status.candidate is None:
        return None
    assert status.stable is not None
    after = _close_run(s, "the spec returned to the stable revision")
    stable = status.stable.model_copy(update={"weight": 100})
    after = after.model_copy(update={"stable": stable, "candidate": None, "verdict": None})
    said = f"the spec asks for {status.stable.version} again: it serves everything, {status.candidate.version} is out"
    return Transition(after, (Event("ReturnedToStable", said),))


def _close_run(s: Situation, reason: str) -> Status:
    """End an open run without a verdict; its candidate's pods keep the scale-down delay."""
    status, run, candidate = s.status, s.status.run, s.status.candidate
    if run is None or candidate is None:
        return status
    update = {
        "run": None,
        "evidence": None,
        "retiring": retire(s, status, candidate),
        "history": history(s, run, candidate, "Superseded", reason),
    }
    return status.model_copy(update=update)


def _open(s: Situation) -> Transition:
    target = s.target
    status = _close_run(s, f"{target.version} was asked for")
    events = []
    if s.status.run and s.status.candidate:
        said = f"{s.status.candidate.version} gives way to {target.version}"
        events.append(Event("Superseded", said))
    status = _close_window(s, status)
    first = status.stable is None
    plan = () if first or _proven(status, target.revision) else _plan(s)
    run = Run(
        id=f"run-{status.runs + 1}",
        steps=len(plan),
        since=s.now,
        started_at=s.now,
        plan=plan,
        size=max(s.stable.replicas, capacity.floor(s.spec)),
        reason="First" if first else "FastReturn" if not plan and _proven(status, target.revision) else None,
    )
    candidate = Track(revision=target.revision, version=target.version, weight=100 if first else 0)
    stable = status.stable.model_copy(update={"weight": 100}) if status.stable else None
    after = status.model_copy(
        update={
            "stable": stable,
            "candidate": candidate,
            "run": run,
            "runs": status.runs + 1,
            "verdict": None,
            "evidence": None,
            "retiring": tuple(r for r in status.retiring if r.revision != target.revision),
        }
    )
    events.append(Event("RunStarted", _announcement(status, target.version, plan, run)))
    return Transition(after, tuple(events))


def _announcement(status: Status, version: str, plan: tuple[PlanStep, ...], run: Run) -> str:
    if status.stable is None:
        return f"{run.id}: {version} is the first revision, it goes straight to full capacity"
    if run.reason == "FastReturn":
        return f"{run.id}: {version} served before, it takes over from {status.stable.version} without steps"
    way = " -> ".join(f"{weight}%" for weight in [*(step.weight for step in plan), 100])
    return f"{run.id}: {version} is tried against {status.stable.version}: {way}"


def _close_window(s: Situation, status: Status) -> Status:
    if status.former is None:
        return status
    former = Track(revision=status.former.revision, version=status.former.version)
    return status.model_copy(update={"former": None, "retiring": retire(s, status, former)})


def _proven(status: Status, revision: str) -> bool:
    """Whether the revision is one of the last few that were promoted, and was not rejected since."""
    ends = [entry for entry in status.history if entry.outcome in ("Promoted", "RolledBack")]
    promoted = dict.fromkeys(entry.revision for entry in ends if entry.outcome == "Promoted")
    last = next((entry for entry in ends if entry.revision == revision), None)
    return last is not None and last.outcome == "Promoted" and revision in list(promoted)[: FAST_RETURN + 1]


def _plan(s: Situation) -> tuple[PlanStep, ...]:
    """Pin the steps; the move to 100 is promotion itself and never listed."""
    rollout, judged = s.spec.rollout, objectives(s.spec)
    default = DEFAULT_STEP if judged else 0.0
    steps = rollout.steps if rollout else None
    if steps is None:
        return tuple(PlanStep(weight=weight, for_=default) for weight in DEFAULT_WEIGHTS) if judged else ()
    return tuple(
        PlanStep(weight=step.weight, for_=default if step.for_ is None else step.for_, replicas=step.replicas)
        for step in steps
        if step.weight < 100  # noqa: PLR2004
    )
