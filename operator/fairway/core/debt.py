"""Bad requests that were none: where two counters tell which requests failed, they do not move at the same moment.

A request between the two at a scrape looks failed, and in a later scrape as if one more had succeeded than was asked.
So a negative number of bad requests takes back what was counted before, as far as that goes, and is paid with the next
ones: over a run there are too many by no more than were between the counters at once, instead of some more with each
scrape. Buckets of a busy histogram, which are not read at one moment either, are treated alike.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

from fairway.core.counters import Count


class Owed(NamedTuple):
    """What the evidence holds too much of bad requests of both revisions, as numbers that are at most 0."""

    candidate: Count = Count()
    stable: Count = Count()


@dataclass(slots=True)
class Account:
    """What one revision was counted as bad, and what of it is owed.

    It is the evidence that owes, not a pod or a process: what was counted too much stays in it when they end, and so
    does the debt. It never exceeds what was counted as bad: neither requests that were between the counters at the
    first sample nor a restart that only one of them shows may take back, and so hide, what was never counted.
    """

    owed: Count = field(default_factory=Count)
    bad: Count = field(default_factory=Count)
    """All that was counted."""

    def settle(self, did: Count) -> Count:
        """Return what to count of an interval: what is owed is paid first, and no number is negative."""
        bad, strict = did.bad + self.owed.bad, did.strict + self.owed.strict
        counted = Count(did.requests, bad, strict).clamped()
        self.bad += Count(0.0, counted.bad, counted.strict)
        self.owed = Count(0.0, max(min(bad, 0.0), -self.bad.bad), max(min(strict, 0.0), -self.bad.strict))
        return counted
