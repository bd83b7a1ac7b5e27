"""Leader election by a Lease: one process acts, and knows when it may not any more."""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable
from datetime import UTC, datetime
from typing import Any, Protocol

from fairway.ports import ClusterError, Manifest

log = logging.getLogger(__name__)


class Api(Protocol):
    """The one call of the API client that the elector uses."""

    def request(self, method: str, url: str, *, body: Any = None) -> Awaitable[Manifest]:
        """Make one request; raises ClusterError."""
        ...


class LeaseLostError(Exception):
    """Somebody else may be acting now: stop before the next write."""


class Elector:
    """Holds a ``coordination.k8s.io`` Lease and renews it.

    Other holders' clocks are not trusted: a lease has expired when it has not changed for its duration by our own
    monotonic clock, as client-go does it. ``guard`` compares the same clock, so a process that was frozen notices.
    """

    def __init__(self, api: Api, *, namespace: str, name: str, identity: str, duration: float = 15.0) -> None:
        self._api = api
        self._namespace, self._name, self._identity = namespace, name, identity
        self._duration = duration
        self._seen: tuple[str, float] = ("", 0.0)
        self._valid_until = 0.0
        self._others_until = 0.0

    @property
    def leading(self) -> bool:
        """Whether we hold the lease by our own clock."""
        return time.monotonic() < self._valid_until

    def guard(self) -> None:
        """Raise LeaseLostError unless we may write."""
        if not self.leading:
            raise LeaseLostError(f"the lease {self._name} is not ours any more")

    async def acquire(self) -> None:
        """Wait until the lease is ours."""
        log.info("waiting to lead", extra={"lease": self._name, "identity": self._identity})
        while True:
            try:
                if await self._try():
                    log.info("leading", extra={"lease": self._name, "identity": self._identity})
                    return
            except ClusterError as error:
                log.warning("cannot reach the lease: %s", error)
            await asyncio.sleep(self._duration / 7 * random.uniform(0.8, 1.2))  # noqa: S311

    async def renew(self) -> None:
        """Keep the lease; raises LeaseLostError when it is lost or cannot be renewed in time."""
        while True:
            await asyncio.sleep(self._duration / 5)
            try:
                async with asyncio.timeout(max(0.1, self._valid_until - time.monotonic())):
                    held = await self._try()
            except (ClusterError, TimeoutError) as error:
                log.warning("cannot renew the lease: %s", error)
                held = True
            if not held or not self.leading:
                self._valid_until = 0.0
                raise LeaseLostError(f"the lease {self._name} was lost")

    async def release(self) -> None:
        """Let a successor start at once."""
        if not self.leading:
            return
        try:
            lease = await self._api.request("GET", self._url)
            if lease["spec"].get("holderIdentity") == self._identity:
                lease["spec"].update(holderIdentity="", leaseDurationSeconds=1)
                await self._api.request("PUT", self._url, body=lease)
        except ClusterError as error:
            log.warning("the lease could not be released, it will expire: %s", error)
        self._valid_until = 0.0

    @property
    def _url(self) -> str:
        return f"/apis/coordination.k8s.io/v1/namespaces/{self._namespace}/leases/{self._name}"

    async def _try(self) -> bool:
        asked_at = time.monotonic()
        try:
            lease = await self._api.request("GET", self._url)
        except ClusterError as error:
            if error.status != 404:  # noqa: PLR2004
                raise
            if asked_at < self._others_until:
                return False  # its holder may not know yet that it was deleted
            await self._api.request("POST", self._url.rsplit("/", 1)[0], body=self._lease(None))
            self._valid_until = asked_at + self._margin
            return True
        spec, version = lease.get("spec", {}), lease["metadata"]["resourceVersion"]
        if version != self._seen[0]:
            self._seen = (version, asked_at)
        holder = spec.get("holderIdentity")
        if holder not in (self._identity, "", None):
            self._others_until = self._seen[1] + float(spec.get("leaseDurationSeconds") or self._duration)
            if asked_at < self._others_until:
                return False
        stored = await self._put(lease)
        if stored is None:
            return False
        self._seen = (stored["metadata"]["resourceVersion"], asked_at)
        self._valid_until = asked_at + self._margin
        return True

    async def _put(self, lease: Manifest) -> Manifest | None:
        """Write our hold. A conflict may be our own write whose answer was lost: then it counts."""
        try:
            return await self._api.request("PUT", self._url, body=self._lease(lease))
        except ClusterError as error:
            if not error.conflict:
                raise
        found = await self._api.request("GET", self._url)
        return found if found.get("spec", {}).get("holderIdentity") == self._identity else None

    @property
    def _margin(self) -> float:
        """We stop a little before others may start."""
        return self._duration * 2 / 3

    def _lease(self, old: Manifest | None) -> Manifest:
        spec = old.get("spec", {}) if old else {}
        now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        ours = spec.get("holderIdentity") == self._identity
        metadata: dict[str, Any] = {"name": self._name, "namespace": self._namespace}
        if old:
            metadata["resourceVersion"] = old["metadata"]["resourceVersion"]
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": metadata,
            "spec": {
                "holderIdentity": self._identity,
                "leaseDurationSeconds": round(self._duration),
                "acquireTime": spec.get("acquireTime", now) if ours else now,
                "renewTime": now,
                "leaseTransitions": spec.get("leaseTransitions", 0) + (0 if ours else 1),
            },
        }
