"""Lists from time to time: what a watch lost or cannot see is found, and nothing is written for it."""

import asyncio
from typing import Any

import pytest

from fairway.engine import runtime
from fairway.engine.store import MemoryStore
from fairway.engine.workqueue import WorkQueue
from fairway.ports import Manifest
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
