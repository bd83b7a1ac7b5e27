"""Whether what was asked for has happened, or something else has. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

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


def _promoted(order: Order, model: Raw) -> Effect:
    run = _open(order, model)
    if run is None:
        return _ending(order, model, ("Promoted",))
    if run.get("step", 0) < order.step:
        return _waiting(model)
    if run.get("stage") != "Observing" and run.get("step", 0) == order.step:
        return _waiting(model)  # the next step begins when its pods are ready
    return _yes(safe(dig(model, "status.message")))


def _promoted_fully(order: Order, model: Raw) -> Effect:
    run = _open(order, model)
    if run is None:
        return _ending(order, model, ("Promoted",))
    if _gated(run):
        return Effect("held", f"{order.run} waits for the approval {_gated(run)}")
    return _waiting(model)


def _gated(run: Raw) -> str:
    plan, at = run.get("plan") or (), run.get("step", 0)
    gate = plan[at].get("approval") if at < len(plan) else None
    given = any(entry["name"] == gate for entry in run.get("approvals") or ())
    return safe(gate) if gate and run.get("stage") == "Observing" and not given else ""


def _ended(order: Order, model: Raw) -> Effect:
    run = _open(order, model)
    return _waiting(model) if run else _ending(order, model, ("RolledBack",))


def _retried(order: Order, model: Raw) -> Effect:
    run, history = dig(model, "status.run"), dig(model, "status.history")
    if not _handled(order, model):
        return _waiting(model)
    if not run and history:
        return _ending(replace(order, run=history[0]["run"]), model, ("Promoted",))
    return _yes(f"{run['id']} is open: {safe(dig(model, 'status.message'))}") if run else _waiting(model)


def _rolled_back(order: Order, model: Raw) -> Effect:
    version = safe(dig(model, "status.stable.version"))
    if dig(model, "status.run"):
        return _waiting(model)
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
    plan, given = run.get("plan") or (), {entry["name"] for entry in run.get("approvals") or ()}
    gate = plan[order.step].get("approval") if order.step < len(plan) else None
    if run.get("step", 0) > order.step or gate in given:
        return _yes(safe(dig(model, "status.message")))
    return _waiting(model)


def _restarted(order: Order, model: Raw) -> Effect:
    what = "a new revision is tried" if order.value.startswith("upgrade-runtime") else "pods are replaced one by one"
    return _yes(f"the operator has taken it: {what}") if _handled(order, model) else _waiting(model)


def _seen(_order: Order, model: Raw) -> Effect:
    if seen(model):
        return _yes(safe(dig(model, "status.message")))
    return _waiting(model)


_EFFECTS: Mapping[str, Callable[[Order, Raw], Effect]] = {
    "promote": _promoted,
    "promote-full": _promoted_fully,
    "abort": _ended,
    "deny": _ended,
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
    return _yes(safe(dig(model, "status.message"))) if begun else _waiting(model)


_GOALS: Mapping[str, Effects] = {"ready": _ready, "uptodate": _up_to_date}
