"""What is simulated: traffic, weight, rates, and what the design expects of it."""

from dataclasses import dataclass, replace

from fairway.core.verdict import ObjectivePlan, Question

SCRAPE = 5.0
"""Seconds between two looks."""
ERRORS = ObjectivePlan("errors", "errors", "requests", (), (), 0.01, min_requests=300, text="1%")
STRICT = replace(ERRORS, limit=0.001, min_requests=3000, text="0.1%")
BESIDE = replace(ERRORS, relative=1.5)
SLOW = ObjectivePlan("latency", "latency", "seconds", (), (), 0.02, edge=0.05, min_requests=150, text="p98 50ms")
OTHER = replace(SLOW, name="other")


@dataclass(frozen=True)
class Scenario:
    """A candidate beside stable. Rates are shares of bad requests, times are seconds."""

    name: str
    rps: float
    """Requests per second to both."""
    weight: int
    base: float
    bad: float | None = None
    """The candidate's rate; None: the same as stable's."""
    plan: ObjectivePlan = ERRORS
    burst: int = 1
    """Bad requests come in groups of so many."""
    outage: float = 0.0
    """Rate that both have in the second minute."""
    daily: float = 0.0
    """How far traffic and rates swing around their mean, as a part of it, once in 20 minutes."""
    alone: bool = False
    """The watch window: stable has no weight, its past says how bursty errors are."""
    alpha: float = 1e-3
    others: int = 1
    """Further objectives, which share alpha."""
    seconds: float = 3600.0
    """How long it is looked at."""
    expected: tuple[float, float] | None = None
    """Median and 90th percentile of the seconds to Regressed, as the design has simulated them."""

    @property
    def rate(self) -> float:
        """The candidate's rate."""
        return self.base if self.bad is None else self.bad

    @property
    def question(self) -> Question:
        """What the product is asked."""
        objectives = (self.plan, *(replace(OTHER, name=f"other-{k}") for k in range(self.others)))
        stable, former = (None, "a") if self.alone else ("a", None)
        return Question(
            ("ml", "churn"),
            "r1",
            "b",
            stable,
            objectives,
            since=0.0,
            weight=self.weight,
            alpha=self.alpha,
            former=former,
        )


HEALTHY_FOR = 1800.0


def _healthy(name: str, rps: float, weight: int, base: float, **more) -> Scenario:
    return Scenario(name, rps, weight, base, **{"seconds": HEALTHY_FOR, **more})


HEALTHY = (
    _healthy("0.1 %", 100, 5, 0.001),
    _healthy("0.5 %", 100, 5, 0.005),
    _healthy("0.9 %", 100, 5, 0.009),
    _healthy("0.5 %, 10/s", 10, 10, 0.005),
    _healthy("0.9 %, 1000/s at 25 %", 1000, 25, 0.009),
    _healthy("bursts of 3", 100, 5, 0.005, burst=3),
    _healthy("bursts of 10", 100, 5, 0.005, burst=10),
    _healthy("bursts of 30", 100, 5, 0.005, burst=30),
    _healthy("bursts of 30, half the weight", 100, 50, 0.005, burst=30),
    _healthy("shared outage of 40 %", 100, 5, 0.002, outage=0.4),
    _healthy("both over the limit, 3 %", 100, 5, 0.03),
    _healthy("day and night, 0.5 %", 100, 25, 0.005, daily=0.8),
    _healthy("1.5x stable at most, 0.5 %", 100, 25, 0.005, plan=BESIDE),
    _healthy("slow share 1 %, limit 2 %", 100, 5, 0.01, plan=SLOW),
    _healthy("watch window, 0.5 %", 100, 100, 0.005, alone=True),
    _healthy("watch window, 0.9 %, bursts of 30", 100, 100, 0.009, alone=True, burst=30),
)
"""A rollback of any of these is a false one."""

BROKEN = (
    Scenario("0.1 -> 50 %", 100, 5, 0.001, 0.5, expected=(10, 10)),
    Scenario("0.1 -> 20 %", 100, 5, 0.001, 0.2, expected=(10, 15)),
    Scenario("0.1 -> 5 %", 100, 5, 0.001, 0.05, expected=(50, 100)),
    Scenario("0.1 -> 3 %", 100, 5, 0.001, 0.03, expected=(170, 320)),
    Scenario("0.1 -> 1 %, 1.5x stable at most", 100, 5, 0.001, 0.01, plan=BESIDE),
    Scenario("0.1 -> 0.5 %, 1.5x stable at most", 100, 25, 0.001, 0.005, plan=BESIDE),
    Scenario("0.1 -> 5 %, limit 0.1 %", 100, 5, 0.001, 0.05, plan=STRICT, expected=(20, 40)),
    Scenario("0.1 -> 5 %, 1000/s at 25 %", 1000, 25, 0.001, 0.05, expected=(10, 10)),
    Scenario("0.5 -> 10 %, 10/s", 10, 10, 0.005, 0.1, expected=(90, 165)),
    Scenario("0.1 -> 20 %, bursts of 10", 100, 5, 0.001, 0.2, burst=10),
    Scenario("slow share 1 -> 20 %, limit 2 %", 100, 5, 0.01, 0.2, plan=SLOW, expected=(20, 30)),
    Scenario("slow share 1 -> 5 %, limit 2 %", 100, 5, 0.01, 0.05, plan=SLOW),
    Scenario("watch window, 0.1 -> 5 %", 100, 100, 0.001, 0.05, alone=True),
)
"""Candidates that break a promise."""

NULLS = (
    _healthy("0.5 % at 100/s", 100, 5, 0.005, seconds=600),
    _healthy("0.9 % at 10/s", 10, 10, 0.009, seconds=600),
    _healthy("0.9 % at 1000/s", 1000, 25, 0.009, seconds=600),
)
"""Looked at more often than the others."""

BOUNDARY = (
    Scenario("1.5x stable, far over the limit", 100, 25, 0.02, 0.03, plan=STRICT, alpha=0.02, others=0, seconds=600),
    Scenario("at the limit, alone", 100, 100, 0.0, 0.01, alone=True, alpha=0.02, others=0, seconds=600),
)
"""Candidates at the very edge of a null, with alpha = 1 % for the one test of the run (and as much for its watch)."""
