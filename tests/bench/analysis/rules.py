"""What the field does instead: "more than x over w seconds, looked at every i seconds, k such looks allowed"."""

from dataclasses import dataclass

import numpy as np

from tests.bench.analysis.scenario import SCRAPE, Scenario
from tests.bench.analysis.simulate import Trace


@dataclass(frozen=True)
class Rule:
    """A threshold on the rate in a window; ``allowed`` looks may fail, the next one rolls back."""

    factor: float
    """The threshold, in objectives' limits."""
    window: float
    every: float
    allowed: int

    @property
    def name(self) -> str:
        """For people."""
        threshold = "limit" if self.factor == 1 else f"{self.factor:g}x limit"
        return f"> {threshold} over {self.window:g} s, every {self.every:g} s, {self.allowed} allowed"

    def judge(self, scenario: Scenario, trace: Trace) -> float | None:
        """Return the seconds until it rolls back, None if never; a window without requests is no failure."""
        window, every = round(self.window / SCRAPE), round(self.every / SCRAPE)
        n, e = (np.concatenate(([0], np.cumsum(column))) for column in (trace.n_c, trace.e_c))
        ends = np.arange(every, len(n), every)
        starts = np.maximum(0, ends - window)
        seen, bad = n[ends] - n[starts], e[ends] - e[starts]
        failed = np.flatnonzero((seen > 0) & (bad > self.factor * scenario.plan.limit * seen))
        return float(ends[failed[self.allowed]] * SCRAPE) if len(failed) > self.allowed else None


RULES = (
    Rule(1, window=60, every=30, allowed=0),
    Rule(1, window=60, every=60, allowed=4),
    Rule(1, window=300, every=60, allowed=2),
    Rule(5, window=300, every=60, allowed=2),
)
