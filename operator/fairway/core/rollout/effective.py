"""What a spec means with every default resolved: shown in status, never written to the spec."""

from typing import Any

from fairway.api.types import format_duration
from fairway.core import capacity
from fairway.core.rollout import deadlines
from fairway.core.rollout.intake import plan
from fairway.core.rollout.progress import watch_seconds
from fairway.core.rollout.situation import Situation
from fairway.core.rollout.waiting import patience


def effective(s: Situation) -> dict[str, Any]:
    """Return the resolved values as people would have written them; the steps are those of the next run."""
    limits = s.spec.rollout.deadlines if s.spec.rollout else None
    asked = {
        "schedule": (limits and limits.schedule) or deadlines.SCHEDULE,
        "pull": (limits and limits.pull) or deadlines.PULL,
        "ready": (limits and limits.ready) or deadlines.READY,
    }
    shown: dict[str, Any] = {
        "revision": s.target.revision,
        "image": s.target.image,
        "replicas": {"min": capacity.floor(s.spec), "max": capacity.ceiling(s.spec)},
        "steps": [step.approval or f"{step.weight}% for {format_duration(step.for_)}" for step in plan(s)],
        "watch": format_duration(watch_seconds(s)),
        "deadlines": {name: format_duration(seconds) for name, seconds in asked.items()},
        "router": "Gateway" if s.gateway else "Replicas",
    }
    if s.spec.objectives:
        shown["onUndecidedAfter"] = format_duration(patience(s))
    if s.runtime:
        shown["runtime"] = s.runtime
    if s.upgrade:
        shown["runtimeUpgrade"] = f"{s.runtime} has changed: fairway.dev/restart: upgrade-runtime TIME takes it"
    return shown
