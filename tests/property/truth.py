"""What is true in a simulated world, read from its objects alone: nothing here asks the engine."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from fairway.core import names
from tests.fakes.controllers import ready
from tests.fakes.world import World

MODEL = "churn"


class ViolationError(AssertionError):
    """An invariant does not hold."""

    def __init__(self, rule: str, words: str) -> None:
        super().__init__(f"{rule}: {words}")
        self.rule = rule


OVERLOOKED: list[str] = []
"""Regular expressions of violations that a test does not look for."""


def breach(rule: str, words: str) -> None:
    """Say that an invariant does not hold."""
    if not any(re.search(pattern, f"{rule}: {words}") for pattern in OVERLOOKED):
        raise ViolationError(rule, words)


def endpoints(world: World, revision: str) -> int:
    """Pods of a revision that take requests."""
    return sum(ready(pod) for pod in pods(world) if pod["metadata"]["labels"][names.REVISION] == revision)


def pods(world: World) -> list[Mapping[str, Any]]:
    return [each for (kind, _), each in world.objects.items() if kind == "Pod"]


def recorded(world: World, revision: str) -> bool:
    """Whether a revision's record is there: without it nobody can make its pods."""
    return ("ControllerRevision", f"{MODEL}-{revision}") in world.objects


def deployments(world: World) -> dict[str, Mapping[str, Any]]:
    return {
        each["metadata"]["labels"][names.REVISION]: each
        for (kind, _), each in world.objects.items()
        if kind == "Deployment" and names.REVISION in each["metadata"].get("labels", {})
    }


def route_weights(route: Mapping[str, Any] | None) -> dict[str, int]:
    """Revision to weight, as a route object says."""
    if route is None:
        return {}
    backends = route["spec"]["rules"][0]["backendRefs"]
    return {each["name"].removeprefix(f"{MODEL}-"): each["weight"] for each in backends}


def routed(world: World) -> dict[str, int]:
    return route_weights(world.objects.get(("HTTPRoute", MODEL)))


def entry(world: World) -> dict[str, str] | None:
    """The selector of the entry Service."""
    service = world.objects.get(("Service", MODEL))
    return dict(service["spec"]["selector"]) if service else None


def exposed(world: World) -> dict[str, int]:
    """Every revision that gets requests by any way: its weight, or 1 where only pods decide."""
    weights = {revision: weight for revision, weight in routed(world).items() if weight}
    selector = entry(world)
    if selector is None:
        return weights
    selected = selector.get(names.REVISION)
    found = [selected] if selected else [pod["metadata"]["labels"][names.REVISION] for pod in pods(world) if ready(pod)]
    return {**dict.fromkeys(found, 1), **weights}


def has_gateway(spec: Mapping[str, Any]) -> bool:
    return bool((spec.get("traffic") or {}).get("hostnames"))


def size(spec: Mapping[str, Any], serving: int) -> int:
    """Pods that all requests need, when so many serve them now."""
    scaling = spec.get("scaling") or {}
    most = scaling.get("maxReplicas")
    if most is None:
        return int(scaling.get("replicas", 1))
    return max(min(serving, most), scaling.get("minReplicas", 1))


def ceiling(spec: Mapping[str, Any]) -> int:
    scaling = spec.get("scaling") or {}
    return int(scaling.get("maxReplicas") or scaling.get("replicas") or 1)


def share(weight: int, total: int) -> int:
    return -(-weight * total // 100)


def strings(value: Any) -> list[str]:
    """Every string in a JSON value."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, Mapping):
        return [text for each in value.values() for text in strings(each)]
    if isinstance(value, list):
        return [text for each in value for text in strings(each)]
    return []
