"""Many runs of one scenario, and what came out."""

import math
from dataclasses import dataclass
from zlib import crc32

import numpy as np

from tests.bench.analysis import wald
from tests.bench.analysis.rules import RULES
from tests.bench.analysis.scenario import Scenario
from tests.bench.analysis.simulate import draw, look


@dataclass(frozen=True)
class Times:
    """Seconds to a verdict over many runs: how many had it, their median and 90th percentile, misses being endless."""

    count: int
    median: float
    p90: float


@dataclass(frozen=True)
class Result:
    """One scenario's runs."""

    scenario: Scenario
    runs: int
    regressed: Times
    healthy: Times
    """The earlier of evidence and, at the end of a step, minRequests."""
    rules: dict[str, Times]
    bound: float
    """Wald's, in seconds."""

    @property
    def missed(self) -> int:
        """Runs without a rollback."""
        return self.runs - self.regressed.count


def measure(scenario: Scenario, runs: int) -> Result:
    """Simulate; the dice depend on the scenario's name alone, so that every result can be had again."""
    dice = np.random.default_rng(crc32(scenario.name.encode()))
    regressed: list[float | None] = []
    healthy: list[float | None] = []
    rules: dict[str, list[float | None]] = {rule.name: [] for rule in RULES}
    for _ in range(runs):
        trace = draw(scenario, dice)
        outcome = look(scenario, trace)
        regressed.append(outcome.regressed)
        healthy.append(min((t for t in (outcome.healthy, outcome.sufficient) if t is not None), default=None))
        for rule in RULES:
            rules[rule.name].append(rule.judge(scenario, trace))
    by_rule = {name: times(each) for name, each in rules.items()}
    return Result(scenario, runs, times(regressed), times(healthy), by_rule, wald.bound(scenario))


def times(seen: list[float | None]) -> Times:
    """Summarise; a percentile that falls on a run without the verdict is infinite."""
    ordered = sorted(math.inf if at is None else at for at in seen)
    count = sum(at < math.inf for at in ordered)
    return Times(count, _at(ordered, 0.5), _at(ordered, 0.9))


def _at(ordered: list[float], part: float) -> float:
    return ordered[math.ceil(part * len(ordered)) - 1]
