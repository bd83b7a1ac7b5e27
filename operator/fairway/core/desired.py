"""Stored status -> the children that should exist. Pure; decides nothing."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fairway.api.spec import GatewayRef, ModelDeploymentSpec
from fairway.api.status import Status
from fairway.core import capacity
from fairway.core.build.autoscaler import autoscaler
from fairway.core.build.common import Owner
from fairway.core.build.deployment import deployment
from fairway.core.build.disruption import disruption_budget
from fairway.core.build.record import controller_revision
from fairway.core.build.route import http_route
from fairway.core.build.service import entry_service, revision_service
from fairway.core.revision import Record

Manifest = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Child:
    """One object that should exist. ``replicas`` is set while we own a Deployment's size."""

    manifest: Manifest
    initial_replicas: int | None = None
    replicas: int | None = None
    shrinks: bool = True
    """Whether it may lose pods for ``replicas``; else they are the least that it has."""


@dataclass(frozen=True, slots=True)
class Routing:
    """How requests come in: by this gateway, or by the entry Service alone.

    ``routable`` False keeps a new route from being made; one that is there is never taken away for it.
    """

    gateway: GatewayRef | None = None
    routable: bool = True


def desired(
    owner: Owner,
    spec: ModelDeploymentSpec,
    status: Status,
    records: Mapping[str, Record],
    routing: Routing,
) -> list[Child]:
    """All children in the order of their creation: what serves first, the routes to it last."""
    children: list[Child] = []
    kept = dict.fromkeys([*capacity.sizes(spec, status), *_remembered(status)])
    children.extend(Child(controller_revision(owner, records[rev])) for rev in kept if rev in records)
    for revision, size in capacity.sizes(spec, status).items():
        if revision in records:
            children.extend(_revision(owner, spec, status, records[revision], size))
    serving = backends(status)
    if not serving:
        return children
    first = records.get(serving[0][0])
    gateway = routing.gateway
    if first is not None:
        split = gateway is None and sum(weight > 0 for _, weight in serving) > 1
        lead = max(serving, key=lambda item: item[1])[0] if gateway is None else serving[0][0]
        children.append(Child(entry_service(owner, None if split else lead, first.port)))
    if gateway is not None and spec.traffic is not None and routing.routable:
        children.append(Child(http_route(owner, spec.traffic, gateway, serving)))
    return children


def backends(status: Status) -> list[tuple[str, int]]:
    """Who is routed to, in a fixed order: stable, then a candidate that has been given weight in this run."""
    tried = status.run is not None and (status.run.first_weight_at is not None or status.stable is None)
    tracks = [status.stable, status.candidate if tried else None]
    return [(track.revision, track.weight) for track in tracks if track]


def _remembered(status: Status) -> Iterator[str]:
    if status.candidate:
        yield status.candidate.revision
    yield from (entry.revision for entry in status.history)


def _revision(
    owner: Owner, spec: ModelDeploymentSpec, status: Status, record: Record, size: capacity.Size
) -> Iterator[Child]:
    revision, version = record.revision, record.version
    restarted = next((restart.at for restart in status.restarts if restart.revision == revision), None)
    ours = None if size.autoscaled else size.replicas
    yield Child(deployment(owner, record, restarted), size.replicas, ours, size.shrinks)
    yield Child(revision_service(owner, revision, version, record.port))
    if capacity.ceiling(spec) > 1:  # one that allows one pod to go says nothing about a single pod
        yield Child(disruption_budget(owner, revision, version))
    if size.autoscaled:
        yield Child(autoscaler(owner, revision, version, capacity.scaling(spec), size.replicas))
