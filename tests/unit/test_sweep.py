"""Lists from time to time: what a watch lost or cannot see is found, and nothing is written for it."""

import asyncio
from typing import Any

import pytest

from fairway.engine import runtime
from fairway.engine.store import MemoryStore
from fairway.engine.workqueue import WorkQueue
from fairway.ports import ClusterError, Manifest
from tests.fakes.prometheus import Clock

GATEWAY = {"metadata": {"name": "models", "namespace": "gateways", "uid": "g", "resourceVersion": "1"}}


class Listing:
    """A cluster of one Gateway that can only be listed: any other call is an AttributeError."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str | None]] = []

    async def list(self, plural: str, _version: str, namespace: str | None, _selector: str) -> list[Manifest]:
        self.calls.append((plural, namespace))
        return [dict(GATEWAY)] if plural == "gateways" else []


@pytest.mark.parametrize(("namespaces", "every"), [((), 600.0), (("ml", "risk"), 60.0)])
async def test_gateways_elsewhere_are_seen_within_a_minute(
    monkeypatch: pytest.MonkeyPatch, namespaces: tuple[str, ...], every: float
) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) > 1:
            raise asyncio.CancelledError

    cluster, store, clock = Listing(), MemoryStore(), Clock(1000.0)
    nothing: Any = None
    parts = runtime.Runtime(
        cluster=cluster,  # type: ignore[arg-type]  only what a sweep may use
        store=store,
        queue=WorkQueue(clock),
        reconciler=nothing,
        clock=clock,
        namespaces=namespaces,
    )
    monkeypatch.setattr(asyncio, "sleep", sleep)
    with pytest.raises(asyncio.CancelledError):
        await parts.sweep()
    assert slept == [every, every]
    assert ("gateways", None) in cluster.calls
    assert {where for plural, where in cluster.calls if plural == "pods"} == set(namespaces or (None,))
    assert store.gateway("gateways", "models") is not None


class WithoutRules(Listing):
    """A cluster that has no kind for rules, until it has."""

    there = False

    async def list(self, plural: str, version: str, namespace: str | None, selector: str) -> list[Manifest]:
        if plural == "prometheusrules" and not self.there:
            raise ClusterError(404, "NotFound", "the server could not find the requested resource")
        return await super().list(plural, version, namespace, selector)


async def test_a_kind_that_comes_and_goes_is_noticed_and_one_that_is_not_wanted_is_not_asked_for() -> None:
    cluster, store, clock = WithoutRules(), MemoryStore(), Clock(1000.0)
    nothing: Any = None
    whole: Any = cluster
    more = {"cluster": whole, "store": store, "queue": WorkQueue(clock), "reconciler": nothing, "clock": clock}
    assert store.serves("PrometheusRule")  # as far as was seen
    await runtime.Runtime(**more).sync()
    assert "prometheusrules" not in {plural for plural, _ in cluster.calls}
    parts = runtime.Runtime(**more, watched=runtime.kinds(rules=True))
    for cluster.there in (False, True, False):
        await parts.sync()
        assert store.serves("PrometheusRule") is cluster.there
    assert store.serves("HTTPRoute")
    assert cluster.calls[-1][0] == "modeldeployments"
