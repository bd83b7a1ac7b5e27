"""A revision is asked for: open the first run, supersede an open one, or return to stable."""

from fairway.api.rollout import ALL
from fairway.api.status import PlanStep, Run, Status, Track
from fairway.core import capacity
from fairway.core.rollout.situation import Event, Situation, Target, Transition, history, objectives, retire

FAST_RETURN = 3
DEFAULT_WEIGHTS = (5, 25, 50)
DEFAULT_STEP = 120.0


def asked_for_another(s: Situation) -> Transition | None:
    """React to a spec whose revision is not the one being served or tried; while nobody knows it, there is nothing."""
    if s.unresolved:
        return None
    status, target = s.status, s.target.revision
    current = status.candidate.revision if status.candidate else None
    if status.run and (current == target or (status.refused and status.refused.revision == target)):
        return None
    if _carried_by_candidate(s) or _on_the_way_back(s):
        return None
    refused = status.refused is not None and status.refused.revision == target
    if status.stable and status.stable.revision == target and not refused:
        return _return_to_stable(s)
    if s.suspended or refused:
        return None
    return open_run(s, s.target)


def _carried_by_candidate(s: Situation) -> bool:
    """Whether only the candidate has ready pods: its run goes on until stable can take the requests back."""
    candidate = s.status.candidate if s.status.run else None
    return bool(candidate and candidate.weight and s.status.stable and s.candidate.ready and not s.stable.ready)


def _on_the_way_back(s: Situation) -> bool:
    """Whether a rejected revision is being replaced: a new one is tried against what comes then, not against that.

    One that finds no place in the cluster may not come at all: it gives way.
    """
    return s.returning and not s.candidate.unplaced


def _return_to_stable(s: Situation) -> Transition | None:
    status = s.status
    if status.candidate is None:
        return _forget_refusal(status)
    assert status.stable is not None
    update = {"candidate": None, "verdict": None, "refused": None}
    after = close_run(s, "the spec returned to the stable revision").model_copy(update=update)
    said = f"the spec asks for {status.stable.version} again: it serves everything, {status.candidate.version} is out"
    return Transition(after, (Event("ReturnedToStable", said),))


def _forget_refusal(status: Status) -> Transition | None:
    """A spec that asks for something else in between may ask for the refused revision again."""
    return Transition(status.model_copy(update={"refused": None})) if status.refused else None


def close_run(s: Situation, reason: str) -> Status:
    """End an open run without a verdict: stable has everything, the candidate's pods keep the scale-down delay."""
    status, run, candidate = s.status, s.status.run, s.status.candidate
    if run is None or candidate is None:
        return status
    update = {
        "stable": status.stable.model_copy(update={"weight": 100}) if status.stable else None,
        "run": None,
        "evidence": None,
        "retiring": retire(s, status, candidate),
        "history": history(s, run, candidate, "Superseded", reason),
    }
    return status.model_copy(update=update)


def open_run(s: Situation, target: Target, *, back: bool = False) -> Transition:
    """Open a run from stable to this revision, without steps if it goes back; one that is open gives way to it."""
    closed = _given_way(s, target)
    status = _close_window(s, closed.status)
    first = status.stable is None
    proven = not first and (back or _proven(s, status, target.revision))
    steps = () if first or proven else plan(s)
    run = Run(
        id=f"run-{status.runs + 1}",
        steps=len(steps),
        since=s.now,
        started_at=s.now,
        plan=steps,
        size=max(s.observed.track(status.stable.revision if status.stable else None).replicas, capacity.floor(s.spec)),
        reason="First" if first else "FastReturn" if proven else None,
    )
    candidate = Track(revision=target.revision, version=target.version, weight=100 if first else 0)
    after = status.model_copy(
        update={
            "candidate": candidate,
            "run": run,
            "runs": status.runs + 1,
            "verdict": None,
            "evidence": None,
            "refused": status.refused if target is not s.target else None,
            "retiring": tuple(r for r in status.retiring if r.revision != target.revision),
        }
    )
    started = Event("RunStarted", _announcement(status, target.version, steps, run))
    return Transition(after, (*closed.events, started))


def _given_way(s: Situation, target: Target) -> Transition:
    """Close the open run, if any, for another one. A first revision that already serves is kept: it is stable now."""
    run, candidate, asked = s.status.run, s.status.candidate, _named(s, target)
    if run is None or candidate is None:
        return Transition(s.status)
    if s.status.stable or not s.candidate.ready:
        return Transition(
            close_run(s, f"{asked} was asked for"), (Event("Superseded", f"{candidate.version} gives way to {asked}"),)
        )
    why = f"it serves, and {asked} was asked for"
    entries = history(s, run, candidate, "Promoted", why)
    kept = s.status.model_copy(update={"stable": candidate, "candidate": None, "run": None, "history": entries})
    return Transition(kept, (Event("Promoted", f"{candidate.version} is the first revision: {why}"),))


def _announcement(status: Status, version: str, plan: tuple[PlanStep, ...], run: Run) -> str:
    if status.stable is None:
        return f"{run.id}: {version} is the first revision, it goes straight to full capacity"
    if run.reason == "FastReturn":
        return f"{run.id}: {version} served before, it takes over from {status.stable.version} without steps"
    steps = [step.approval or f"{step.weight}%" for step in plan]
    way = " -> ".join([*steps, "100%"])
    return f"{run.id}: {version} is tried against {status.stable.version}: {way}"


def _close_window(s: Situation, status: Status) -> Status:
    if status.former is None:
        return status
    former = Track(revision=status.former.revision, version=status.former.version)
    return status.model_copy(update={"former": None, "retiring": retire(s, status, former)})


def _named(s: Situation, target: Target) -> str:
    """Return a version, with the revision where the version alone would not tell two apart."""
    known = [track.version for track in (s.status.stable, s.status.candidate) if track]
    return f"{target.version} ({target.revision})" if target.version in known else target.version


def _proven(s: Situation, status: Status, revision: str) -> bool:
    """Whether the revision is one of the last few that were promoted, and was not rejected since."""
    asked = s.spec.rollout.fast_return if s.spec.rollout else None
    most = FAST_RETURN if asked is None else asked
    if not most:
        return False
    ends = [entry for entry in status.history if entry.outcome in ("Promoted", "RolledBack")]
    promoted = dict.fromkeys(entry.revision for entry in ends if entry.outcome == "Promoted")
    last = next((entry for entry in ends if entry.revision == revision), None)
    return last is not None and last.outcome == "Promoted" and revision in list(promoted)[: most + 1]


def plan(s: Situation) -> tuple[PlanStep, ...]:
    """Pin the steps; the move to 100 is promotion itself and never listed."""
    rollout, judged = s.spec.rollout, objectives(s.spec)
    default = DEFAULT_STEP if judged else 0.0
    steps = rollout.steps if rollout else None
    if steps is None:
        return tuple(PlanStep(weight=weight, for_=default) for weight in DEFAULT_WEIGHTS) if judged else ()
    pinned, weight = [], 0
    for step in steps:
        weight = step.weight or weight
        if step.approval:
            gate = {"approval": step.approval, "approvers": step.approvers, "timeout": step.timeout}
            pinned.append(PlanStep(weight=weight, **gate))
        elif weight < ALL:
            pinned.append(
                PlanStep(weight=weight, for_=default if step.for_ is None else step.for_, replicas=step.replicas)
            )
    return tuple(pinned)
