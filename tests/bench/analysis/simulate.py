"""Draws a run's counts, and lets the product's own evidence look at them after every scrape."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from fairway.core.counters import Count
from fairway.core.counts import Interval
from fairway.core.evidence import Evidence, bar, is_fine, is_sufficient, weigh
from tests.bench.analysis.scenario import SCRAPE, Scenario

HISTORY = 180
"""Scrapes of stable that a new run looks back on, as the engine does."""
DAY = 1200.0
OUTAGE = (60.0, 120.0)


@dataclass(frozen=True)
class Trace:
    """Counts per scrape; ``history`` is stable's bad requests before the run."""

    n_c: np.ndarray
    e_c: np.ndarray
    n_s: np.ndarray
    e_s: np.ndarray
    history: np.ndarray

    def intervals(self) -> Iterator[Interval]:
        """The same as the product reads it."""
        for k, bad in enumerate(self.history.tolist()):
            yield _interval(SCRAPE * (k + 1 - HISTORY), (0, 0, bad + 1, bad), counted=False)
        columns = zip(*(c.tolist() for c in (self.n_c, self.e_c, self.n_s, self.e_s)), strict=True)
        for k, counts in enumerate(columns, 1):
            yield _interval(SCRAPE * k, counts)


@dataclass(frozen=True)
class Outcome:
    """Seconds until each verdict first held; None if it never did."""

    regressed: float | None
    healthy: float | None
    """M_ok reached its bound."""
    sufficient: float | None
    """minRequests within the limit: the other way to leave a step at its end."""


def draw(scenario: Scenario, dice: np.random.Generator) -> Trace:
    """Draw one run: requests are Poisson, each goes to the candidate with the probability of its weight."""
    steps = math.ceil(scenario.seconds / SCRAPE)
    times = SCRAPE * np.arange(1, steps + 1)
    swing = 1 + scenario.daily * np.sin(2 * np.pi * times / DAY + dice.uniform(0, 2 * np.pi))
    requests = dice.poisson(scenario.rps * SCRAPE * swing)
    n_c = dice.binomial(requests, scenario.weight / 100)
    n_s = requests - n_c
    shared = scenario.outage * ((times > OUTAGE[0]) & (times <= OUTAGE[1]))
    e_c = _bad(dice, n_c, scenario.rate * swing + shared, scenario.burst)
    e_s = _bad(dice, n_s, scenario.base * swing + shared, scenario.burst)
    before = dice.poisson(scenario.rps * SCRAPE * (1.0 if scenario.alone else 1 - scenario.weight / 100), HISTORY)
    return Trace(n_c, e_c, n_s, e_s, _bad(dice, before, np.full(HISTORY, scenario.base), scenario.burst))


def look(scenario: Scenario, trace: Trace) -> Outcome:
    """Look after every scrape until Regressed; the looks never stop for Healthy."""
    plan, terms = scenario.plan, bar(scenario.question)
    evidence, healthy, sufficient = Evidence(), None, None
    for interval in trace.intervals():
        evidence = weigh(evidence, plan, terms, interval)
        if evidence.fired:
            return Outcome(interval.end, healthy, sufficient)
        if healthy is None and is_fine(evidence, plan):
            healthy = interval.end
        if sufficient is None and is_sufficient(evidence, plan):
            sufficient = interval.end
    return Outcome(None, healthy, sufficient)


def _bad(dice: np.random.Generator, requests: np.ndarray, rate: np.ndarray, burst: int) -> np.ndarray:
    if burst == 1:
        return dice.binomial(requests, np.minimum(rate, 1.0))
    return np.minimum(requests, burst * dice.poisson(requests * rate / burst))


def _interval(end: float, counts: tuple[float, ...], *, counted: bool = True) -> Interval:
    n_c, e_c, n_s, e_s = counts
    at = end if e_c else None
    return Interval(end, SCRAPE, Count(n_c, e_c, e_c), Count(n_s, e_s, e_s), at, at, counted)
