"""Steps that wait for a person."""

from fairway.api.status import Approval, PlanStep, Run
from fairway.core.commands import Command
from fairway.core.rollout.rollback import roll_back
from fairway.core.rollout.situation import Event, Situation, Transition, handled

UNVERIFIED = "unverified"


def gate(run: Run) -> PlanStep | None:
    """Return the approval step that the run is at."""
    at = run.plan[run.step] if run.step < len(run.plan) else None
    return at if at is not None and at.approval else None


def approved(run: Run) -> bool:
    """Whether the approval that the run is at has been given."""
    at = gate(run)
    return at is not None and any(entry.name == at.approval for entry in run.approvals)


def _word(s: Situation, name: str) -> Command | None:
    """Return a person's word about exactly the approval that is waited for; a run that is taken back waits for none."""
    command, run = s.commands.get(name), s.status.run
    if command is None or s.status.commands.get(name) == command.mark or run is None or run.id != command.run:
        return None
    if run.stage == "RollingBack":
        return None
    at = gate(run)
    return command if at is not None and at.approval == command.gate and not approved(run) else None


def _who(s: Situation, command: Command) -> str:
    """Return who gave the word, for people: without the shipped policy anybody may have written any name."""
    return command.by if s.policy.verified else f"{command.by} ({UNVERIFIED})"


def denied(s: Situation) -> Transition | None:
    """Take the candidate out: a person said no."""
    command = _word(s, "deny")
    if command is None or s.status.stable is None:
        return None
    why = f": {command.comment}" if command.comment else ""
    transition = roll_back(s, "Denied", f"{command.gate} was denied by {_who(s, command)}{why}")
    return Transition(handled(transition.status, command), transition.events)


def approve(s: Situation) -> Transition | None:
    """Record that a person said yes: who, when and why."""
    command, run = _word(s, "approve"), s.status.run
    if command is None or run is None:
        return None
    by = command.by if s.policy.verified else UNVERIFIED
    given = Approval(name=command.gate, by=by, via=command.client or None, comment=command.comment, at=s.now)
    after = s.status.model_copy(update={"run": run.model_copy(update={"approvals": (*run.approvals, given)})})
    said = f"{command.gate} was approved by {_who(s, command)}" + (f": {command.comment}" if command.comment else "")
    return Transition(handled(after, command), (Event("Approved", said),))


def overdue(s: Situation) -> Transition | None:
    """Take the candidate out: an approval has not come in time."""
    run = s.status.run
    due = approval_deadline(run) if run else None
    if run is None or due is None or s.now < due or approved(run) or s.status.stable is None:
        return None
    at = gate(run)
    return roll_back(s, "ApprovalTimeout", f"{at.approval if at else ''} was not approved in time")


def approval_deadline(run: Run) -> float | None:
    """When the approval that the run is at must have come."""
    at = gate(run)
    if at is None or at.timeout is None or run.stage != "Observing":
        return None
    return run.since + at.timeout
