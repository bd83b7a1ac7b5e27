"""A spec that cannot be acted on: said plainly, and whatever serves goes on serving."""

from fairway.api.status import Condition, Status
from fairway.core.rollout.situation import Event, Situation


def refused(status: Status, *, generation: int, reason: str, message: str, now: float) -> Status:
    """Return the status of a spec that is not valid or cannot be resolved. Nothing else changes."""
    replaced = ("Stalled", "UpToDate", "Reconciling", *(() if status.stable else ("Ready",)))
    kept = [c for c in status.conditions if c.type not in replaced]
    before = {c.type: c for c in status.conditions}

    def condition(type_: str, state: str) -> Condition:
        old = before.get(type_)
        since = old.last_transition_time if old and old.status == state else float(int(now))
        return Condition.model_validate(
            {
                "type": type_,
                "status": state,
                "reason": reason,
                "message": message,
                "lastTransitionTime": since,
                "observedGeneration": generation,
            }
        )

    told = [condition("UpToDate", "False"), condition("Stalled", "True")]
    if not status.stable:
        told.insert(0, condition("Ready", "False"))
    phase = status.phase if status.stable else "Degraded"
    update = {"observed_generation": generation, "message": message, "conditions": (*kept, *told), "phase": phase}
    return status.model_copy(update=update)


def told_unresolved(s: Situation) -> tuple[Event, ...]:
    """Tell once that no revision can be made of the spec; the condition of the stored status knows what was told."""
    why, old = s.unresolved, next((c for c in s.status.conditions if c.type == "UpToDate"), None)
    if why is None or (old and (old.reason, old.message) == (why.cause, why.message)):
        return ()
    return (Event(why.cause, why.message, warning=True),)
