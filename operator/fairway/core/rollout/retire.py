"""The end of windows and delays: who no longer needs pods."""

from fairway.api.status import Track
from fairway.core.rollout.regression import breaches_pause
from fairway.core.rollout.situation import Event, Situation, Transition, retire

RENEWED_EVERY = 5.0
"""A delay that is renewed lasts so many seconds longer, so that a refused write does not cause one after the other."""


def window_closed(s: Situation) -> Transition | None:
    """Let the former revision go when the watch window ends without a breach; not while it may be needed yet."""
    former = s.status.former
    needed = s.stable.replicas > 0 and not s.stable.ready  # a scaler of others may want no pods just now
    if former is None or s.now < former.until or needed:
        return None
    track = Track(revision=former.revision, version=former.version)
    after = s.status.model_copy(update={"former": None, "evidence": None, "retiring": retire(s, s.status, track)})
    whose = s.status.stable.version if s.status.stable else former.version
    # A breach would have ended it, unless that is left to people.
    said = f"the watch window of {whose} ended" + ("" if breaches_pause(s) else " without a breach")
    return Transition(after, (Event("WatchEnded", said),))


def still_reached(s: Situation) -> Transition | None:
    """Count the delay of a revision anew while requests still reach it: a write that takes it out was refused."""
    due = s.now + s.policy.scale_down_delay
    later = due + RENEWED_EVERY
    retiring = tuple(
        each.model_copy(update={"at": later}) if each.at < due and s.observed.reaches(each.revision) else each
        for each in s.status.retiring
    )
    former = s.status.former
    if former and former.shrinks_at is not None and former.shrinks_at < due and s.observed.reaches(former.revision):
        former = former.model_copy(update={"shrinks_at": later})
    if retiring == s.status.retiring and former is s.status.former:
        return None
    return Transition(s.status.model_copy(update={"retiring": retiring, "former": former}))


def kept_warm(s: Situation) -> Transition | None:
    """Leave the former revision what watch.keep says, once its scale-down delay is over."""
    former = s.status.former
    if former is None or former.shrinks_at is None or s.now < former.shrinks_at:
        return None
    return Transition(s.status.model_copy(update={"former": former.model_copy(update={"shrinks_at": None})}))


def delay_passed(s: Situation) -> Transition | None:
    """Forget the revisions whose scale-down delay is over."""
    kept = tuple(each for each in s.status.retiring if s.now < each.at)
    if kept == s.status.retiring:
        return None
    return Transition(s.status.model_copy(update={"retiring": kept}))


def hold_ended(s: Situation) -> Transition | None:
    """Let the new stable revision shrink to what its load needs."""
    hold = s.status.hold
    if hold is None or s.now < hold.until:
        return None
    return Transition(s.status.model_copy(update={"hold": None}))
