"""What a settled decision looks like from outside: numbers, phase, message, what is waited for."""

from fairway.api.status import HistoryEntry, Phase, Run, Status, Track
from fairway.core import capacity, names
from fairway.core.pods import one_line
from fairway.core.rollout.approval import approval_deadline, gate
from fairway.core.rollout.conditions import conditions
from fairway.core.rollout.deadlines import pull_deadline, ready_deadline, ready_seconds
from fairway.core.rollout.effective import effective
from fairway.core.rollout.progress import step_ends
from fairway.core.rollout.regression import analysed
from fairway.core.rollout.situation import Situation, Transition
from fairway.core.rollout.waiting import pause_reason, told_verdict
from fairway.core.showing import verdict_status
from fairway.core.verdict import Reading

NUMBERS_EVERY = 30.0
TOLD_WITHIN = 10.0


def report(s: Situation, *, moved: bool, owner_uid: str) -> Status:
    """Complete a status with everything that is derived from the world, never decided."""
    due = s.reading is not None and _due(s, s.reading, moved=moved)
    if s.reading is not None and due:
        s = s.after(Transition(s.status.model_copy(update={"verdict": verdict_status(s.reading)})))
    stable, candidate = _count(s, s.status.stable), _count(s, s.status.candidate)
    run = _waiting(s)
    counted = s.status.model_copy(
        update={
            "observed_generation": s.generation,
            "stable": stable,
            "candidate": candidate,
            "run": run,
            "evidence": _checkpoint(s, due=due),
            "url": s.url,
            "effective": effective(s),
            "history": _lineage(s),
            "replicas": stable.replicas if stable else 0,
            "selector": f"{names.OWNER}={owner_uid},{names.REVISION}={stable.revision}" if stable else "",
        }
    )
    phase = _phase(s, counted)
    told = counted.model_copy(update={"phase": phase, "message": one_line(_message(s, counted, phase), 600)})
    return told.model_copy(update={"conditions": conditions(s, told)})


def _lineage(s: Situation) -> tuple[HistoryEntry, ...]:
    """Let the last entry of the asked revision say what the spec says: editing lineage changes history, not pods."""
    entries, model = s.status.history, s.spec.model
    at = next((i for i, entry in enumerate(entries) if entry.revision == s.target.revision), None)
    if at is None or s.unresolved:
        return entries
    commit, data = model.source and model.source.commit, model.data and model.data.version
    told = entries[at].model_copy(update={"commit": commit, "data_version": data})
    return (*entries[:at], told, *entries[at + 1 :])


def _count(s: Situation, track: Track | None) -> Track | None:
    """Count a revision's pods: what it is asked to have, since that is known before its Deployment says so."""
    if track is None:
        return None
    view, asked = s.observed.track(track.revision), capacity.sizes(s.spec, s.status).get(track.revision)
    followed = view.exists and (asked is None or asked.autoscaled or not asked.shrinks)
    replicas = view.replicas if followed else asked.replicas if asked else 0
    return track.model_copy(update={"replicas": replicas, "ready": view.ready})


def _due(s: Situation, fresh: Reading, *, moved: bool) -> bool:
    """Numbers are written with transitions, with a new verdict, and else at most each 30 s."""
    stored = s.status.verdict
    return (
        moved or stored is None or stored.state != verdict_status(fresh).state or fresh.at - stored.at >= NUMBERS_EVERY
    )


def _checkpoint(s: Situation, *, due: bool) -> str | None:
    about = analysed(s.status)
    if about is None:
        return None
    if s.reading is not None and s.reading.run == about and due:
        return s.reading.checkpoint()
    return s.status.evidence


def _waiting(s: Situation) -> Run | None:
    run = s.status.run
    if run is None:
        return None
    needed = capacity.candidate(s.spec, s.status, run)
    deadline = None
    if s.trouble and s.status.stable and run.stage == "Scaling":
        waiting = f"a route: {s.trouble.reason}: {s.trouble.message}"
    elif run.stage == "Scaling":
        cause = s.candidate.cause
        waiting = f"{s.candidate.ready} of {needed} pods ready" + (f": {cause.message}" if cause else "")
        pulling = run.pull_failing_since is not None and cause is not None and cause.permanent
        deadline = pull_deadline(s, run) if pulling else _loading_ends(s, run)
    elif run.stage == "RollingBack":
        waiting = "stable's first ready pod"
    elif gate(run):
        waiting, deadline = f"the approval {run.plan[run.step].approval}", approval_deadline(run)
    elif run.unconfirmed:
        route = s.observed.route
        waiting = f"the route: {route.reason}: {route.message}" if route else "the route"
    elif s.now < step_ends(s, run):
        waiting, deadline = f"step {run.step + 1} of {len(run.plan)} to be observed", step_ends(s, run)
    else:
        state, words = told_verdict(s)
        waiting = f"a verdict: {state}" + (f": {words}" if words else "")
    progress = f"{min(run.step + 1, len(run.plan) + 1)}/{len(run.plan) + 1}"
    return run.model_copy(update={"waiting_for": one_line(waiting, 300), "deadline": deadline, "progress": progress})


def _loading_ends(s: Situation, run: Run) -> float | None:
    """When loading must have ended; until the pods have nodes, as if each got its node at once.

    What has been told stands until it is wrong by more than a few seconds: a write for less would tell nobody anything.
    """
    if s.candidate.unplaced:
        return None
    due = ready_deadline(s, run) or run.since + ready_seconds(s)
    return run.deadline if run.deadline is not None and abs(due - run.deadline) < TOLD_WITHIN else due


def _phase(s: Situation, status: Status) -> Phase:
    if status.stable is None and not s.suspended:
        return "Degraded" if first_is_stuck(s) else "Pending"
    if s.suspended:
        return "Suspended"
    if status.run:
        rolling = status.run.stage == "RollingBack" or (status.refused and status.refused.revision == s.target.revision)
        return "RollingBack" if rolling else "Paused" if pause_reason(s) else "Progressing"
    if status.suspended and not _is_lost(s):
        return "Pending"
    if status.stable is None or status.stable.ready == 0:
        return "Degraded"
    return "RolledBack" if status.refused and status.refused.revision == s.target.revision else "Healthy"


def _is_lost(s: Situation) -> bool:
    """Whether nobody knows any more how the stable revision's pods are made."""
    return s.status.stable is not None and s.status.stable.revision not in s.observed.records


def first_is_stuck(s: Situation) -> bool:
    """Whether the first revision has a trouble that waiting will hardly cure."""
    run, cause = s.status.run, s.candidate.cause
    if run is None or cause is None:
        return False
    due = ready_deadline(s, run)
    return cause.permanent or cause.crashes > 2 or (due is not None and s.now >= due)  # noqa: PLR2004


def _message(s: Situation, status: Status, phase: Phase) -> str:
    stable, candidate, run = status.stable, status.candidate, status.run
    if phase == "Suspended":
        return "suspended: no pods until state is Active again"
    if s.observed.blocked:
        return s.observed.blocked
    if s.unresolved:
        return s.unresolved.message
    if run and candidate:
        share = f"{candidate.version} at {candidate.weight}%" if stable else f"{candidate.version}"
        capped = " (held at 0: no ready pod)" if stable and candidate.weight < run.weight else ""
        held = f" ({pause[1]})" if (pause := pause_reason(s)) else ""
        return f"{share}{capped}, waiting for {run.waiting_for}{held}"
    if phase == "RolledBack" and stable:
        why = next((r for r in status.rejected if r.revision == s.target.revision), None)
        reason = f": {why.reason}: {why.message}" if why else ""
        if stable.revision == s.target.revision:
            return f"{stable.version} serves although it was rejected, as no other could take its place{reason}"
        return f"{stable.version} serves; {s.target.version} was rolled back{reason}"
    if phase == "Degraded" and stable:
        lost = ": its ControllerRevision was deleted" if _is_lost(s) else ""
        return f"{stable.version} has no ready pod" + (f": {s.stable.cause.message}" if s.stable.cause else lost)
    warm = f"; {status.former.version} stays warm until the watch window ends" if status.former else ""
    return f"{stable.version if stable else 'nothing'} serves{warm}"
