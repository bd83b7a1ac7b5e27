"""Whether the candidate gets the share of the requests that the router was told: the sample ratio."""

import math
from dataclasses import dataclass

from fairway.core.counts import Interval
from fairway.core.mixture import log_mean

CERTAIN = math.log(1000)
"""ln of the e-value from which a mismatch is believed."""
FACTOR = 2.0
"""A share within its weight / 2 .. weight * 2 is never a mismatch, however certain the difference."""
_ODDS = tuple(2.0**k for k in range(-6, 7) if k)
"""Alternatives: multiples of the odds ``weight : 100 - weight``."""


@dataclass(frozen=True, slots=True)
class Shares:
    """Requests since ``weight`` is served; the counts are sufficient while it does not change."""

    weight: int = 0
    candidate: float = 0.0
    stable: float = 0.0

    def plus(self, interval: Interval, weight: int, settled: float | None) -> "Shares":
        """Return the requests with one more interval; another weight starts anew, a change of it is left out."""
        if settled is None or interval.end - interval.scrape < settled:
            return self
        before = self if self.weight == weight else Shares(weight)
        candidate, stable = interval.candidate.requests, interval.stable.requests
        return Shares(weight, before.candidate + candidate, before.stable + stable)

    @property
    def share(self) -> float | None:
        """The candidate's share of the requests, 0..1."""
        total = self.candidate + self.stable
        return self.candidate / total if total > 0 else None

    @property
    def log_e_value(self) -> float:
        """Return ln of the evidence against a split by weight.

        ``mean_j (w_j / w)^n_c ((1 - w_j) / (1 - w))^n_s`` over alternatives ``w_j``: a mixture of binomial likelihood
        ratios, valid at every look (Lindon & Malek, NeurIPS 2022, on sample ratio mismatches).
        """
        if not 0 < self.weight < 100:  # noqa: PLR2004
            return 0.0
        w = self.weight / 100
        total = self.candidate + self.stable
        return log_mean([self.candidate * math.log(odds) - total * math.log(w * odds + 1 - w) for odds in _ODDS])

    @property
    def mismatch(self) -> bool:
        """Whether either revision's share is surely outside half to twice its weight."""
        share = self.share
        if share is None:
            return False
        weight = self.weight / 100
        pairs = ((share, weight), (1 - share, 1 - weight))
        is_strange = any(not expected / FACTOR <= seen <= expected * FACTOR for seen, expected in pairs)
        return is_strange and self.log_e_value >= CERTAIN
