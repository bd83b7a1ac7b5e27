"""A candidate that cannot start or went down: no metrics are needed to see it."""

from fairway.core.rollout.regression import breaches_pause
from fairway.core.rollout.rollback import give_back, roll_back
from fairway.core.rollout.situation import Event, Situation, Transition, carried, split

CRASH_LIMIT = 3


def cannot_run(s: Situation) -> Transition | None:
    """Reject a candidate for its own containers' guilt: crashes. Evictions and lost nodes never count."""
    run, candidate = s.status.run, s.status.candidate
    if run is None or candidate is None or s.status.stable is None or run.stage == "RollingBack":
        return None
    view = s.candidate
    crashes = view.crashes - run.crash_baseline
    all_down = run.first_weight_at is not None and view.all_crashed and crashes > 0
    if not all_down and crashes < CRASH_LIMIT:
        return None
    cause = view.cause.message if view.cause else f"{crashes} crashes"
    return roll_back(s, "Crashed", cause)


def down_in_window(s: Situation) -> Transition | None:
    """Return to the former revision, which is still warm, when every pod of the new one is down by its own fault."""
    former = s.status.former
    if former is None or s.status.run or breaches_pause(s):
        return None
    view = s.stable
    if not view.all_crashed or view.crashes <= former.crash_baseline or not s.observed.track(former.revision).ready:
        return None
    return give_back(s, "Crashed", view.cause.message if view.cause else "all its pods crashed")


def lost_its_pods(s: Situation) -> Transition | None:
    """Weight follows readiness: a revision without ready pods gets nothing while the other has some."""
    run, candidate, stable = s.status.run, s.status.candidate, s.status.stable
    if run is None or candidate is None or stable is None or run.first_weight_at is None or run.stage == "RollingBack":
        return None
    due = carried(s, run.weight)
    if due == candidate.weight:
        return None
    return Transition(split(s.status, due), (_words(s, due, run.weight),))


def _words(s: Situation, due: int, asked: int) -> Event:
    assert s.status.candidate is not None
    assert s.status.stable is not None
    version, stable = s.status.candidate.version, s.status.stable.version
    if due == 0 and asked:
        return Event("CandidateUnavailable", f"{version} has no ready pod: its weight is 0 until it has", warning=True)
    if due != asked:
        said = f"{stable} has no ready pod: everything goes to {version} until it has"
        return Event("StableUnavailable", said, warning=True)
    return Event("WeightRestored", f"{version} has {due}% again")
