"""From raw series to cumulative requests and bad requests, one row per scrape."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from fairway.core.objectives import Edges, weights
from fairway.core.verdict import ObjectivePlan

_SCRAPE_LABELS = ("job", "instance", "prometheus", "prometheus_replica")
_NOT_IDENTITY = "le"
_PLAUSIBLE = 1e15


class Samples(Protocol):
    """One series as a provider returns it: its labels, and equally long columns of epoch seconds and values."""

    @property
    def labels(self) -> Mapping[str, str]: ...  # noqa: D102
    @property
    def times(self) -> tuple[float, ...]: ...  # noqa: D102
    @property
    def values(self) -> tuple[float, ...]: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Count:
    """Requests, and how many of them are surely bad (``bad``) and perhaps bad (``strict``, at least ``bad``).

    The two differ only for latencies without a bucket at the limit.
    """

    requests: float = 0.0
    bad: float = 0.0
    strict: float = 0.0

    def __add__(self, other: "Count") -> "Count":
        return Count(self.requests + other.requests, self.bad + other.bad, self.strict + other.strict)

    def since(self, before: "Count") -> "Count":
        """Return the increase of cumulative counts; after a reset everything since the process started.

        A histogram's counters reset together, so any falling one makes all of them count from 0.
        """
        good, good_before = self.requests - self.bad, before.requests - before.bad
        fast, fast_before = self.requests - self.strict, before.requests - before.strict
        if self.requests == before.requests == 0:  # a second counter, of failed or of good requests alone
            fell = abs(self.bad) < abs(before.bad)
        else:
            fell = self.requests < before.requests or good < good_before or fast < fast_before
        if fell:
            before = Count()
        return Count(self.requests - before.requests, self.bad - before.bad, self.strict - before.strict)

    def clamped(self) -> "Count":
        """Return the same with 0 <= bad <= requests: histograms of busy servers are not read atomically."""
        return Count(self.requests, min(max(self.bad, 0.0), self.requests), min(max(self.strict, 0.0), self.requests))


class Origin(NamedTuple):
    """Where cumulative counts come from: a pod, through one scrape target, under one set of labels."""

    pod: str
    scrape: tuple[str, ...]
    labels: frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Rows:
    """Cumulative counts by time, oldest first: equally long columns, for most rows have been counted before."""

    times: Sequence[float]
    requests: Sequence[float]
    good: Sequence[float]
    """Requests that are not bad, ..."""
    fast: Sequence[float]
    """... and those that are not even perhaps bad."""

    def __getitem__(self, index: int) -> tuple[float, Count]:
        """Return one row: its time and what was counted until then."""
        total = self.requests[index]
        return self.times[index], Count(total, total - self.good[index], total - self.fast[index])


def is_plausible(series: Iterable[Samples]) -> bool:
    """Return whether every value can be a counter's: neither NaN, nor Inf, nor negative, nor absurd."""
    return all(0 <= value <= _PLAUSIBLE for one in series for value in one.values)


def common_edges(series: Iterable[Samples]) -> set[float]:
    """Return the bucket edges that every histogram among the series has (a new version may have others)."""
    edges: dict[Origin, set[float]] = {}
    for one in series:
        edges.setdefault(_origin(one.labels), set()).add(_le(one.labels))
    return set.intersection(*edges.values()) if edges else set()


def cumulate(objective: ObjectivePlan, edges: Edges | None, series: Iterable[Samples]) -> dict[Origin, Rows]:
    """Reduce series to cumulative counts; ``edges`` are a latency objective's buckets."""
    if objective.kind == "latency":
        return _histograms(edges, series) if edges else {}
    rows: dict[Origin, Rows] = {}
    for one in series:
        if one.times:
            each, bad = weights(objective, one.labels)
            good = _times(each - bad, one.values)
            rows[_origin(one.labels)] = Rows(one.times, _times(each, one.values), good, good)
    return rows


def _times(factor: int, values: Sequence[float]) -> Sequence[float]:
    return values if factor == 1 else [factor * value for value in values]


def _histograms(edges: Edges, series: Iterable[Samples]) -> dict[Origin, Rows]:
    histograms: dict[Origin, dict[float, Samples]] = {}
    for one in series:
        histograms.setdefault(_origin(one.labels), {})[_le(one.labels)] = one
    rows: dict[Origin, Rows] = {}
    for origin, by_edge in histograms.items():
        total, high, low = (_bucket(by_edge, edge) for edge in (math.inf, edges.high, edges.low))
        if total and high and low and (joined := _joined(total, high, low)):
            rows[origin] = joined
    return rows


def _joined(total: Samples, high: Samples, low: Samples) -> Rows | None:
    """Return the rows of a histogram; times that lack a bucket are skipped, the next one holds their requests, too."""
    if total.times == high.times == low.times:  # a scrape brings all buckets, or none
        return Rows(total.times, total.values, high.values, low.values) if total.times else None
    columns = [dict(zip(one.times, one.values, strict=True)) for one in (total, high, low)]
    times = [at for at in columns[0] if at in columns[1] and at in columns[2]]
    return Rows(times, *([column[at] for at in times] for column in columns)) if times else None


def _bucket(by_edge: Mapping[float, Samples], edge: float) -> Samples | None:
    if edge in by_edge:
        return by_edge[edge]
    return next((one for le, one in by_edge.items() if math.isclose(le, edge, rel_tol=1e-9)), None)


def _le(labels: Mapping[str, str]) -> float:
    try:
        return float(labels.get("le", ""))
    except ValueError:
        return math.nan


def _origin(labels: Mapping[str, str]) -> Origin:
    own = frozenset(labels.items())
    if _NOT_IDENTITY in labels:
        own -= {(_NOT_IDENTITY, labels[_NOT_IDENTITY])}
    return Origin(labels.get("pod", ""), tuple([labels.get(name, "") for name in _SCRAPE_LABELS]), own)
