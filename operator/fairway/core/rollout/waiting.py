"""A step that cannot be left: what a person should know, and what the spec wants done about it."""

from fairway.api.status import Run
from fairway.core.rollout.approval import approved, gate
from fairway.core.rollout.deadlines import schedule_deadline
from fairway.core.rollout.progress import leave, may_leave, step_ends
from fairway.core.rollout.regression import analysed, breaches_pause
from fairway.core.rollout.rollback import roll_back
from fairway.core.rollout.situation import Event, Situation, Transition, objectives
from fairway.core.showing import regression_words, verdict_status

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
    """Why nothing happens until a person does something about a run, or a breach after it: reason and words."""
    run = s.status.run
    if run is None:
        breached = s.status.former and breaches_pause(s) and told_verdict(s)[0] == "Regressed"
        return _BREACH if breached else None
    return None if run.stage == "RollingBack" else _held_up(s, run)


def _held_up(s: Situation, run: Run) -> tuple[str, str] | None:
    if s.held and s.paused:
        return "PausedBySpec", "spec.paused holds the run"
    if s.held and s.unresolved:
        return s.unresolved.cause, f"the run is held: {s.unresolved.message}"
    at = gate(run)
    if at is not None and run.stage == "Observing" and not approved(run):
        return "ApprovalNeeded", f"waiting for the approval {at.approval} of {run.id}"
    state, words = told_verdict(s)
    if state == "Regressed":
        return "Regressed", "an objective is broken, and rollout.onRegression is Pause"
    if overdue(s, run):
        return state, words or "no verdict in time"
    cause = s.candidate.cause
    if cause and cause.trouble in _NO_PLACE and s.now >= schedule_deadline(s, run):
        return _NO_PLACE[cause.trouble], cause.message
    return None


def told_verdict(s: Situation) -> tuple[str, str]:
    """Return state and words of the verdict as people read it: the words move only with the numbers beside them.

    A new operator goes by what is stored until it has asked for itself.
    """
    about, stored = analysed(s.status), s.status.verdict
    fresh = s.reading if s.reading and s.reading.run == about else None
    if fresh is None:
        return (stored.state, stored.message) if stored and about else ("NoData", "")
    same = stored is not None and stored.state == verdict_status(fresh).state
    return fresh.state, stored.message if stored and same else fresh.message


def told_pause(s: Situation) -> tuple[Event, ...]:
    """Tell once that a person is waited for; the condition of the stored status knows whether that was told."""
    pause = pause_reason(s)
    if pause is None or pause[0] == "ApprovalNeeded" or s.unresolved:
        return ()  # a gate and a spec that cannot be resolved tell of themselves
    if any(c.type == "Paused" and c.status == "True" for c in s.status.conditions):
        return ()
    run, stable = s.status.run, s.status.stable
    who = run.id if run else f"the watch window of {stable.version}" if stable else "the run"
    numbers = f": {regression_words(s.reading)}" if pause[0] == "Regressed" and s.reading else ""
    return (Event("Paused", f"{who} is paused: {pause[1]}{numbers}", warning=pause[0] != "PausedBySpec"),)


_BREACH = "Regressed", "an objective is broken, and rollout.watch.onBreach is Pause"
_NO_PLACE = {"Unschedulable": "Unschedulable", "Refused": "PodsRefused"}
"""Trouble that nobody is blamed for -> the reason that it has when it lasts."""
