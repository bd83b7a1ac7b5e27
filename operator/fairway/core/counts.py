"""From cumulative counts to requests and bad requests per scrape interval, each request counted exactly once.

Not ``rate()`` and not ``increase()``: those extrapolate, and they lose a new pod's first requests.
"""

import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from operator import attrgetter, sub
from statistics import median
from typing import NamedTuple

from fairway.core.counters import Count, Origin, Rows
from fairway.core.debt import Account, Owed
from fairway.core.objectives import Side

LATE = 1.5
"""Scrape intervals after which an interval closes without those that did not report (design: analysis.md)."""
EARLY = 0.1
"""Part of a scrape interval by which a first boundary lies before a sample, so that jitter does not cross it."""
_RECENT = 10
_FORGET = 7200.0
Target = tuple[str, tuple[str, ...]]
"""A pod and the scrape target through which its series come."""


@dataclass(frozen=True, slots=True)
class Interval:
    """What both revisions did in one scrape interval that ended at ``end`` (epoch seconds)."""

    end: float
    scrape: float
    """Seconds between two scrapes."""
    candidate: Count
    stable: Count
    bad_from: float | None = None
    """Time of the first and the last sample in which the candidate had bad requests."""
    bad_to: float | None = None
    counted: bool = True
    """False where the interval ended before the run's evidence begins: it only tells how bursty stable is."""
    span: float = 1.0
    """Scrapes' worth of requests that stable's counts hold: more than one where scrapes were missed."""
    owed: Owed = field(default_factory=Owed)
    """What all counted intervals until this one hold too much."""


class _Tick(NamedTuple):
    """What one pod did between two of its scrapes; ``at`` is the later one."""

    at: float
    pod: str
    side: Side
    did: Count
    since: float
    """Time of the earlier one; -inf where there was none."""


@dataclass(slots=True)
class Tally:
    """Counts one objective of one run, interval by interval; all of its state is explicit.

    ``after`` is where the evidence begins (epoch seconds): the confirmed route, or with ``resumed`` the end of the last
    interval in a checkpoint, which then is an exact boundary, and which pods are in the checkpoint is not known.

    The CANDIDATE's scrapes delimit the intervals: one closes at its newest sample as soon as all pods that reported in
    the interval before have reported again, so nobody's phase delays a detection by more than the candidate's own.
    """

    after: float
    resumed: bool = False
    setting: float | None = None
    """The provider's scrape interval in seconds, if the admin told it; else the median gap of the samples."""
    whole: bool = True
    """False where not all samples since ``after`` were asked for, so that a pod that shows late need not be new."""
    accounts: dict[Side, Account] = field(default_factory=dict)
    """What the evidence holds of bad requests, with ``resumed`` that in the checkpoint."""
    scrape: float | None = None
    start: float | None = None
    """End of the last closed interval."""
    newest: dict[Side, float] = field(default_factory=dict)
    """Time of the last sample of each revision."""
    _last: dict[Origin, tuple[float, Count]] = field(default_factory=dict)
    _seen: dict[Target, float] = field(default_factory=dict)
    _scrapes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    _pending: list[_Tick] = field(default_factory=list)
    _live: frozenset[str] = frozenset()
    _before: dict[Side, Account] = field(default_factory=dict)
    """The same of the time before the evidence, which pays nothing for it."""

    @property
    def waiting(self) -> bool:
        """Whether a sample of the candidate waits for its interval to close."""
        return any(tick.side == "candidate" for tick in self._pending)

    def absorb(self, candidate: dict[Origin, Rows], stable: dict[Origin, Rows], now: float) -> list[Interval]:
        """Count what is new in these samples and return the intervals that it closes, oldest first."""
        rows = [*candidate.values(), *stable.values()]
        if not rows:
            return []
        self.scrape = self.setting or _median_gap(rows) or self.scrape
        earliest = min([row.times[0] for row in rows])
        if self.scrape is None:
            return []
        if self.start is None:
            self.start = earliest - EARLY * self.scrape
        fresh = self._count("candidate", candidate, earliest) + self._count("stable", stable, earliest)
        if self.start >= self.after:  # An answer that reaches back further than others shows what is not to count.
            fresh = [tick for tick in fresh if tick.at > self.after]
        self._pending = sorted([*self._pending, *fresh], key=attrgetter("at"))
        self._forget()
        return list(self._close(now))

    # Each of the following counts a sample once: what is known goes on from its last value, the rest by its birth.

    def _count(self, side: Side, groups: dict[Origin, Rows], earliest: float) -> list[_Tick]:
        ticks: dict[tuple[float, str], tuple[Count, float]] = {}
        for target, members in self._targets(groups).items():
            baseline = self._seen.get(target)
            if baseline is None:
                baseline = self._first_sight(target[0], min([rows.times[0] for rows in members.values()]), earliest)
            for origin, rows in members.items():
                for at, count, since in self._advance(origin, rows, baseline):
                    same = ticks.get((at, target[0]))
                    ticks[at, target[0]] = (same[0] + count, max(same[1], since)) if same else (count, since)
            newest = _newest(members)
            self._seen[target] = max(newest, baseline)
            self.newest[side] = max(newest, self.newest.get(side, newest))
        return [_Tick(at, pod, side, count, since) for (at, pod), (count, since) in ticks.items()]

    def _targets(self, groups: dict[Origin, Rows]) -> dict[Target, dict[Origin, Rows]]:
        """Group by pod, and keep one scrape target of each: a pod scraped by two jobs must not count twice."""
        targets: dict[Target, dict[Origin, Rows]] = {}
        for origin, rows in groups.items():
            targets.setdefault((origin.pod, origin.scrape), {})[origin] = rows
        scrapes: dict[str, list[tuple[str, ...]]] = {}
        for pod, scrape in sorted(targets):
            scrapes.setdefault(pod, []).append(scrape)
        for pod, offered in scrapes.items():
            if self._scrapes.get(pod) not in offered:
                self._scrapes[pod] = max(offered, key=lambda scrape: _newest(targets[pod, scrape]))
        return {target: members for target, members in targets.items() if self._scrapes[target[0]] == target[1]}

    def _first_sight(self, pod: str, first: float, earliest: float) -> float:
        """Return the time of a new target's baseline; -inf where it was born under our eyes and counts from 0.

        It was if its first sample is after the last closed interval, the provider's data reach back before it (a
        provider that lost its data shows only such targets), and no other scrape job has shown the pod before. After a
        restart nobody knows whether it has: a pod that was not scraped for a while may be in the checkpoint, so what a
        new one did until its first sample is given up, lest what an old one did counts twice. Likewise where not all
        samples were asked for.
        """
        assert self.scrape is not None
        assert self.start is not None
        horizon = max(self.after, self.start)
        known = pod in {other for other, _ in self._seen}
        sure = self.whole and not self.resumed
        born = sure and not known and first > horizon and first > earliest + LATE * self.scrape
        return -math.inf if born else first

    def _advance(self, origin: Origin, rows: Rows, baseline: float) -> Iterator[tuple[float, Count, float]]:
        known = self._last.get(origin)
        if known is None:
            before = bisect_right(rows.times, baseline)
            known = rows[before - 1] if before else (baseline, Count())
        for index in range(bisect_right(rows.times, known[0]), len(rows.times)):
            row = rows[index]
            yield row[0], row[1].since(known[1]), known[0]
            known = row
        self._last[origin] = known

    def _forget(self) -> None:
        horizon = max(self.newest.values()) - _FORGET
        # Hardly ever is anything that old, and to see that is cheaper than to copy everything.
        if min(self._seen.values()) > horizon and min([at for at, _ in self._last.values()]) > horizon:
            return
        self._seen = {target: at for target, at in self._seen.items() if at > horizon}
        self._last = {origin: row for origin, row in self._last.items() if row[0] > horizon}
        self._scrapes = {pod: scrape for pod, scrape in self._scrapes.items() if (pod, scrape) in self._seen}

    # The grid.

    def _close(self, now: float) -> Iterator[Interval]:
        while (end := self._end(now)) is not None:
            assert self.start is not None
            if self.resumed and self.start < self.after < end:
                end = self.after
            inside = [tick for tick in self._pending if tick.at <= end]
            self._pending = [tick for tick in self._pending if tick.at > end]
            self._live = frozenset([tick.pod for tick in inside])
            self.start = end
            if inside and not (self.resumed and end <= self.after):  # those are in the checkpoint, their bursts too
                yield self._interval(end, inside)

    def _end(self, now: float) -> float | None:
        """Return where the open interval ends, None while it should stay open."""
        assert self.start is not None
        assert self.scrape is not None
        if not self._pending:
            return None
        limit = self.start + LATE * self.scrape
        if self._pending[0].at > limit:
            return self._pending[0].at - EARLY * self.scrape
        newest: float | None = None
        reported: set[str] = set()
        for tick in self._pending:
            if tick.at > limit:
                break
            if tick.at > self.start:
                reported.add(tick.pod)
                newest = tick.at if tick.side == "candidate" else newest
            if newest is not None and self._live <= reported:
                return newest
        if max(now, self._pending[-1].at) <= limit:
            return None
        return newest or self.start + self.scrape

    def _interval(self, end: float, ticks: Sequence[_Tick]) -> Interval:
        assert self.scrape is not None
        counted = end > self.after
        accounts = self.accounts if counted else self._before
        ours, theirs = (accounts.setdefault(side, Account()) for side in ("candidate", "stable"))
        candidate, stable = ours.settle(_sum(ticks, "candidate")), theirs.settle(_sum(ticks, "stable"))
        # Where all bad requests pay for earlier ones, the scrape is none of those that a conviction needs two of.
        bad = [tick.at for tick in ticks if tick.side == "candidate" and tick.did.bad > 0 and candidate.bad > 0]
        return Interval(
            end=end,
            span=_span(ticks, self.scrape),
            scrape=self.scrape,
            candidate=candidate,
            stable=stable,
            bad_from=min(bad, default=None),
            bad_to=max(bad, default=None),
            counted=counted,
            owed=Owed(ours.owed, theirs.owed),
        )


def _sum(ticks: Sequence[_Tick], side: Side) -> Count:
    requests = bad = strict = 0.0
    for tick in ticks:
        if tick.side == side:
            requests += tick.did.requests
            bad += tick.did.bad
            strict += tick.did.strict
    return Count(requests, bad, strict)


def _newest(groups: dict[Origin, Rows]) -> float:
    return max([rows.times[-1] for rows in groups.values()])


def _median_gap(rows: Iterable[Rows]) -> float | None:
    gaps: list[float] = []
    for one in rows:
        recent = one.times[-_RECENT:]
        gaps += map(sub, recent[1:], recent)
    return median(gaps) if gaps else None


def _span(ticks: Iterable[_Tick], scrape: float) -> float:
    """Return how many scrapes' worth of requests stable has here, each pod by its own pace; 1 if none was missed."""
    requests = pace = 0.0
    for tick in ticks:
        if tick.side == "stable":
            requests += tick.did.requests
            pace += tick.did.requests / ((tick.at - tick.since) / scrape if tick.since > -math.inf else 1.0)
    return requests / pace if requests > LATE * pace else 1.0
