"""Separate clocks for pulling and loading; scheduling blames nobody."""

from fairway.api.status import Run
from fairway.api.types import format_duration
from fairway.core import capacity
from fairway.core.rollout.rollback import roll_back
from fairway.core.rollout.situation import Situation, Transition

SCHEDULE = 900.0
PULL = 120.0
READY = 1800.0


def note_failing_pull(s: Situation) -> Transition | None:
    """Note since when its image or model cannot be had, so that a pod that is made anew does not reset the clock."""
    run = s.status.run
    if run is None or run.stage != "Scaling":
        return None
    cause = s.candidate.cause
    failing = cause is not None and cause.trouble in ("Pull", "Fetch")
    if failing == (run.pull_failing_since is not None):
        return None
    noted = run.model_copy(update={"pull_failing_since": s.now if failing else None})
    return Transition(s.status.model_copy(update={"run": noted}))


def passed(s: Situation) -> Transition | None:
    """Reject a candidate whose image or model cannot be had for good, or that did not become ready in time."""
    run = s.status.run
    if run is None or run.stage != "Scaling" or s.status.stable is None:
        return None
    cause = s.candidate.cause
    if run.pull_failing_since is not None and cause and cause.permanent and s.now >= pull_deadline(s, run):
        return roll_back(s, "ImagePull" if cause.trouble == "Pull" else "ModelFetch", cause.message)
    due = ready_deadline(s, run)
    if due is not None and s.now >= due and s.candidate.ready < capacity.candidate(s.spec, s.status, run):
        words = cause.message if cause else "its pods never became ready"
        return roll_back(s, "NotReadyInTime", f"not ready after {format_duration(ready_seconds(s))}: {words}")
    return None


def ready_seconds(s: Situation) -> float:
    """How long loading may take."""
    limits = s.spec.rollout.deadlines if s.spec.rollout else None
    return limits.ready if limits and limits.ready is not None else READY


def ready_deadline(s: Situation, run: Run) -> float | None:
    """When loading must have ended; None while pods wait for a node, or to be let in.

    It counts from the moment when the last pod got its node: a crash loop keeps its pod, so it resets nothing.
    """
    pods = s.candidate.present
    scheduled = [pod.scheduled_at for pod in pods if pod.scheduled_at is not None]
    if not pods or len(scheduled) < len(pods) or s.candidate.unplaced:
        return None
    return max(run.since, *scheduled) + ready_seconds(s)


def pull_deadline(s: Situation, run: Run) -> float:
    """When a permanent failure to pull or fetch rejects."""
    limits = s.spec.rollout.deadlines if s.spec.rollout else None
    patience = limits.pull if limits and limits.pull is not None else PULL
    return (run.pull_failing_since or s.now) + patience


def schedule_deadline(s: Situation, run: Run) -> float:
    """When waiting for a node, or to be let in, is worth a condition."""
    limits = s.spec.rollout.deadlines if s.spec.rollout else None
    return run.since + (limits.schedule if limits and limits.schedule is not None else SCHEDULE)
