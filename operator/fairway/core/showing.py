"""Numbers and reasons in the words that status, Events and logs share."""

from fairway.api.status import ObjectiveStatus, VerdictStatus
from fairway.core.pods import one_line
from fairway.core.verdict import ObjectiveReading, Reading

MOST = 400


def objective_words(objective: ObjectiveReading) -> str:
    """One line: value, stable's value, limit, evidence, requests."""
    value = objective.value or "no value yet"
    beside = f" vs {objective.stable_value} stable" if objective.stable_value else ""
    counted = "" if objective.sureness else f", {objective.requests} requests"
    return f"{objective.name}: {value}{beside} (limit {objective.limit}), {_sureness(objective, 'evidence ')}{counted}"


def _sureness(objective: ObjectiveReading, word: str = "") -> str:
    return objective.sureness or f"{word}10^{objective.log10_evidence:.1f} of 10^{objective.log10_needed:.1f}"


def regression_words(reading: Reading) -> str:
    """Return the objectives that fired, with their numbers."""
    fired = [o.message or objective_words(o) for o in reading.objectives if o.state == "Regressed" and not o.dry_run]
    return one_line("; ".join(fired) or reading.message or "an objective was breached", MOST)


def verdict_words(reading: Reading) -> str:
    """Return the verdict and the numbers behind it."""
    numbers = "; ".join(
        f"{o.name} {o.value or '-'} (limit {o.limit}, {o.sureness or f'{o.requests} requests'})"
        for o in reading.objectives
    )
    state = "Healthy" if reading.sufficient else reading.state
    return one_line(f"{state}: {numbers}" if numbers else f"{state}: {reading.message}", MOST)


def verdict_status(reading: Reading) -> VerdictStatus:
    """Return a reading as status keeps it: enough requests within the limit are as good as a Healthy verdict."""
    return VerdictStatus(
        state="Healthy" if reading.sufficient else reading.state,
        at=reading.at,
        message=one_line(reading.message, MOST),
        cause=reading.cause,
        objectives=tuple(_objective(o) for o in reading.objectives),
    )


def _objective(o: ObjectiveReading) -> ObjectiveStatus:
    return ObjectiveStatus(
        name=o.name,
        state="Healthy" if o.sufficient and o.state == "Undecided" else o.state,
        value=o.value,
        stable_value=o.stable_value,
        limit=o.limit,
        evidence=_sureness(o),
        requests=o.requests,
        message=one_line(o.message, 160) if o.message else None,
    )
