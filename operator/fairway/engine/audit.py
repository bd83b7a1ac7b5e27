"""The audit trail: one log line for each decision and for each human command, with who, when and why."""

import logging
from typing import Any

from fairway.core.pods import one_line
from fairway.core.rollout.decide import Decision
from fairway.core.rollout.situation import Event, Situation
from fairway.core.showing import verdict_status
from fairway.ports import Manifest

AUDIT = "fairway.audit"
MOST_TEXT = 200
log = logging.getLogger(AUDIT)


def audit(model: Manifest, s: Situation, decision: Decision) -> None:
    """Write what was commanded and what was decided, in this order, all from the record that status has."""
    about = _about(model)
    writers = model["metadata"].get("commanded-by", {})
    for name, mark in decision.status.commands.items():
        command = s.commands.get(name)
        if command is None or s.status.commands.get(name) == mark:
            continue
        said: dict[str, Any] = {"command": name, "value": one_line(command.value, MOST_TEXT)}
        said |= {key: one_line(text, MOST_TEXT) for key, text in writers.get(name, {}).items()}
        if command.by:
            # Without the shipped policy anybody may have written any name.
            said |= {"by": command.by, "verified": s.policy.verified, "why": command.comment}
        log.info("%s was commanded", name, extra={**about, "audit": "command", **said})
    facts = _facts(s, decision) if decision.events else {}
    for event in decision.events:
        _decided(about, event, facts)


def audit_event(model: Manifest, event: Event) -> None:
    """Write what was decided without looking at the world: a spec that cannot be acted on."""
    _decided(_about(model), event, {})


def _about(model: Manifest) -> dict[str, Any]:
    meta = model["metadata"]
    generation = meta.get("generation", 0)
    return {"namespace": meta["namespace"], "model": meta["name"], "uid": meta["uid"], "generation": generation}


def _decided(about: dict[str, Any], event: Event, facts: dict[str, Any]) -> None:
    level = logging.WARNING if event.warning else logging.INFO
    log.log(level, "%s", event.message, extra={**about, "audit": "decision", "reason": event.reason, **facts})


def _facts(s: Situation, decision: Decision) -> dict[str, Any]:
    """Return where the run stood when it was decided, and the numbers that it was decided by."""
    run = s.status.run or decision.status.run
    facts: dict[str, Any] = {"phase": decision.status.phase}
    facts |= {"run": run.id} if run else {}
    for name, track in (("stable", decision.status.stable), ("candidate", decision.status.candidate)):
        facts |= {name: f"{track.version} ({track.revision}) {track.weight}%"} if track else {}
    if s.reading is not None:
        facts["verdict"] = verdict_status(s.reading).model_dump(mode="json", by_alias=True, exclude_none=True)
    return facts
