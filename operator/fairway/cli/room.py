"""Whether so many more pods fit: into the namespace's quotas, and onto the nodes. Pure; amounts are plain numbers."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fairway.cli.words import dig, plural

Raw = Mapping[str, Any]
_UNITS = {"n": 1e-9, "u": 1e-6, "m": 1e-3, "": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18}
_UNITS |= {f"{unit}i": 1024.0 ** (i + 1) for i, unit in enumerate("KMGTPE")}
_QUANTITY = re.compile(r"([0-9.]+)([eE][-+]?[0-9]+)?([numkKMGTPE]?i?)")
POD = "pods"


@dataclass(frozen=True, slots=True)
class Room:
    """How many more pods fit, and what stands in the way of more."""

    pods: int
    because: str


def quantity(value: Any) -> float:
    """Read an amount as Kubernetes writes it; 0 for what is none."""
    found = _QUANTITY.fullmatch(str(value))
    if not found:
        return 0.0
    number, exponent, unit = found.groups()
    return float(number + (exponent or "")) * _UNITS.get(unit, 1.0)


def needs(template: Raw) -> dict[str, float]:
    """Return what one pod of a template asks a node for: requests, where a limit alone stands as the request."""
    total: dict[str, float] = {POD: 1.0}
    spec = template.get("spec") or {}
    for container in spec.get("containers") or ():
        for name, amount in _requests(container).items():
            total[name] = total.get(name, 0.0) + amount
    for container in spec.get("initContainers") or ():
        for name, amount in _requests(container).items():
            total[name] = max(total.get(name, 0.0), amount)
    return total


def _requests(container: Raw) -> dict[str, float]:
    resources = container.get("resources") or {}
    return {
        name: quantity(v)
        for name, v in {**(resources.get("limits") or {}), **(resources.get("requests") or {})}.items()
    }


def _limits(template: Raw) -> dict[str, float]:
    total: dict[str, float] = {}
    for container in dig(template, "spec.containers") or ():
        for name, amount in (dig(container, "resources.limits") or {}).items():
            total[name] = total.get(name, 0.0) + quantity(amount)
    return total


# --- quotas -----------------------------------------------------------------------------------------------------------


def in_quotas(template: Raw, quotas: Iterable[Raw]) -> Room | None:
    """Return how many more pods of a template the quotas allow; None where no quota speaks of them."""
    rooms = [room for quota in quotas for room in _in_quota(template, quota)]
    return min(rooms, key=lambda room: room.pods, default=None)


def _in_quota(template: Raw, quota: Raw) -> Iterable[Room]:
    if dig(quota, "spec.scopes") or dig(quota, "spec.scopeSelector"):
        return  # it may or may not be about these pods
    hard, used = dig(quota, "status.hard") or dig(quota, "spec.hard") or {}, dig(quota, "status.used") or {}
    each = _counted(template)
    for name, amount in hard.items():
        if name in each and each[name] > 0:
            left = quantity(amount) - quantity(used.get(name, 0))
            fits = max(0, math.floor(left / each[name] + 1e-9))
            yield Room(fits, f"quota {quota['metadata']['name']}: {name} {used.get(name, 0)} of {amount}")


def _counted(template: Raw) -> dict[str, float]:
    """Return what one pod takes of each thing that a quota may count."""
    asked, limits = needs(template), _limits(template)
    found = {POD: 1.0, "count/pods": 1.0}
    for name, amount in asked.items():
        if name != POD:
            found[f"requests.{name}"] = amount
            if name in ("cpu", "memory"):
                found[name] = amount
    return found | {f"limits.{name}": amount for name, amount in limits.items()}


# --- nodes ------------------------------------------------------------------------------------------------------------


def on_nodes(template: Raw, nodes: Sequence[Raw], pods: Iterable[Raw]) -> Room:
    """Return how many more pods of a template the nodes take, by what the pods on them have asked for."""
    asked, spec = needs(template), template.get("spec") or {}
    taken: dict[str, dict[str, float]] = {}
    for pod in pods:
        if dig(pod, "status.phase") in ("Succeeded", "Failed"):
            continue
        on = taken.setdefault(str(dig(pod, "spec.nodeName") or ""), {})
        for name, amount in needs(pod).items():
            on[name] = on.get(name, 0.0) + amount
    usable = [node for node in nodes if _takes(node, spec)]
    fits = {node["metadata"]["name"]: _fit(node, asked, taken.get(node["metadata"]["name"], {})) for node in usable}
    total = sum(fits.values())
    of = f"{len(usable)} of " if len(usable) < len(nodes) else ""
    return Room(total, f"{of}{plural(len(nodes), 'node')}")


def _fit(node: Raw, asked: Mapping[str, float], taken: Mapping[str, float]) -> int:
    has = dig(node, "status.allocatable") or {}
    counts = [
        math.floor((quantity(has.get(name, 0)) - taken.get(name, 0.0)) / amount + 1e-9)
        for name, amount in asked.items()
        if amount > 0
    ]
    return max(0, min(counts, default=0))


def _takes(node: Raw, spec: Raw) -> bool:
    """Whether a node takes such pods at all: open, with the labels asked for, without a taint that is not tolerated."""
    labels = node["metadata"].get("labels") or {}
    if dig(node, "spec.unschedulable"):
        return False
    if any(labels.get(key) != value for key, value in (spec.get("nodeSelector") or {}).items()):
        return False
    taints = [taint for taint in dig(node, "spec.taints") or () if taint.get("effect") in ("NoSchedule", "NoExecute")]
    return all(any(_tolerates(each, taint) for each in spec.get("tolerations") or ()) for taint in taints)


def _tolerates(toleration: Raw, taint: Raw) -> bool:
    if toleration.get("effect") not in (None, "", taint.get("effect")):
        return False
    if toleration.get("operator") == "Exists":
        return toleration.get("key") in (None, "", taint.get("key"))
    return toleration.get("key") == taint.get("key") and toleration.get("value", "") == taint.get("value", "")
