"""What people ask for: abort, rollback, retry, promote, promote-full, restart. Each value acts once, on its own run."""

from fairway.api.status import Restart, Track
from fairway.core.commands import Command
from fairway.core.rollout.intake import close_run, open_run
from fairway.core.rollout.rollback import give_back, roll_back, run_back, take_out
from fairway.core.rollout.situation import Event, Situation, Target, Transition, handled


def _about_open_run(s: Situation, name: str) -> Command | None:
    """Return a command of this name that is about the run that is open now."""
    command = s.commands.get(name)
    if command is None or s.status.commands.get(name) == command.mark:
        return None
    return command if s.status.run and s.status.run.id == command.run else None


def _done(transition: Transition, command: Command) -> Transition:
    return Transition(handled(transition.status, command), transition.events)


def abort(s: Situation) -> Transition | None:
    """End the open run: weight 0, candidate rejected."""
    command = _about_open_run(s, "abort")
    if command is None or s.status.stable is None:
        return None
    return _done(roll_back(s, "Aborted", f"{command.run} was aborted"), command)


def rollback(s: Situation) -> Transition | None:
    """Reject the stable revision and return to the one before it: at once while that is warm, else without steps."""
    command = s.commands.get("rollback")
    if command is None or s.status.commands.get("rollback") == command.mark or s.status.run or not s.status.stable:
        return None
    last = next((entry for entry in s.status.history if entry.outcome == "Promoted"), None)
    if last is None or last.run != command.run or last.revision != s.status.stable.revision:
        return None
    words = f"{last.run} was rolled back by command"
    if s.status.former and s.status.former.run == command.run:
        return _done(give_back(s, "RolledBackByCommand", words), command)
    before = next((e for e in s.status.history if e.outcome == "Promoted" and e.revision != last.revision), None)
    if before is None or before.revision not in s.observed.records:
        return None
    target = Target(before.revision, before.version)
    return _done(run_back(s, target, run=last.run, reason="RolledBackByCommand", message=words), command)


def retry(s: Situation) -> Transition | None:
    """Forgive the refused revision and try it again from its first step."""
    command, refused = s.commands.get("retry"), s.status.refused
    if command is None or s.status.commands.get("retry") == command.mark or refused is None:
        return None
    if refused.run != command.run or refused.revision != s.target.revision or s.status.run or s.suspended:
        return None
    forgiven = tuple(entry for entry in s.status.rejected if entry.revision != refused.revision)
    serves = s.status.stable is not None and s.status.stable.revision == refused.revision
    said = Event("ReturnedToStable", f"{s.target.version} was rejected, serves all the same, and is forgiven")
    opened = Transition(s.status, (said,)) if serves else open_run(s, s.target)
    after = opened.status.model_copy(update={"refused": None, "rejected": forgiven})
    return _done(Transition(after, opened.events), command)


def promote(s: Situation) -> Transition | None:
    """End exactly one step, whatever the samples say. An approval is not passed this way."""
    command = _about_open_run(s, "promote")
    run = s.status.run
    if command is None or run is None or run.step + 1 != command.step or run.stage != "Observing":
        return None
    if run.step >= len(run.plan) or run.plan[run.step].approval:
        return None
    onward = run.model_copy(
        update={"step": run.step + 1, "stage": "Scaling", "since": s.now, "promoted_step": run.step}
    )
    after = handled(s.status.model_copy(update={"run": onward}), command)
    said = f"step {command.step} of {command.run} was ended by command"
    return Transition(after, (Event("StepPromoted", said),))


def promote_full(s: Situation) -> Transition | None:
    """Skip the remaining steps and the analysis; capacity and approvals are still waited for."""
    command = _about_open_run(s, "promote-full")
    run = s.status.run
    if command is None or run is None or run.stage == "RollingBack":
        return None
    after = handled(s.status.model_copy(update={"run": run.model_copy(update={"full": True})}), command)
    return Transition(after, (Event("PromotedByCommand", f"{command.run} skips its steps by command"),))


def restart(s: Situation) -> Transition | None:
    """Restart the pods that serve, one after the other; with upgrade-runtime take today's ModelRuntime instead."""
    command, stable = s.commands.get("restart"), s.status.stable
    if command is None or s.status.commands.get("restart") == command.mark or stable is None:
        return None
    if command.upgrade:
        after = s.status.model_copy(update={"chosen": s.upgrade}) if s.upgrade else s.status
        said = "today's ModelRuntime is taken" if s.upgrade else "the ModelRuntime has not changed"
        return Transition(handled(after, command), (Event("RuntimeUpgrade", said),))
    live = [track for track in (stable, s.status.candidate if s.status.run else None) if isinstance(track, Track)]
    asked = tuple(Restart(revision=track.revision, at=command.value) for track in live)
    # The template of a revision that only stays warm must not change either: it would restart when it is needed.
    warm = {s.status.former.revision} if s.status.former else set()
    kept = tuple(r for r in s.status.restarts if r.revision in warm)
    after = s.status.model_copy(update={"restarts": (*kept, *asked)})
    return Transition(handled(after, command), (Event("Restarted", f"{stable.version} restarts pod by pod"),))


def _ended_for_now(s: Situation) -> Transition:
    """End the open run, if any, because its pods go; one that takes a rejected revision out is not forgotten."""
    run = s.status.run
    if run is None or s.returning:
        return Transition(s.status)
    if run.stage == "RollingBack":
        return take_out(s, run.end or "Regressed", run.end_message or "")
    return Transition(close_run(s, "suspended").model_copy(update={"candidate": None}))


def suspend(s: Situation) -> Transition | None:
    """Take all pods away, or let them come back. History, route and revisions stay."""
    if s.suspended == s.status.suspended:
        return None
    if s.suspended:
        ended = _ended_for_now(s)
        after = ended.status.model_copy(update={"suspended": True, "former": None, "retiring": (), "hold": None})
        return Transition(after, (*ended.events, Event("Suspended", "no pods until state is Active again")))
    back = s.status.stable is None or s.stable.ready > 0
    if not back:
        return None
    return Transition(s.status.model_copy(update={"suspended": False}), (Event("Resumed", "it serves again"),))
