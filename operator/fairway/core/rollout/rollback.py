"""Take a revision out: the one transition behind every reason to roll back."""

from fairway.api.status import HistoryEntry, Refusal, Track
from fairway.core.rollout.intake import open_run
from fairway.core.rollout.situation import Event, Situation, Target, Transition, history, reject, retire


def roll_back(s: Situation, reason: str, message: str) -> Transition:
    """End the open run: weight 0 at once, candidate rejected, its pods go after the scale-down delay.

    Only where stable has no ready pod and the candidate has, the weight stays until stable has one again.
    """
    candidate = s.status.candidate
    assert candidate is not None
    if candidate.weight and s.candidate.ready and not s.stable.ready:
        return _wait_for_stable(s, reason, message)
    return take_out(s, reason, message)


def take_out(s: Situation, reason: str, message: str) -> Transition:
    """End the open run and reject its candidate, whoever is ready."""
    status, run, candidate = s.status, s.status.run, s.status.candidate
    assert run is not None
    assert candidate is not None
    stable = status.stable.model_copy(update={"weight": 100}) if status.stable else None
    after = status.model_copy(
        update={
            "stable": stable,
            "candidate": candidate.model_copy(update={"weight": 0, "rejected_reason": f"{reason}: {message}"}),
            "run": None,
            "evidence": None,
            "refused": _refusal(s, candidate, run.id),
            "rejected": reject(s, candidate, reason, message),
            "history": history(s, run, candidate, "RolledBack", f"{reason}: {message}"),
            "retiring": retire(s, status, candidate),
        }
    )
    kept = f"{status.stable.version} keeps serving" if status.stable else "nothing serves"
    return Transition(
        after, (Event("RolledBack", f"{candidate.version} rolled back, {kept}: {message}", warning=True),)
    )


def _wait_for_stable(s: Situation, reason: str, message: str) -> Transition:
    run, candidate = s.status.run, s.status.candidate
    assert run is not None
    assert candidate is not None
    update = {"stage": "RollingBack", "end": reason, "end_message": message, "since": s.now}
    said = f"{candidate.version} is to be rolled back as soon as stable has a ready pod: {message}"
    after = s.status.model_copy(update={"run": run.model_copy(update=update)})
    return Transition(after, (Event("RollingBack", said, warning=True),))


def finish(s: Situation) -> Transition | None:
    """End a rollback that waits, once stable takes requests again or the candidate no longer does."""
    run = s.status.run
    if run is None or run.stage != "RollingBack" or (s.candidate.ready and not s.stable.ready):
        return None
    return roll_back(s, run.end or "Regressed", run.end_message or "")


def run_back(s: Situation, target: Target, *, run: str, reason: str, message: str) -> Transition:
    """Replace a bad stable revision by one from before it: without steps, once that has ready capacity."""
    bad = s.status.stable
    assert bad is not None
    opened = open_run(s, target, back=True)
    update = {
        "refused": _refusal(s, bad, run),
        "rejected": reject(s, bad, reason, message),
        "history": _taken_back(s, opened.status.history, run, f"{reason}: {message}"),
    }
    said = f"{bad.version} is to be replaced by {target.version}: {message}"
    events = (Event("RollingBack", said, warning=True), *opened.events)
    return Transition(opened.status.model_copy(update=update), events)


def _taken_back(s: Situation, entries: tuple[HistoryEntry, ...], run: str, why: str) -> tuple[HistoryEntry, ...]:
    """Let a promotion that turned out wrong say so: what was rejected later has not proven itself."""
    update = {"outcome": "RolledBack", "ended_at": s.now, "reason": why}
    return tuple(
        entry.model_copy(update=update) if (entry.run, entry.outcome) == (run, "Promoted") else entry
        for entry in entries
    )


def _refusal(s: Situation, bad: Track, run: str) -> Refusal:
    """Refuse the bad revision; but while the spec asks for another one that was refused, that must stay refused."""
    asked = s.status.refused
    return asked if asked and asked.revision == s.target.revision else Refusal(revision=bad.revision, run=run)


def give_back(s: Situation, reason: str, message: str) -> Transition:
    """Return to the former revision, which is still warm: a breach in the watch window.

    Should it have no ready pod just now, it takes over as soon as it has.
    """
    status, bad, former = s.status, s.status.stable, s.status.former
    assert bad is not None
    assert former is not None
    if s.stable.ready and not s.observed.track(former.revision).ready:
        target = Target(former.revision, former.version)
        return run_back(s, target, run=former.run, reason=reason, message=message)
    back = bad.model_copy(
        update={"revision": former.revision, "version": former.version, "weight": 100, "rejected_reason": None}
    )
    after = status.model_copy(
        update={
            "stable": back,
            "candidate": bad.model_copy(update={"weight": 0, "rejected_reason": f"{reason}: {message}"}),
            "former": None,
            "evidence": None,
            "refused": _refusal(s, bad, former.run),
            "rejected": reject(s, bad, reason, message),
            "history": _taken_back(s, status.history, former.run, f"{reason}: {message}"),
            "retiring": retire(s, status, bad),
            "hold": status.hold.model_copy(update={"replicas": former.replicas}) if status.hold else None,
        }
    )
    said = f"{bad.version} rolled back to {former.version} within its watch window: {message}"
    return Transition(after, (Event("RolledBack", said, warning=True),))
