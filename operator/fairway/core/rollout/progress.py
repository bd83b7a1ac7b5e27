"""The step's own progress: scale, route, observe, leave, promote."""

import math

from fairway.api.status import Former, Hold, Run, Status
from fairway.core import capacity
from fairway.core.desired import backends
from fairway.core.rollout.approval import approved, gate
from fairway.core.rollout.situation import Event, Situation, Transition, carried, history, objectives, retire, split
from fairway.core.showing import verdict_words

DEFAULT_WATCH = 600.0


def advance(s: Situation) -> Transition | None:
    """Move the open run on by at most one stage."""
    run = s.status.run
    if run is None or s.status.candidate is None or run.stage == "RollingBack":
        return None
    if run.stage == "Scaling":
        return _skip(s, run) or _scaled(s, run)
    return _confirmed(s, run) or _observed(s, run)


def _skip(s: Situation, run: Run) -> Transition | None:
    """After promote-full only approvals are left of the plan."""
    if not run.full or run.step >= len(run.plan) or run.plan[run.step].approval:
        return None
    return Transition(s.status.model_copy(update={"run": run.model_copy(update={"step": run.step + 1})}))


def _scaled(s: Situation, run: Run) -> Transition | None:
    """Weight comes only when the pods for it are ready."""
    if s.candidate.ready < capacity.candidate(s.spec, s.status, run):
        return None
    if s.trouble and s.status.stable:
        return None  # no route can carry the weights: the run holds where it is
    if run.step >= len(run.plan):
        return _promote(s, run)
    if run.plan[run.step].approval:
        return _reach_gate(s, run)
    if not s.gateway and _strangers(s):
        return None  # without a router, they would get requests
    candidate = s.status.candidate
    assert candidate is not None
    weight = run.plan[run.step].weight
    baseline = run.crash_baseline if run.first_weight_at else s.candidate.crashes
    observing = run.model_copy(
        update={
            "stage": "Observing",
            "weight": weight,
            "since": s.now,
            "unconfirmed": False,
            "first_weight_at": run.first_weight_at or s.now,
            "crash_baseline": baseline,
            "pull_failing_since": None,
        }
    )
    said = f"{candidate.version} gets {weight}% (step {run.step + 1} of {len(run.plan)}, {s.candidate.ready} ready)"
    return Transition(split(s.status, carried(s, weight), run=observing), (Event("WeightChanged", said),))


def _strangers(s: Situation) -> bool:
    """Whether a third revision has pods, or a Deployment that could make some."""
    ours = {track.revision for track in (s.status.stable, s.status.candidate) if track}
    return any((view.exists or view.present) for revision, view in s.observed.tracks.items() if revision not in ours)


def _reach_gate(s: Situation, run: Run) -> Transition:
    """Wait for a person with the weight as it is; the plan's approvers are told to the policy."""
    step = run.plan[run.step]
    update = {"stage": "Observing", "since": s.now, "unconfirmed": False, "approvers": step.approvers}
    said = f"waiting for the approval {step.approval}"
    after = s.status.model_copy(update={"run": run.model_copy(update=update)})
    return Transition(after, (Event("ApprovalNeeded", f"{run.id}: {said}"),))


def _confirmed(s: Situation, run: Run) -> Transition | None:
    """Time counts only while the router serves our weights: a late answer starts the clock anew."""
    if not s.gateway or s.now < run.since + s.policy.settle or not run.first_weight_at:
        return None
    confirmed = route_confirmed(s)
    if confirmed != run.unconfirmed:
        return None
    update = {"unconfirmed": not confirmed} | ({"since": s.now} if confirmed else {})
    return Transition(s.status.model_copy(update={"run": run.model_copy(update=update)}))


def settled_at(s: Situation) -> float | None:
    """When the router must have taken the weights that were written last; None before the first."""
    status = s.status
    if status.run:
        return status.run.since + s.policy.settle
    return status.history[0].ended_at + s.policy.settle if status.history else None


def route_confirmed(s: Situation) -> bool:
    """Whether the router has accepted the route that carries the stored weights."""
    route = s.observed.route
    return route is not None and route.accepted and route.weights == dict(backends(s.status))


def step_ends(s: Situation, run: Run) -> float:
    """When the current step has been observed for its time; an approval takes none."""
    if run.plan[run.step].approval:
        return run.since
    settle = s.policy.settle if s.gateway else 0.0
    return run.since + settle + run.plan[run.step].for_


def _observed(s: Situation, run: Run) -> Transition | None:
    if run.full and not gate(run):
        return leave(s, run)
    if run.unconfirmed or s.now < step_ends(s, run) or not may_leave(s, run):
        return None
    candidate = s.status.candidate
    if candidate is None or candidate.weight != run.weight:
        return None
    return leave(s, run)


def leave(s: Situation, run: Run) -> Transition:
    """End the current step."""
    onward = run.model_copy(update={"step": run.step + 1, "stage": "Scaling", "since": s.now, "approvers": None})
    return Transition(s.status.model_copy(update={"run": onward}))


def may_leave(s: Situation, run: Run) -> bool:
    """Whether the verdict, or the approval, lets the run go on."""
    if gate(run):
        return approved(run)
    if not objectives(s.spec):
        return True
    reading = s.reading
    return reading is not None and reading.run == run.id and reading.sufficient


def _promote(s: Situation, run: Run) -> Transition | None:
    """Stable and weights change in one transition; the former revision stays warm for the watch window."""
    status, candidate = s.status, s.status.candidate
    assert candidate is not None
    stable = candidate.model_copy(update={"weight": 100, "rejected_reason": None})
    reason = promotion_reason(s, run)
    after = status.model_copy(
        update={
            "stable": stable,
            "candidate": None,
            "run": None,
            "evidence": None,
            "rejected": tuple(each for each in status.rejected if each.revision != candidate.revision),
            "history": history(s, run, candidate, "Promoted", reason),
            "hold": Hold(replicas=s.candidate.replicas, until=s.now + s.policy.hold)
            if capacity.autoscaled(s.spec)
            else None,
        }
    )
    if status.stable is None:
        return Transition(after, (Event("Promoted", f"{candidate.version} serves: it is the first revision"),))
    # Nobody ever returns to a revision that was rejected.
    keep = {"retiring": retire(s, status, status.stable)} if s.returning else _former(s, status, run)
    after = after.model_copy(update=keep)
    said = f"{candidate.version} serves everything, {status.stable.version} is out: {reason}"
    return Transition(after, (Event("Promoted", said),))


def promotion_reason(s: Situation, run: Run) -> str:
    """Why a promotion is right: recorded with it, always."""
    if run.full or run.promoted_step is not None:
        return f"by command; {verdict_words(s.reading)}" if s.reading else "by command"
    if run.reason:
        return {"First": "first revision", "FastReturn": "it served before"}.get(run.reason, run.reason)
    if not objectives(s.spec) or s.reading is None:
        return "no objectives"
    return verdict_words(s.reading)


def watch_seconds(s: Situation) -> float:
    """How long the former revision stays warm after a promotion."""
    asked = s.spec.rollout.watch.for_ if s.spec.rollout and s.spec.rollout.watch else None
    return asked if asked is not None else DEFAULT_WATCH if objectives(s.spec) else 0.0


def _former(s: Situation, status: Status, run: Run) -> dict[str, object]:
    """Return what becomes of the revision that served: it stays warm, or retires where there is no watch window."""
    stable = status.stable
    assert stable is not None
    watch = s.spec.rollout.watch if s.spec.rollout else None
    keep = watch.keep if watch and watch.keep is not None else 1.0
    size, window = s.stable.replicas, watch_seconds(s)
    if window <= 0:
        return {"retiring": retire(s, status, stable)}
    former = Former(
        revision=stable.revision,
        version=stable.version,
        replicas=size,
        kept=max(1, math.ceil(size * keep)) if keep < 1 else None,
        shrinks_at=s.now + s.policy.scale_down_delay if keep < 1 else None,
        run=run.id,
        crash_baseline=s.candidate.crashes,
        promoted_at=s.now,
        until=s.now + window,
    )
    return {"former": former}
