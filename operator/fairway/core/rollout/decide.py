"""The decision about one ModelDeployment: a chain of concerns, the first that has something to say wins."""

from dataclasses import dataclass

from fairway.api.status import Run, Status
from fairway.core.rollout.approval import approval_deadline, approve, denied, gate, overdue
from fairway.core.rollout.crash import cannot_run, down_in_window, lost_its_pods
from fairway.core.rollout.deadlines import (
    note_failing_pull,
    passed,
    pull_deadline,
    ready_deadline,
    schedule_deadline,
)
from fairway.core.rollout.intake import asked_for_another
from fairway.core.rollout.progress import advance, settled_at, step_ends
from fairway.core.rollout.refused import told_unresolved
from fairway.core.rollout.regression import regressed
from fairway.core.rollout.report import NUMBERS_EVERY, report
from fairway.core.rollout.retire import delay_passed, hold_ended, kept_warm, still_reached, window_closed
from fairway.core.rollout.rollback import finish
from fairway.core.rollout.situation import Concern, Event, Situation, unless_held
from fairway.core.rollout.steering import abort, promote, promote_full, restart, retry, rollback, suspend
from fairway.core.rollout.waiting import patience, told_pause, undecided

CHAIN: tuple[Concern, ...] = (
    suspend,
    finish,
    rollback,
    abort,
    denied,
    cannot_run,
    down_in_window,
    regressed,
    retry,
    asked_for_another,
    note_failing_pull,
    passed,
    overdue,
    lost_its_pods,
    restart,
    approve,
    unless_held(promote),
    unless_held(promote_full),
    unless_held(undecided),
    unless_held(advance),
    window_closed,
    still_reached,
    kept_warm,
    delay_passed,
    hold_ended,
)
"""Order is safety first: what takes weight away comes before anything that gives it."""
MOST_TRANSITIONS = 16


@dataclass(frozen=True, slots=True)
class Decision:
    """The next status, what to tell about it, and when to look again (epoch seconds)."""

    status: Status
    events: tuple[Event, ...] = ()
    wake_at: float | None = None


def decide(s: Situation, *, owner_uid: str) -> Decision:
    """Decide everything that can be decided from one view of the world; weight rises by at most one step."""
    events: list[Event] = []
    stored = s.status
    for _ in range(MOST_TRANSITIONS):
        transition = next((found for concern in CHAIN if (found := concern(s)) is not None), None)
        if transition is None or _rose(stored, s.status):
            break
        events.extend(transition.events)
        s = s.after(transition)
    events.extend((*told_unresolved(s), *told_pause(s)))
    status = report(s, moved=s.status is not stored, owner_uid=owner_uid)
    return Decision(status, tuple(events), s.now if transition else _wake(s))


def _rose(before: Status, after: Status) -> bool:
    """Whether a candidate has got more weight by its plan: the world must see it before it gets any more."""
    weight = before.run.weight if before.run and after.run and before.run.id == after.run.id else 0
    return after.run is not None and after.run.weight > weight


def _wake(s: Situation) -> float | None:
    status = s.status
    times = [retiring.at for retiring in status.retiring]
    if status.former:
        times.extend(at for at in (status.former.until, status.former.shrinks_at) if at is not None)
    if status.hold:
        times.append(status.hold.until)
    if status.run:
        times.extend(_run_wakes(s, status.run))
    elif s.gateway and (settled := settled_at(s)) is not None:
        times.append(settled)
    future = [time for time in times if time > s.now]
    return min(future, default=None)


def _run_wakes(s: Situation, run: Run) -> list[float]:
    return [*_stage_wakes(s, run), *([schedule_deadline(s, run)] if s.candidate.unplaced else [])]


def _stage_wakes(s: Situation, run: Run) -> list[float]:
    if run.stage == "Observing" and gate(run):
        due = approval_deadline(run)
        return [due] if due is not None else []
    if run.stage == "Observing":
        times = [run.since + s.policy.settle, step_ends(s, run), step_ends(s, run) + patience(s)]
        return [*times, s.now + NUMBERS_EVERY] if s.spec.objectives else times
    due = ready_deadline(s, run)
    times = [due] if due is not None else []
    return [*times, pull_deadline(s, run)] if run.pull_failing_since is not None else times
