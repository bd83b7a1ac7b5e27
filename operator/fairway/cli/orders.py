"""What a person asks for, filled in: the annotation or patch, what it will do, and why it cannot be now. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from fairway.api import GROUP
from fairway.cli.errors import CliError, Exit
from fairway.cli.rights import Person
from fairway.cli.words import dig, safe

Raw = Mapping[str, Any]
GIT = (
    ("annotations", "argocd.argoproj.io/tracking-id", "Argo CD"),
    ("labels", "argocd.argoproj.io/instance", "Argo CD"),
    ("labels", "kustomize.toolkit.fluxcd.io/name", "Flux"),
    ("labels", "helm.toolkit.fluxcd.io/name", "Flux"),
)
"""Marks by which a tool that applies from Git knows its objects."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked for, and by whom."""

    verb: str
    model: Raw
    person: Person = field(default_factory=lambda: Person(""))
    now: float = 0.0
    message: str = ""
    full: bool = False
    upgrade: bool = False

    @property
    def name(self) -> str:
        """Name of the ModelDeployment."""
        return str(self.model["metadata"]["name"])

    @property
    def status(self) -> Raw:
        """What the operator has decided so far."""
        return self.model.get("status") or {}

    @property
    def run(self) -> Raw:
        """Return the open run; refuses where there is none."""
        found = self.status.get("run")
        if not found:
            phase = safe(self.status.get("phase")) or "Pending"
            raise refused(f"{self.name} has no open run: it is {phase}")
        return dict(found)

    @property
    def candidate(self) -> str:
        """Version of the candidate."""
        return safe(dig(self.status, "candidate.version"))

    @property
    def stable(self) -> str:
        """Version that serves."""
        return safe(dig(self.status, "stable.version"))


@dataclass(frozen=True, slots=True)
class Order:
    """What to write, and what it will do, in words."""

    verb: str
    says: str
    patch: Raw
    command: str = ""
    value: str = ""
    run: str = ""
    """The run that it is about."""
    step: int = 0
    """What ``promote`` leads to, or the gate that ``approve`` is about: both as ``status.run.step`` counts."""
    revision: str = ""
    """What ``rollback`` rejects."""
    warning: str = ""


def refused(message: str) -> CliError:
    """Return the error of a wish that cannot work now: nothing was changed."""
    return CliError(message, Exit.REFUSED)


def order(wish: Wish) -> Order:
    """Fill in run, step and user. Raises CliError with the reason where it cannot work now."""
    if not wish.status:
        raise refused(f"the operator has not looked at {wish.name} yet: does it run?")
    return _ORDERS[wish.verb](wish)


def _command(wish: Wish, name: str, value: str, says: str, **more: Any) -> Order:
    patch = {"metadata": {"annotations": {f"{GROUP}/{name}": value}}}
    return Order(verb=wish.verb, says=says, patch=patch, command=name, value=value, **more)


def _against_stable(wish: Wish) -> None:
    if not wish.stable:
        raise refused(f"nothing serves yet: there is nothing to go back to, so {wish.run['id']} cannot be ended")


def _promote(wish: Wish) -> Order:
    run, plan = wish.run, wish.run.get("plan") or ()
    if run.get("stage") == "RollingBack":
        raise refused(f"{run['id']} is being rolled back")
    if wish.model.get("spec", {}).get("paused"):
        raise refused(f"spec.paused holds {run['id']}: fairway resume {wish.name} first")
    if wish.full:
        return _promote_full(wish)
    at = run.get("step", 0)
    if at >= len(plan):
        raise refused(f"{run['id']} is on its last move to 100%: it waits for {safe(run.get('waitingFor'))}")
    if plan[at].get("approval"):
        raise refused(f"{run['id']} waits for the approval {plan[at]['approval']}: fairway approve {wish.name}")
    if run.get("stage") != "Observing":
        raise refused(f"step {at + 1} of {run['id']} has not begun: it waits for {safe(run.get('waitingFor'))}")
    onward = plan[at + 1] if at + 1 < len(plan) else {"weight": 100}
    to = (
        f"to the approval {onward['approval']}"
        if onward.get("approval")
        else f"from {run['weight']}% to {onward['weight']}%"
    )
    says = f"ends step {at + 1} of {run['id']}: {wish.candidate} goes {to}, whatever the samples say"
    return _command(wish, "promote", f"{run['id']}/{at + 1}", says, run=run["id"], step=at + 1)


def _promote_full(wish: Wish) -> Order:
    run = wish.run
    if run.get("full"):
        raise refused(f"{run['id']} skips its steps already: it waits for {safe(run.get('waitingFor'))}")
    left = [step["approval"] for step in (run.get("plan") or ())[run.get("step", 0) :] if step.get("approval")]
    given = {approval["name"] for approval in run.get("approvals") or ()}
    gates = [name for name in left if name not in given]
    still = f"; it still waits for the approval {', '.join(gates)}" if gates else ""
    says = f"skips all steps of {run['id']}: {wish.candidate} gets 100% once its pods are ready{still}"
    return _command(wish, "promote-full", run["id"], says, run=run["id"])


def _abort(wish: Wish) -> Order:
    run = wish.run
    _against_stable(wish)
    says = (
        f"ends {run['id']}: {wish.candidate} goes from {_weight(wish)}% to 0 and is rejected, {wish.stable} serves all"
    )
    return _command(wish, "abort", run["id"], says, run=run["id"])


def _retry(wish: Wish) -> Order:
    found = wish.status.get("refused")
    if wish.status.get("run"):
        raise refused(f"{wish.run['id']} is open: there is nothing to try again")
    if not found:
        raise refused(f"{wish.name} has rejected nothing that the spec still asks for")
    if dig(wish.model, "spec.state") == "Suspended":
        raise refused(f"{wish.name} is suspended: set spec.state to Active first")
    if dig(wish.status, "effective.revision") not in (None, found["revision"]):
        raise refused(f"the spec no longer asks for the revision that {found['run']} rejected")
    says = f"forgives {wish.candidate or found['revision']} and tries it again from its first step"
    return _command(wish, "retry", found["run"], says, run=found["run"])


def _rollback(wish: Wish) -> Order:
    status = wish.status
    if status.get("run"):
        raise refused(f"{wish.run['id']} is open: fairway abort {wish.name} ends it")
    if not wish.stable:
        raise refused(f"nothing serves {wish.name} yet")
    promoted = [entry for entry in status.get("history") or () if entry.get("outcome") == "Promoted"]
    last = promoted[0] if promoted else None
    if last is None or last["revision"] != dig(status, "stable.revision"):
        raise refused(f"no remembered run has promoted {wish.stable}")
    former = status.get("former")
    before = next((entry for entry in promoted if entry["revision"] != last["revision"]), None)
    if not former and before is None:
        raise refused(f"{wish.stable} is the first version that is remembered: there is none before it")
    to = safe(former["version"]) if former else safe(before["version"] if before else "")
    how = "at once: its pods are warm" if former else "once its pods are ready, without steps"
    says = f"rejects {wish.stable}: {to} takes over again {how}"
    return _command(wish, "rollback", last["run"], says, run=last["run"], revision=last["revision"])


def _gate(wish: Wish) -> tuple[Raw, Raw]:
    run, plan = wish.run, wish.run.get("plan") or ()
    at = run.get("step", 0)
    step = plan[at] if at < len(plan) else {}
    if not step.get("approval") or run.get("stage") != "Observing":
        later = next((each["approval"] for each in plan[at:] if each.get("approval")), None)
        soon = f"; the approval {later} comes later" if later else ""
        raise refused(f"{run['id']} waits for no approval now{soon}")
    if any(entry["name"] == step["approval"] for entry in run.get("approvals") or ()):
        raise refused(f"{step['approval']} of {run['id']} has been approved already")
    return run, step


def _word(wish: Wish) -> Order:
    run, step = _gate(wish)
    who, allowed = wish.person, step.get("approvers")
    if allowed and not {who.name, *who.groups} & {*allowed}:
        raise refused(f"you are {who.name}; only {', '.join(allowed)} may decide {step['approval']}")
    if not who.name or " " in who.name:
        why = "it is empty, or has a blank; use another account (--as, --context)"
        raise refused(f"your user name {who.name!r} cannot be recorded: {why}")
    gate = step["approval"]
    if wish.verb == "approve":
        says = f"approves {gate} of {run['id']} as {who.name}: {wish.candidate} goes on"
    else:
        _against_stable(wish)
        says = f"denies {gate} of {run['id']} as {who.name}: {wish.candidate} is taken out, {wish.stable} serves all"
    # Without a comment the blank stays: the admission policy wants it after the colon.
    value = f"{run['id']}/{gate} by {who.name}: {wish.message}"
    return _command(wish, wish.verb, value, says, run=run["id"], step=run.get("step", 0))


def _restart(wish: Wish) -> Order:
    if not wish.stable:
        raise refused(f"nothing serves {wish.name} yet: there is nothing to restart")
    at = datetime.fromtimestamp(wish.now, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    if wish.upgrade:
        if not dig(wish.status, "effective.runtimeUpgrade"):
            raise refused(f"the ModelRuntime of {wish.name} has not changed since its revision was made")
        says = f"makes a new revision on today's ModelRuntime, and tries it against {wish.stable}"
        return _command(wish, "restart", f"upgrade-runtime {at}", says)
    both = f" and {wish.candidate}" if wish.status.get("run") and wish.candidate else ""
    says = f"replaces the pods of {wish.stable}{both} one by one; no new revision, no request lost"
    return _command(wish, "restart", at, says)


def _pause(wish: Wish) -> Order:
    if dig(wish.model, "spec.paused"):
        raise refused(f"{wish.name} is paused already")
    run = wish.status.get("run")
    held = f"holds {run['id']} at {_weight(wish)}%" if run else "holds the next run before it moves"
    says = f"{held} until it is resumed; a rollback is never held"
    return Order("pause", says, {"spec": {"paused": True}}, warning=_git(wish.model, "spec.paused: true"))


def _resume(wish: Wish) -> Order:
    if not dig(wish.model, "spec.paused"):
        raise refused(f"{wish.name} is not paused")
    run = wish.status.get("run")
    says = f"lets {run['id']} go on" if run else "lets the next run move"
    return Order("resume", says, {"spec": {"paused": None}}, warning=_git(wish.model, "the end of spec.paused"))


def _weight(wish: Wish) -> int:
    return int(dig(wish.status, "candidate.weight") or 0)


def _git(model: Raw, what: str) -> str:
    for place, key, tool in GIT:
        if key in (model["metadata"].get(place) or {}):
            return f"{tool} applies this object from Git and will undo it: put {what} there, too"
    return ""


_ORDERS: Mapping[str, Callable[[Wish], Order]] = {
    "promote": _promote,
    "abort": _abort,
    "retry": _retry,
    "rollback": _rollback,
    "approve": _word,
    "deny": _word,
    "restart": _restart,
    "pause": _pause,
    "resume": _resume,
}
