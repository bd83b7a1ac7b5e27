"""The end of windows and delays: who no longer needs pods."""

from fairway.api.status import Track
from fairway.core.rollout.situation import Event, Situation, Transition, retire


def window_closed(s: Situation) -> Transition | None:
    """Let the former revision go when the watch window ends without a breach."""
    former = s.status.former
    if former is None or s.now < former.until:
        return None
    track = Track(revision=former.revision, version=former.version)
    after = s.status.model_copy(update={"former": None, "evidence": None, "retiring": retire(s, s.status, track)})
    said = (
        f"the watch window of {s.status.stable.version if s.status.stable else former.version} ended without a breach"
    )
    return Transition(after, (Event("WatchEnded", said),))


def delay_passed(s: Situation) -> Transition | None:
    """Forget a revision whose scale-down delay is over, but never one that a route still points at."""
    routed = s.observed.route.weights if s.observed.route else {}
    gone = [r for r in s.status.retiring if s.now >= r.at and r.revision not in routed]
    if not gone:
        return None
    kept = tuple(r for r in s.status.retiring if r not in gone)
    return Transition(s.status.model_copy(update={"retiring": kept}))


def hold_ended(s: Situation) -> Transition | None:
    """Let the new stable revision shrink to what its load needs."""
    hold = s.status.hold
    if hold is None or s.now < hold.until:
        return None
    return Transition(s.status.model_copy(update={"hold": None}))
