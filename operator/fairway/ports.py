"""What the engine needs from the world. Adapters implement these; tests bring fakes of them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from fairway.core.verdict import Key, SeriesMatcher

Manifest = dict[str, Any]


class Clock(Protocol):
    """The only source of time."""

    def now(self) -> float:
        """Seconds since the epoch."""
        ...


# --- the API server ---------------------------------------------------------------------------------------------


class ClusterError(Exception):
    """A write or read the API server did not accept. ``status`` is the HTTP code, 0 when there was no answer."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status = status
        self.retry_after: float | None = None
        self.reason = reason
        self.message = message

    @property
    def conflict(self) -> bool:
        """Somebody else wrote in between: observe again, then decide again."""
        return self.status == 409 and self.reason not in ("AlreadyExists", "NameTaken")  # noqa: PLR2004

    @property
    def temporary(self) -> bool:
        """Tried again and most likely over: nobody needs to hear of it. A broken webhook's 5xx lasts until told."""
        return self.conflict or self.status in (0, 404, 408, 429)

    @property
    def ending(self) -> bool:
        """The namespace is being deleted: nothing is created in it any more, and trying again is pointless."""
        return self.reason == "NamespaceTerminating"


class Cluster(Protocol):
    """Writes to the API server. Every method returns the stored object and raises ClusterError."""

    async def create(self, manifest: Manifest) -> Manifest:
        """Create a child, or return our own that is there as it is; fails with NameTaken for a stranger's."""
        ...

    async def apply(self, manifest: Manifest, live: Manifest) -> Manifest:
        """Server-side apply of our fields over the object that is there."""
        ...

    async def scale(self, manifest: Manifest, replicas: int) -> None:
        """Set a Deployment's replicas through its scale subresource, as the manager of replicas alone."""
        ...

    async def delete(self, live: Manifest) -> None:
        """Delete exactly this object (by UID); gone already is fine."""
        ...

    async def write_status(self, owner: Manifest, status: Manifest) -> Manifest:
        """Replace the status of a ModelDeployment if nobody has written it since ``owner`` was read."""
        ...

    async def list(self, plural: str, group_version: str, namespace: str | None, selector: str) -> list[Manifest]:
        """List one kind, paged."""
        ...


class Recorder(Protocol):
    """Kubernetes Events about a ModelDeployment. Never fails, never blocks a pass."""

    def event(self, owner: Manifest, *, type_: str, reason: str, message: str) -> None:
        """Record one Event."""
        ...


class Store(Protocol):
    """What the watches have seen. Read by passes, written by the watches and by our own writes."""

    def deployment_of_model(self, key: Key) -> Manifest | None:
        """Return the ModelDeployment itself."""
        ...

    def children(self, owner_uid: str) -> Sequence[Manifest]:
        """Return every object that carries the owner's UID label, pods included."""
        ...

    def runtimes(self) -> Mapping[str, Manifest]:
        """Return every ModelRuntime by name."""
        ...

    def gateway(self, namespace: str, name: str) -> Manifest | None:
        """Return a Gateway."""
        ...

    def all_models(self) -> Sequence[Manifest]:
        """Return every ModelDeployment."""
        ...

    def serves(self, kind: str) -> bool:
        """Return whether the API server knows this kind, as far as was seen."""
        ...

    def put(self, manifest: Manifest) -> None:
        """Remember an object that we just wrote, unless a newer one is known."""
        ...

    def drop(self, manifest: Manifest) -> None:
        """Forget an object that we just deleted."""
        ...


# --- metrics ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Selector:
    """The series of one metric that belong to some pods: becomes one escaped PromQL selector."""

    metric: str
    matchers: tuple[SeriesMatcher, ...] = ()


@dataclass(frozen=True, slots=True)
class RawSeries:
    """One counter's raw samples, oldest first, as two equally long columns."""

    labels: Mapping[str, str]
    times: tuple[float, ...] = ()
    """Epoch seconds."""
    values: tuple[float, ...] = ()

    @classmethod
    def of(cls, labels: Mapping[str, str], samples: Iterable[tuple[float, float]]) -> "RawSeries":
        """Make one of pairs of a time and a value, oldest first."""
        times, values = tuple(zip(*samples, strict=True)) or ((), ())
        return cls(labels, times, values)


class MetricsError(Exception):
    """The provider gave no usable answer: refused, timeout, non-200, not JSON, warning, oversize."""


class QueryRefusedError(MetricsError):
    """The provider is well and cannot answer this query."""


class TooLargeError(MetricsError):
    """The answer is over the size cap: ask for fewer series."""


class MetricsSource(Protocol):
    """A Prometheus-compatible provider."""

    async def raw(self, selectors: Sequence[Selector], window: float) -> list[RawSeries]:
        """Return the raw samples of all selectors in the last ``window`` seconds, in one query.

        Raises MetricsError for anything but a complete answer, TooLargeError for one over the size cap. Values come as
        the provider has them, NaN and Inf included: they are one model's trouble, not everybody's.
        """
        ...

    async def query(self, promql: str) -> list[float]:
        """Return the numbers that a query gives now, one for each of its series; NaN and Inf included.

        Raises MetricsError, and QueryRefusedError where the query is to blame.
        """
        ...


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A provider as the analysis asks it."""

    name: str
    source: MetricsSource
    scrape_interval: float | None = None
    """Seconds; None to take it from the samples."""
    revision_label: str | None = None
    """The label of its series that holds the revision; None where the pods' names tell it."""
