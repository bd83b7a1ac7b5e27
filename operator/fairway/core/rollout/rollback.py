"""Take a revision out: the one transition behind every reason to roll back."""

from fairway.core.rollout.situation import Event, Situation, Transition, history, reject, retire


def roll_back(s: Situation, reason: str, message: str) -> Transition:
    """End the open run: weight 0 at once, candidate rejected, its pods go after the scale-down delay."""
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
            "rejected": reject(s, candidate, reason, message),
            "history": history(s, run, candidate, "RolledBack", f"{reason}: {message}"),
            "retiring": retire(s, status, candidate),
        }
    )
    kept = f"{status.stable.version} keeps serving" if status.stable else "nothing serves"
    return Transition(
        after, (Event("RolledBack", f"{candidate.version} rolled back, {kept}: {message}", warning=True),)
    )


def give_back(s: Situation, reason: str, message: str) -> Transition:
    """Return to the former revision, which is still warm: a breach in the watch window."""
    status, bad, former = s.status, s.status.stable, s.status.former
    assert bad is not None
    assert former is not None
    promoted = next((entry for entry in status.history if entry.run == former.run), None)
    entries = tuple(
        entry.model_copy(update={"outcome": "RolledBack", "ended_at": s.now, "reason": f"{reason}: {message}"})
        if entry is promoted
        else entry
        for entry in status.history
    )
    back = bad.model_copy(
        update={"revision": former.revision, "version": former.version, "weight": 100, "rejected_reason": None}
    )
    after = status.model_copy(
        update={
            "stable": back,
            "candidate": bad.model_copy(update={"weight": 0, "rejected_reason": f"{reason}: {message}"}),
            "former": None,
            "evidence": None,
            "rejected": reject(s, bad, reason, message),
            "history": entries,
            "retiring": retire(s, status, bad),
            "hold": status.hold.model_copy(update={"replicas": former.replicas}) if status.hold else None,
        }
    )
    said = f"{bad.version} rolled back to {former.version} within its watch window: {message}"
    return Transition(after, (Event("RolledBack", said, warning=True),))
