"""What the generator saw: one sample per request, and the sums over them."""

import itertools
import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any

SHOWN_LOSSES = 50
NO_VERSION = ""  # the version of an answer that named none, and of no answer at all


class Outcome(Enum):
    """What became of a request."""

    OK = "ok"
    INJECTED = "injected"
    LOST = "lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One request. Times in seconds.

    `at`: when it was sent, since the epoch. `latency`: from there to the answer's last byte; a wait for a free
    connection of the bounded pool is part of it, or a slow server would look faster the fuller the pool is.
    """

    at: float
    lag: float  # how much later than planned it was sent: the generator's own doing, never the server's
    latency: float
    status: int | None  # None: no status line came
    version: str = NO_VERSION
    fault: str = ""
    server: str = ""  # what the server that answered calls itself; a gateway may say nothing
    error: str = ""
    reused: bool = False  # sent on a kept-alive connection

    @property
    def outcome(self) -> Outcome:
        """Ok is a whole 2xx answer; injected a 500 that says by whom and why; everything else is lost."""
        if self.error or self.status is None:
            return Outcome.LOST
        if 200 <= self.status < 300:
            return Outcome.OK
        if self.status == 500 and self.version and self.fault == "injected":
            return Outcome.INJECTED
        return Outcome.LOST

    @property
    def done(self) -> float:
        """When the answer was complete or the error known, in seconds since the epoch."""
        return self.at + self.latency


@dataclass(frozen=True, slots=True)
class Loss:
    """One lost request, for a person to read. `reused` with a disconnect: the peer closed a connection in use."""

    at: float
    status: int | None
    error: str
    version: str
    reused: bool


def quantile(values: Iterable[float], q: float) -> float:
    """Nearest-rank quantile, NaN of nothing: an observed value, as a histogram's bucket would hold it."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(q * len(ordered)) - 1)] if ordered else math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The outcome of a load. `unsent`: due but over the in-flight bound; `cancelled`: in flight at a hard stop."""

    started: float
    samples: tuple[Sample, ...]
    unsent: int = 0
    cancelled: int = 0

    @property
    def requests(self) -> int:
        """How many requests were sent and ended."""
        return len(self.samples)

    @property
    def lost(self) -> int:
        """How many requests ended in anything but a whole 2xx or an injected failure."""
        return sum(sample.outcome is Outcome.LOST for sample in self.samples)

    @property
    def losses(self) -> list[Loss]:
        """The first 50 lost requests in the order of their end."""
        lost = (sample for sample in self.samples if sample.outcome is Outcome.LOST)
        first = itertools.islice(lost, SHOWN_LOSSES)
        return [Loss(s.at, s.status, s.error, s.version, s.reused) for s in first]

    @property
    def by_version(self) -> dict[str, dict[str, Any]]:
        """Per version: requests, ok, injected, lost; p50 and p99 in seconds over all its answers, as servers count."""
        groups: dict[str, list[Sample]] = defaultdict(list)
        for sample in self.samples:
            groups[sample.version].append(sample)
        return {version: _sums(groups[version]) for version in sorted(groups)}

    @property
    def timeline(self) -> dict[int, dict[str, dict[str, int]]]:
        """Second since the start (by send time) -> version -> counts of requests, ok, injected and lost."""
        seconds: dict[int, dict[str, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
        for sample in self.samples:
            seconds[int(sample.at - self.started)][sample.version].update(("requests", sample.outcome.value))
        return {
            second: {version: dict(counts) for version, counts in sorted(seconds[second].items())}
            for second in sorted(seconds)
        }

    def first_bad_answer(self, version: str) -> float | None:
        """When the first injected or lost answer of this version arrived, in seconds since the epoch."""
        bad = (s.done for s in self.samples if s.version == version and s.outcome is not Outcome.OK)
        return min(bad, default=None)

    def last_answer(self, version: str) -> float | None:
        """When the last request was sent that this version answered: after it the router sent it none."""
        return max((s.at for s in self.samples if s.version == version), default=None)

    def share(self, version: str, *, since: float = 0.0, until: float = math.inf) -> float:
        """Share of this version in the requests sent in [since, until) epoch seconds that named one; NaN of none."""
        named = [s.version for s in self.samples if since <= s.at < until and s.version]
        return named.count(version) / len(named) if named else math.nan

    def summary(self) -> dict[str, Any]:
        """Everything but the samples and the timeline, ready for JSON."""
        return {
            "started": self.started,
            "requests": self.requests,
            "lost": self.lost,
            "unsent": self.unsent,
            "cancelled": self.cancelled,
            "statuses": dict(sorted(Counter(str(sample.status) for sample in self.samples).items())),
            "lag_p99": _finite(quantile((sample.lag for sample in self.samples), 0.99)),
            "by_version": self.by_version,
            "first_bad_answer": {version: self.first_bad_answer(version) for version in self.by_version},
            "losses": [
                {"at": x.at, "status": x.status, "error": x.error, "version": x.version, "reused": x.reused}
                for x in self.losses
            ],
        }

    def dump(self) -> str:
        """The summary and the timeline as JSON text."""
        return json.dumps({**self.summary(), "timeline": self.timeline}, indent=1, allow_nan=False)


def _sums(samples: list[Sample]) -> dict[str, Any]:
    outcomes = Counter(sample.outcome for sample in samples)
    latencies = [sample.latency for sample in samples]
    return {
        "requests": len(samples),
        **{outcome.value: outcomes[outcome] for outcome in Outcome},
        "p50": quantile(latencies, 0.5),
        "p99": quantile(latencies, 0.99),
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
