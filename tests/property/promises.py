"""The invariants that speak about decisions: what a status may say after another one."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from fairway.api.types import _duration, _time
from tests.fakes.world import World
from tests.property import truth
from tests.property.truth import breach

SETTLE = 3.0
SECRET = "hunter2"
MOST_BYTES = 10 * 1024
MOST_TEXT = 1024
Status = dict[str, Any]


class Bans:
    """I2: revisions that were rolled back, with the most weight that they may still have."""

    def __init__(self) -> None:
        self.most: dict[str, int] = {}
        self._versions: dict[str, str] = {}

    def decided(self, before: Status, after: Status, weights: dict[str, int]) -> None:
        known = {(each["revision"], each["at"]) for each in before.get("rejected", ())}
        for each in after.get("rejected", ()):
            if (each["revision"], each["at"]) not in known:
                self._ban(each["revision"], each["version"], weights)
        rolling = (after.get("run") or {}).get("stage") == "RollingBack"
        if rolling and (before.get("run") or {}).get("stage") != "RollingBack":
            self._ban(after["candidate"]["revision"], after["candidate"]["version"], weights)
        tried, old = after.get("run"), before.get("run")
        for command in ("retry", "restart"):
            value = after.get("commands", {}).get(command)
            tracks = (after.get("candidate"), after.get("stable"))  # without steps it may be promoted at once
            if value != before.get("commands", {}).get(command):
                self.most = {each: most for each, most in self.most.items() if each not in _revisions(tracks)}
        opened = tried and tried["id"] != (old or {}).get("id")
        if opened and after["candidate"]["revision"] in self.most:
            breach("I2", f"{after['candidate']['version']} was rolled back and is tried again as {tried['id']}")

    def _ban(self, revision: str, version: str, weights: dict[str, int]) -> None:
        self.most[revision] = min(weights.get(revision, 0), self.most.get(revision, 100))
        self._versions[revision] = version

    def asked(self, version: str) -> None:
        """Somebody asks for this version: what was rejected before and is not it is forgiven."""
        for revision in [each for each in self.most if self._versions[each] != version]:
            del self.most[revision]

    def routed(self, weights: dict[str, int]) -> None:
        for revision, most in list(self.most.items()):
            weight = weights.get(revision, 0)
            if weight > most:
                breach("I2", f"{revision} was rolled back and rises from {most} to {weight}")
            self.most[revision] = weight


def _revisions(tracks: Iterable[Status | None]) -> set[str]:
    return {track["revision"] for track in tracks if track}


def rises(world: World, before: Status, after: Status) -> None:
    """I5: weight rises by at most one step per decision, and only in order."""
    old, new = before.get("run"), after.get("run")
    if new and new.get("firstWeightAt"):
        candidate, ready = after["candidate"], truth.endpoints(world, after["stable"]["revision"])
        carried = candidate["weight"] == 100 and not ready
        settled = new["stage"] != "RollingBack" and not world.lag
        if candidate["weight"] not in (0, new["weight"]) and not carried and settled:
            breach("I5", f"weight {candidate['weight']} is not of the plan: {new['weight']}")
    if not old or old.get("full") or (new and new.get("full")):
        return
    same = new is not None and new["id"] == old["id"]
    promoted = _promoted(before, after, old["id"])
    if not same and not promoted:
        return
    reached = new["weight"] if new and same else 100
    steps = sorted({each["weight"] for each in old.get("plan", ())} | {100})
    passed = [weight for weight in steps if old.get("weight", 0) < weight <= reached]
    spec = world.model()["spec"]
    if not truth.has_gateway(spec):
        total = truth.size(spec, old["size"])
        passed = list({truth.share(weight, total): weight for weight in passed}.values())
    if len(passed) > 1:
        breach("I5", f"{old['id']} rises from {old.get('weight', 0)} to {reached} at once, over {passed}")


def justified(world: World, before: Status, after: Status) -> None:
    """I3: no step is left and nothing is promoted without a reason that is true and recorded."""
    old, new = before.get("run"), after.get("run")
    if not old:
        return
    promoted = _promoted(before, after, old["id"])
    same = new is not None and new["id"] == old["id"]
    if promoted:
        _reason(world, before, after, promoted)
    if not promoted and not same:
        return
    plan = old.get("plan", ())
    reached = len(plan) if promoted else new["step"]
    approvals = (promoted or new).get("approvals", ())
    for number in range(old["step"], reached):
        _left(world, before, after, number, approvals)
    broken = _reading(world, old["id"]) == "Regressed"
    rose = promoted or new.get("weight", 0) > old.get("weight", 0)
    if broken and rose and not _by_command(before, after):
        breach("I3", f"{old['id']} goes on although an objective is broken")


def _left(world: World, before: Status, after: Status, number: int, approvals: Any) -> None:
    old = before["run"]
    step = old["plan"][number]
    if step.get("approval"):
        if not any(each["name"] == step["approval"] for each in approvals):
            breach("I3", f"the approval {step['approval']} was passed, but nobody gave it")
        return
    if _by_command(before, after) or after.get("commands", {}).get("promote") == f"{old['id']}/{number + 1}":
        return
    spec = world.model()["spec"]
    took = _duration(step["for"]) + (SETTLE if truth.has_gateway(spec) else 0)
    observed = number == old["step"] and old["stage"] == "Observing" and not old.get("unconfirmed")
    if world.time - (_time(old["since"]) if observed else world.time) < took - 0.01:
        breach("I3", f"step {number + 1} of {old['id']} ends before its time")
    if not spec.get("objectives"):
        return
    state = _reading(world, old["id"])
    undecided = (spec.get("rollout") or {}).get("onUndecided") or {}
    given_up = undecided.get("then") == "Promote" and state in ("Undecided", "NoTraffic")
    if state not in ("Healthy", "sufficient") and not given_up:
        breach("I3", f"step {number + 1} of {old['id']} is left on {state}")


def _by_command(before: Status, after: Status) -> bool:
    old, new = before.get("run") or {}, after.get("run") or {}
    said = after.get("commands", {})
    return bool(old.get("full") or new.get("full") or said.get("promote-full") == old.get("id"))


def _reading(world: World, run: str) -> str:
    reading = world.analysis.reading(("ml", truth.MODEL), run)
    if reading is None:
        return "nothing"
    return "sufficient" if reading.sufficient else reading.state


def _promoted(before: Status, after: Status, run: str) -> dict[str, Any] | None:
    """The history entry of a run that this decision has promoted."""
    known = {(each["run"], each["outcome"]) for each in before.get("history", ())}
    entries = (each for each in after.get("history", ()) if (each["run"], each["outcome"]) not in known)
    return next((each for each in entries if each["run"] == run and each["outcome"] == "Promoted"), None)


def _reason(world: World, before: Status, after: Status, entry: dict[str, Any]) -> None:
    reason, old = entry.get("reason", ""), before["run"]
    if not reason:
        breach("I3", f"{old['id']} was promoted without a recorded reason")
    judged = world.model()["spec"].get("objectives") and not old.get("reason") and old.get("plan")
    if not judged or _by_command(before, after) or "by command" in reason:
        return
    then = ((world.model()["spec"].get("rollout") or {}).get("onUndecided") or {}).get("then")
    if not reason.startswith("Healthy") and then != "Promote":
        breach("I3", f"{old['id']} has objectives and was promoted, recorded is: {reason!r}")


def bounded(what: str, value: Any) -> None:
    """I10: one line each, bounded, no secrets. (Events are cut where they are written.)"""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if len(text.encode()) > MOST_BYTES:
        breach("I10", f"{what} has {len(text.encode())} bytes")
    if SECRET in text:
        at = text.index(SECRET)
        breach("I10", f"{what} holds a secret: {text[max(0, at - 80) : at + 20]!r}")
    kept = {key: each for key, each in value.items() if key != "evidence"} if isinstance(value, dict) else value
    for each in truth.strings(kept):
        if (len(each) > MOST_TEXT and not what.startswith("Event")) or not each.isprintable():
            breach("I10", f"{what} says more than a line: {each[:120]!r}")
