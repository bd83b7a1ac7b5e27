"""No test can be faster on average: Wald's bound for one that knows both rates beforehand."""

import math

from fairway.core.evidence import R_REGRESSED, bar
from tests.bench.analysis.scenario import SCRAPE, Scenario


def bound(scenario: Scenario) -> float:
    """Return the least mean seconds to Regressed: ln(1/alpha) over the information of one scrape, and two scrapes.

    Wald, Sequential tests of statistical hypotheses (1945): the mean number of looks of a test of power 1 is at least
    ln(1/alpha) over the Kullback-Leibler divergence per look. Infinite where a promise is kept.
    """
    n = scenario.rps * SCRAPE
    n_c, n_s = n * scenario.weight / 100, n * (1 - scenario.weight / 100)
    p, q, plan = scenario.rate, scenario.base, scenario.plan
    tests = [(plan.limit, None if scenario.alone else R_REGRESSED)]
    if plan.relative is not None:
        tests.append((plan.relative_floor, plan.relative))
    nats = max(
        min(_absolute(n_c, p, limit), math.inf if risk is None else _relative((n_c, p), (n_s, q), risk))
        for limit, risk in tests
    )
    needed = bar(scenario.question).needed
    return max(2 * SCRAPE, needed / nats * SCRAPE) if nats > 0 else math.inf


def _absolute(n: float, p: float, limit: float) -> float:
    """Nats per scrape of n requests at rate p against a Poisson rate of ``limit``."""
    return n * (p * math.log(p / limit) - (p - limit)) if p > limit else 0.0


def _relative(candidate: tuple[float, float], stable: tuple[float, float], null: float) -> float:
    """Nats per scrape of the candidate's part of all bad requests against a risk ratio of ``null``."""
    (n_c, p), (n_s, q) = candidate, stable
    bad = n_c * p + n_s * q
    theta, theta0 = n_c * p / bad, n_c * null / (n_c * null + n_s)
    if theta <= theta0:
        return 0.0
    rest = (1 - theta) * math.log((1 - theta) / (1 - theta0)) if theta < 1 else 0.0
    return bad * (theta * math.log(theta / theta0) + rest)
