"""A step that cannot be left: what a person should know, and what the spec wants done about it."""

from fairway.api.status import Run
from fairway.core.rollout.approval import approved, gate
from fairway.core.rollout.deadlines import schedule_deadline
from fairway.core.rollout.progress import leave, may_leave, step_ends
from fairway.core.rollout.rollback import roll_back
from fairway.core.rollout.situation import Situation, Transition, objectives

PATIENCE = 900.0


def undecided(s: Situation) -> Transition | None:
    """Follow rollout.onUndecided once its time is over. Missing or broken metrics can only pause."""
    run = s.status.run
    if run is None or s.held or not overdue(s, run):
        return None
    asked = s.spec.rollout.on_undecided if s.spec.rollout else None
    then = asked.then if asked else None
    state = s.reading.state if s.reading else "NoData"
    if state not in ("Undecided", "NoTraffic") or then in (None, "Pause"):
        return None
    if then == "Promote":
        return leave(s, run)
    return roll_back(s, state, f"no verdict within {patience(s):.0f} s of the step's end")


def patience(s: Situation) -> float:
    """Seconds after the end of a step in which a verdict is waited for."""
    asked = s.spec.rollout.on_undecided if s.spec.rollout else None
    return asked.after if asked and asked.after is not None else PATIENCE


def overdue(s: Situation, run: Run) -> bool:
    """Whether a verdict should have come by now."""
    observing = run.stage == "Observing" and not run.unconfirmed and not gate(run) and objectives(s.spec)
    return observing and s.now >= step_ends(s, run) + patience(s) and not may_leave(s, run)


def pause_reason(s: Situation) -> tuple[str, str] | None:
    """Why an open run does not move until a person does something: reason and words."""
    run = s.status.run
    if run is None or run.stage == "RollingBack":
        return None
    if s.held and s.paused:
        return "PausedBySpec", "spec.paused holds the run"
    if s.held and s.unresolved:
        return s.unresolved.cause, f"the run is held: {s.unresolved.message}"
    at = gate(run)
    if at is not None and run.stage == "Observing" and not approved(run):
        return "ApprovalNeeded", f"waiting for the approval {at.approval} of {run.id}"
    if s.reading is not None and s.reading.state == "Regressed":
        return "Regressed", "an objective is broken, and rollout.onRegression is Pause"
    if overdue(s, run):
        state = s.reading.state if s.reading else "NoData"
        return state, s.reading.message if s.reading and s.reading.message else "no verdict in time"
    cause = s.candidate.cause
    if cause and cause.trouble in _NO_PLACE and s.now >= schedule_deadline(s, run):
        return _NO_PLACE[cause.trouble], cause.message
    return None


_NO_PLACE = {"Unschedulable": "Unschedulable", "Refused": "PodsRefused"}
"""Trouble that nobody is blamed for -> the reason that it has when it lasts."""
