"""Kubernetes Events about ModelDeployments, written beside the pass, never in its way."""

import asyncio
import logging
import secrets
import time
from collections import deque
from collections.abc import Awaitable
from datetime import UTC, datetime
from typing import Any, Protocol

from fairway.core.pods import one_line
from fairway.ports import ClusterError, Manifest

log = logging.getLogger(__name__)

MOST_PER_MINUTE = 25
"""As many as Kubernetes lets one source say about one object in a burst: a rollout in quick steps says a dozen."""
MOST_WAITING = 1000
MOST_TEXT = 1000
MINUTE = 60.0


class Api(Protocol):
    """The one call of the API client that the recorder uses."""

    def request(self, method: str, url: str, *, body: Any = None) -> Awaitable[Manifest]:
        """Make one request; raises ClusterError."""
        ...


class EventRecorder:
    """Implements the Recorder port: a bounded queue and one writer."""

    def __init__(self, api: Api, *, instance: str) -> None:
        self._api = api
        self._instance = instance
        self._waiting: asyncio.Queue[Manifest] = asyncio.Queue(MOST_WAITING)
        self._cut: list[Manifest] = []
        """What was being written when the writer was stopped."""
        self._recent: dict[str, deque[float]] = {}

    def event(self, owner: Manifest, *, type_: str, reason: str, message: str) -> None:
        """Queue one Event; at most 25 a minute and ModelDeployment are written."""
        self._forget_quiet()
        recent = self._recent.setdefault(owner["metadata"]["uid"], deque(maxlen=MOST_PER_MINUTE))
        now = time.monotonic()
        if len(recent) == MOST_PER_MINUTE and now - recent[0] < MINUTE:
            return
        recent.append(now)
        try:
            self._waiting.put_nowait(self._event(owner, type_, reason, one_line(message, MOST_TEXT)))
        except asyncio.QueueFull:
            log.warning("too many events are waiting, one is dropped: %s", reason)

    def _forget_quiet(self) -> None:
        """Keep the count of recent events small: who was quiet for a minute has none."""
        if len(self._recent) > MOST_WAITING:
            now = time.monotonic()
            self._recent = {uid: times for uid, times in self._recent.items() if times and now - times[-1] < MINUTE}
        if len(self._recent) > MOST_WAITING:
            self._recent.clear()  # a flood: better a few events too many than memory without end

    async def write(self) -> None:
        """Write queued events until cancelled."""
        while True:
            event = await self._waiting.get()
            try:
                await self._post(event)
            except asyncio.CancelledError:
                self._cut.append(event)
                raise

    async def drain(self, seconds: float) -> None:
        """Give waiting events a moment before the process ends."""
        try:
            async with asyncio.timeout(seconds):
                while self._cut or not self._waiting.empty():
                    await self._post(self._cut.pop() if self._cut else self._waiting.get_nowait())
        except TimeoutError:
            log.warning("%d events were not written", 1 + self._waiting.qsize())

    async def _post(self, event: Manifest) -> None:
        namespace = event["metadata"]["namespace"]
        try:
            await self._api.request("POST", f"/api/v1/namespaces/{namespace}/events", body=event)
        except ClusterError as error:
            if error.reason == "AlreadyExists":
                return  # its name is random: it was written, and only the answer got lost
            # A namespace that is being deleted takes no Events: that is no news.
            log.log(logging.DEBUG if error.ending else logging.WARNING, "an event was not written: %s", error)
        except Exception:
            log.exception("an event was not written")  # one event must not end all of them

    def _event(self, owner: Manifest, type_: str, reason: str, message: str) -> Manifest:
        meta = owner["metadata"]
        now = datetime.now(UTC)
        name = f"{meta['name']}.{secrets.token_hex(8)}"
        stamp = now.isoformat(timespec="seconds").replace("+00:00", "Z")
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": meta["namespace"]},
            "involvedObject": {
                "apiVersion": owner["apiVersion"],
                "kind": owner["kind"],
                "name": meta["name"],
                "namespace": meta["namespace"],
                "uid": meta["uid"],
                "resourceVersion": meta.get("resourceVersion", ""),
            },
            "type": type_,
            "reason": reason,
            "message": message,
            "firstTimestamp": stamp,
            "lastTimestamp": stamp,
            "count": 1,
            "source": {"component": "fairway"},
            "reportingComponent": "fairway.dev/operator",
            "reportingInstance": self._instance,
        }
