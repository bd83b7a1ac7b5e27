"""Whether what was asked for has happened, or something else has. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from fairway.api import GROUP
from fairway.cli.errors import CliError, Exit
from fairway.cli.orders import Order
from fairway.cli.words import condition, dig, safe
from fairway.core.commands import mark

Raw = Mapping[str, Any]
State = Literal["yes", "no", "held", "not yet"]
"""``held``: it will not go on by itself, but it still may."""


@dataclass(frozen=True, slots=True)
class Effect:
    """What a status says about a wish, and in which words."""

    state: State
    words: str

    @property
    def code(self) -> Exit:
        """The exit code that it means."""
        return {"yes": Exit.DONE, "no": Exit.OTHERWISE}.get(self.state, Exit.NOT_YET)


Effects = Callable[[Raw], Effect]


def effect(order: Order) -> Effects:
    """Return what to look for after an order was given."""
    return lambda model: _EFFECTS[order.command or order.verb](order, model)


def _yes(words: str) -> Effect:
    return Effect("yes", words)


def _waiting(model: Raw) -> Effect:
    return Effect("not yet", safe(dig(model, "status.message")) or "the operator has not answered")


def _handled(order: Order, model: Raw) -> bool:
    return bool((dig(model, "status.commands") or {}).get(order.command) == mark(order.value))


def _entry(order: Order, model: Raw) -> Raw | None:
    """Return how the run of an order ended, if it has."""
    entries = dig(model, "status.history") or ()
    return next((entry for entry in entries if entry["run"] == order.run), None)


def _open(order: Order, model: Raw) -> Raw | None:
    run = dig(model, "status.run")
    return run if run and run["id"] == order.run else None


def _ending(order: Order, model: Raw, wanted: tuple[str, ...]) -> Effect:
    """Judge the end of a run by its outcome."""
    entry = _entry(order, model)
    if entry is None:
        return Effect("no", f"{order.run} is no longer open")
    words = f"{entry['version']} {_OUTCOMES.get(entry['outcome'], entry['outcome'])}: {safe(entry.get('reason'))}"
    return _yes(words) if entry["outcome"] in wanted else Effect("no", words)


_OUTCOMES = {"Promoted": "serves everything", "RolledBack": "was rolled back", "Superseded": "gave way"}


def _going_back(model: Raw) -> Effect | None:
    """Judge an open run that is to end all the same: only stable's first ready pod is waited for."""
    run = dig(model, "status.run")
    if run is None or run.get("stage") != "RollingBack":
        return None
    why = ": ".join(safe(run[key]) for key in ("end", "endMessage") if run.get(key))
    return Effect("no", f"{safe(dig(model, 'status.candidate.version'))} is being rolled back: {why}")


def _held(model: Raw) -> Effect | None:
    """Judge an open run that somebody has paused: what was asked for may come, but only after another word."""
    found, name = condition(model.get("status"), "Paused"), safe(dig(model, "metadata.name"))
    if found.get("status") != "True" or found.get("reason") != "PausedBySpec":
        return None
    return Effect("held", f"spec.paused holds {safe(dig(model, 'status.run.id'))}: fairway resume {name} lets it go on")


def _promoted(order: Order, model: Raw) -> Effect:
    run = _open(order, model)
    if run is None:
        return _ending(order, model, ("Promoted",))
    at, observing = run.get("step", 0), run.get("stage") == "Observing"
    if at > order.step or (at == order.step and observing):  # the next step begins when its pods are ready
        return _going_back(model) or _yes(safe(dig(model, "status.message")))
    return _going_back(model) or _held(model) or _waiting(model)


def _promoted_fully(order: Order, model: Raw) -> Effect:
    run = _open(order, model)
    if run is None:
        return _ending(order, model, ("Promoted",))
    if _gated(run):
        return Effect("held", f"{order.run} waits for the approval {_gated(run)}")
    return _going_back(model) or _held(model) or _waiting(model)


def _gated(run: Raw) -> str:
    plan, at = run.get("plan") or (), run.get("step", 0)
    gate = plan[at].get("approval") if at < len(plan) else None
    given = any(entry["name"] == gate for entry in run.get("approvals") or ())
    return safe(gate) if gate and run.get("stage") == "Observing" and not given else ""


def _ended(order: Order, model: Raw) -> Effect:
    run = _open(order, model)
    return _waiting(model) if run else _ending(order, model, ("RolledBack",))


def _denied(order: Order, model: Raw) -> Effect:
    """Judge by the run's end, unless somebody else has said yes: after that the operator heeds no word on this gate."""
    run = _open(order, model)
    yes = _approval(order, run) if run else None
    if run is None or yes is None or _going_back(model):
        return _ended(order, model)
    told = f"{safe(yes['name'])} of {order.run} was approved by {safe(yes.get('by'))}"
    version, name = safe(dig(model, "status.candidate.version")), safe(dig(model, "metadata.name"))
    return Effect("no", f"{told}: {version} goes on; fairway abort {name} takes it out")


def _approval(order: Order, run: Raw) -> Raw | None:
    """Return the approval of the gate that an order is about, if it was given."""
    plan = run.get("plan") or ()
    gate = plan[order.step].get("approval") if order.step < len(plan) else None
    return next((entry for entry in run.get("approvals") or () if entry["name"] == gate), None)


def _retried(order: Order, model: Raw) -> Effect:
    run, history = dig(model, "status.run"), dig(model, "status.history")
    if not _handled(order, model):
        if dig(model, "status.refused.run") != order.run:
            return Effect("no", f"the spec no longer asks for what {order.run} rejected")
        return _waiting(model)
    if not run and history:
        return _ending(replace(order, run=history[0]["run"]), model, ("Promoted",))
    return _yes(f"{run['id']} is open: {safe(dig(model, 'status.message'))}") if run else _waiting(model)


def _rolled_back(order: Order, model: Raw) -> Effect:
    version = safe(dig(model, "status.stable.version"))
    if dig(model, "status.run"):
        return _held(model) or _waiting(model)
    if dig(model, "status.stable.revision") != order.revision:
        return _yes(f"{version} serves everything")
    if not _handled(order, model):
        return _waiting(model)
    last: Raw = next(iter(dig(model, "status.history") or ()), {})
    return Effect("no", f"{version} still serves: {safe(last.get('reason'))}")


def _approved(order: Order, model: Raw) -> Effect:
    """Judge by the gate, not by our own words: somebody else may have been first."""
    run = _open(order, model)
    if run is None:
        return _ending(order, model, ("Promoted",))
    given = run.get("step", 0) > order.step or _approval(order, run)
    return _going_back(model) or (_yes(safe(dig(model, "status.message"))) if given else _waiting(model))


def _restarted(order: Order, model: Raw) -> Effect:
    what = "a new revision is tried" if order.value.startswith("upgrade-runtime") else "pods are replaced one by one"
    if _handled(order, model):
        return _yes(f"the operator has taken it: {what}")
    written = (dig(model, "metadata.annotations") or {}).get(f"{GROUP}/{order.command}", order.value)
    return _waiting(model) if written == order.value else Effect("no", "another restart has taken its place")


def _seen(order: Order, model: Raw) -> Effect:
    if bool(dig(model, "spec.paused")) != (order.verb == "pause"):
        done = "resumed" if order.verb == "pause" else "paused again"
        return Effect("no", f"it was {done} meanwhile, by a person or by what applies it from Git")
    if seen(model):
        return _yes(safe(dig(model, "status.message")))
    return _waiting(model)


_EFFECTS: Mapping[str, Callable[[Order, Raw], Effect]] = {
    "promote": _promoted,
    "promote-full": _promoted_fully,
    "abort": _ended,
    "deny": _denied,
    "retry": _retried,
    "rollback": _rolled_back,
    "approve": _approved,
    "restart": _restarted,
    "pause": _seen,
    "resume": _seen,
}


# --- goals of ``wait`` ------------------------------------------------------------------------------------------------


def goal(text: str) -> Effects:
    """Return what ``--for`` looks for: ready, uptodate or step=N. Raises CliError for another word."""
    name, _, number = text.lower().partition("=")
    if name == "step" and number.isdigit() and int(number) > 0:
        return lambda model: _at_step(int(number), model)
    if text.lower() in _GOALS:
        return _GOALS[text.lower()]
    raise CliError(f"--for {text}: wait for ready, uptodate or step=N", Exit.USAGE)


def seen(model: Raw) -> bool:
    """Whether the status speaks of the spec as it is."""
    return bool((dig(model, "status.observedGeneration") or 0) >= (dig(model, "metadata.generation") or 0))


def _ready(model: Raw) -> Effect:
    found = condition(model.get("status"), "Ready")
    if seen(model) and found.get("status") == "True":
        return _yes(safe(found.get("message")))
    return _waiting(model)


def _up_to_date(model: Raw) -> Effect:
    found = condition(model.get("status"), "UpToDate")
    if not seen(model) or found.get("status") not in ("True", "False"):
        return _waiting(model)
    words = safe(found.get("message"))
    return _yes(words) if found["status"] == "True" else Effect("no", f"{safe(found.get('reason'))}: {words}")


def _at_step(number: int, model: Raw) -> Effect:
    """Look whether the run is at this step, counted from 1, or past it."""
    run = dig(model, "status.run")
    if not seen(model):
        return _waiting(model)
    if run is None:
        found = _up_to_date(model)
        return found if found.state != "yes" else _yes(f"the run is over: {found.words}")
    at = run.get("step", 0) + 1
    begun = at > number or (at == number and run.get("stage") == "Observing")
    return _yes(safe(dig(model, "status.message"))) if begun else _going_back(model) or _waiting(model)


_GOALS: Mapping[str, Effects] = {"ready": _ready, "uptodate": _up_to_date}
