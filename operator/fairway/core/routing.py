"""Who carries the requests: the gateway that a spec asks for, what is known of it, and who else claims the hostname."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from fairway.api.spec import GatewayRef, ModelDeploymentSpec, Traffic
from fairway.core.build.common import Owner
from fairway.core.rollout.situation import RouteTrouble

CONTESTED = "HostnameConflict"
"""The reason of a condition: somebody else has the hostname."""


@dataclass(frozen=True, slots=True)
class Claim:
    """The hostnames and the path that one ModelDeployment asks a gateway for; the older claim wins."""

    namespace: str
    name: str
    created: str
    gateway: tuple[str, str]
    hostnames: tuple[str, ...]
    path: str

    def contests(self, other: "Claim") -> bool:
        """Whether both ask the same gateway for the same requests."""
        if self.gateway != other.gateway or self.path != other.path:
            return False
        return bool({*self.hostnames} & {*other.hostnames}) or not (self.hostnames or other.hostnames)

    @property
    def age(self) -> tuple[str, str, str]:
        """Sorts the older claim first."""
        return self.created, self.namespace, self.name


def routed_by(spec: ModelDeploymentSpec, default: GatewayRef | None) -> GatewayRef | None:
    """Return the gateway that carries the requests, if any: it takes a hostname or a path to tell models apart."""
    return _gateway(spec.traffic, default)


def _gateway(traffic: Traffic | None, default: GatewayRef | None) -> GatewayRef | None:
    if traffic is None or not (traffic.hostnames or (traffic.path and traffic.path != "/")):
        return None
    return traffic.gateway or default


def claim(model: Mapping[str, Any], default: GatewayRef | None) -> Claim | None:
    """Return what a ModelDeployment asks a gateway for; None for none, or for a spec that is not valid."""
    try:
        traffic = Traffic.model_validate(model.get("spec", {}).get("traffic") or {})
    except ValueError:
        return None
    gateway, meta = _gateway(traffic, default), model["metadata"]
    if gateway is None or meta.get("deletionTimestamp"):
        return None
    return Claim(
        namespace=meta["namespace"],
        name=meta["name"],
        created=meta.get("creationTimestamp", ""),
        gateway=(gateway.namespace or meta["namespace"], gateway.name),
        hostnames=traffic.hostnames or (),
        path=traffic.path or "/",
    )


def trouble(ours: Claim | None, others: Iterable[Claim], gateway: Mapping[str, Any] | None) -> RouteTrouble | None:
    """Return why no route can carry the requests: there is no such Gateway, or an older claim has the hostname."""
    if ours is None:
        return None
    if gateway is None:
        namespace, name = ours.gateway
        return RouteTrouble("NoGateway", f"there is no Gateway {namespace}/{name}, or no Gateway API in this cluster")
    older = [other for other in others if other.age < ours.age and ours.contests(other)]
    if not older:
        return None
    first = min(older, key=lambda other: other.age)
    asked = ", ".join(sorted({*ours.hostnames} & {*first.hostnames})) or "every hostname"
    return RouteTrouble(CONTESTED, f"{first.namespace}/{first.name} already serves {asked}{ours.path}")


def url(owner: Owner, spec: ModelDeploymentSpec, gateway: Mapping[str, Any] | None) -> str:
    """Return where the model answers: scheme and port are the listener's, without a gateway the entry Service."""
    traffic = spec.traffic
    if gateway is None or traffic is None:
        return f"http://{owner.name}.{owner.namespace}.svc"
    listeners = gateway.get("spec", {}).get("listeners") or [{}]
    listener = next((each for each in listeners if each.get("protocol") == "HTTPS"), listeners[0])
    scheme = "https" if listener.get("protocol") == "HTTPS" else "http"
    port = listener.get("port")
    shown = "" if port in (None, 80, 443) else f":{port}"
    host = traffic.hostnames[0] if traffic.hostnames else "*"
    return f"{scheme}://{host}{shown}{(traffic.path or '').rstrip('/')}"
