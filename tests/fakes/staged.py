"""A pod whose two counters do not move at the same moment."""

import random
from bisect import bisect_right
from dataclasses import dataclass, field

from fairway.ports import RawSeries


@dataclass
class Staged:
    """Counts a request when it is predicted, and among the good ones ``gap`` seconds later, unless it failed then."""

    name: str
    gap: float
    phase: float = 0.0
    scrape: float = 5.0
    died: float = float("inf")
    all: list[float] = field(default_factory=list)
    """When each request was predicted, ..."""
    bad: list[float] = field(default_factory=list)
    """... the same of those that failed, ..."""
    good: list[float] = field(default_factory=list)
    """... and when the others were done."""

    def serve(self, start: float, end: float, rate: float, bad: float = 0.0) -> "Staged":
        dice, at = random.Random(f"{self.name}{start}"), start
        while (at := at + dice.expovariate(rate)) < end:
            self.all.append(at)
            failed = dice.random() < bad
            (self.bad if failed else self.good).append(at if failed else at + self.gap * dice.uniform(0.5, 1.5))
        self.good.sort()
        return self

    def series(self, start: float, end: float) -> list[RawSeries]:
        """What a provider has of both counters; nothing before the first request."""
        scrapes = (self.phase + self.scrape * k for k in range(int(end // self.scrape) + 1))
        times = [t for t in scrapes if start < t <= min(end, self.died) and t >= self.all[0]]
        made = {"asked": [float(self.asked(t)) for t in times], "done": [float(self.done(t)) for t in times]}
        labels = {"namespace": "ml", "pod": self.name, "job": "models", "instance": self.name}
        found = [RawSeries.of({"__name__": name, **labels}, zip(times, made[name], strict=True)) for name in made]
        return found if times else []

    def asked(self, at: float) -> int:
        return bisect_right(self.all, at)

    def done(self, at: float) -> int:
        return bisect_right(self.good, at)

    def failed(self, at: float) -> int:
        return bisect_right(self.bad, at)

    def between(self, at: float) -> int:
        return self.asked(at) - self.done(at) - self.failed(at)
