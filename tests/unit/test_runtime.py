"""The moving parts: what keeps on although the API server fails."""

import asyncio
import logging
from types import SimpleNamespace
from typing import Any

import pytest

from fairway.engine import runtime as module
from fairway.engine.runtime import KINDS, Runtime
from fairway.engine.store import MemoryStore
from fairway.engine.workqueue import WorkQueue
from fairway.ports import ClusterError
from tests.fakes.prometheus import Clock


class Lists:
    """A cluster that lists nothing, or fails."""

    def __init__(self) -> None:
        self.asked = 0
        self.error: ClusterError | None = ClusterError(503, "Unavailable", "etcd has no leader")

    async def list(self, *_: Any) -> list[Any]:
        self.asked += 1
        if self.error:
            raise self.error
        return []


async def test_a_sweep_that_fails_is_told_and_the_next_one_tried(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    lists, rests = Lists(), iter(range(3))

    async def sleep(_seconds: float) -> None:
        turn = next(rests)
        if turn == 1:
            lists.error = None
        elif turn > 1:
            raise asyncio.CancelledError

    monkeypatch.setattr(module, "asyncio", SimpleNamespace(sleep=sleep, Event=asyncio.Event))
    parts: dict[str, Any] = {"cluster": lists, "reconciler": None, "clock": Clock(0.0)}
    sweeping = Runtime(store=MemoryStore(), queue=WorkQueue(Clock(0.0)), **parts)
    with pytest.raises(asyncio.CancelledError):
        await sweeping.sweep()
    assert lists.asked == 1 + len(KINDS)
    (line,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert "etcd has no leader" in line.message
