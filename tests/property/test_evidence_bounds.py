"""P3: a good candidate is not blamed. Exact for small numbers, simulated for long runs; and bad ones are out fast."""

import math
import random
from dataclasses import replace
from itertools import product
from statistics import median

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairway.core.counters import Count
from fairway.core.counts import Interval
from fairway.core.evidence import (
    MULTIPLIERS,
    OK_MULTIPLIERS,
    R_BAD,
    R_REGRESSED,
    Evidence,
    Spread,
    absolute,
    bar,
    log_ratio,
    weigh,
)
from fairway.core.mixture import log_mean
from fairway.core.verdict import ObjectivePlan, Question

ERRORS = ObjectivePlan("errors", "errors", "m", (), (), 0.01)
SLOW = ObjectivePlan("latency", "latency", "h", (), (), 0.02, edge=0.05)
BOTH = Question(("ml", "churn"), "r1", "b", "a", (ERRORS, SLOW), since=0.0, weight=5)


def outcomes(risks):
    """Every combination of bad requests with its probability, each request with a risk of its own."""
    for bad in product((0, 1), repeat=len(risks)):
        yield math.prod(p if b else 1 - p for p, b in zip(risks, bad, strict=True)), sum(bad)


def expectation(candidate, stable, factor):
    return sum(
        p * q * math.exp(factor(Count(len(candidate), c), Count(len(stable), s)))
        for p, c in outcomes(candidate)
        for q, s in outcomes(stable)
    )


RISK = st.floats(0.0, 1.0)


@settings(max_examples=60, deadline=None)
@given(st.lists(RISK, min_size=1, max_size=4), st.lists(RISK, min_size=1, max_size=4), st.sampled_from([1.0, 1.5, 3.0]))
def test_the_relative_bet_is_fair_under_its_null_with_unequal_risks(candidate, stable, null):
    # given a candidate whose mean risk is at most `null` times stable's
    scale = min(1.0, null * (sum(stable) / len(stable)) / max(sum(candidate) / len(candidate), 1e-9))
    risks = [p * scale for p in candidate]
    # then no alternative, and so no mixture of them, gains on average; nor with less weight, nor with capped counts
    for r in MULTIPLIERS:
        for phi, cap in ((1.0, 99), (2.5, 99), (1.0, 1)):
            bet = lambda c, s, r=r, phi=phi, cap=cap: (  # noqa: E731
                log_ratio(replace(c, bad=min(c.bad, cap)), s, null, null * r) / phi
            )
            assert expectation(risks, stable, bet) <= 1 + 1e-9


@settings(max_examples=60, deadline=None)
@given(st.lists(RISK, min_size=1, max_size=4), st.lists(RISK, min_size=1, max_size=4))
def test_the_bet_on_health_is_fair_where_the_candidate_is_twice_as_bad(candidate, stable):
    scale = min(1.0, (sum(candidate) / len(candidate)) / R_BAD / max(sum(stable) / len(stable), 1e-9))
    risks = [p * scale for p in stable]
    for r in OK_MULTIPLIERS:
        assert expectation(candidate, risks, lambda c, s, r=r: log_ratio(c, s, R_BAD, R_BAD * r)) <= 1 + 1e-9


@settings(max_examples=60, deadline=None)
@given(st.lists(RISK, min_size=1, max_size=6), st.floats(0.01, 1.0))
def test_the_absolute_bet_is_fair_under_its_limit_with_unequal_risks(candidate, limit):
    scale = min(1.0, limit / max(sum(candidate) / len(candidate), 1e-9))
    risks = [p * scale for p in candidate]
    mean = sum(p * math.exp(absolute(Evidence(hits=bad, load=len(risks)), limit)) for p, bad in outcomes(risks))
    assert mean <= 1 + 1e-9


def test_weigh_multiplies_exactly_these_bets():
    first, second = (Count(30, 2, 2), Count(400, 1, 1)), (Count(20, 3, 3), Count(380, 4, 4))
    evidence = Evidence(spread=Spread(10, 10, 40))
    logs = [0.0] * len(MULTIPLIERS)
    for k, (c, s) in enumerate((first, second), 1):
        phi = evidence.spread.phi
        bets = [log_ratio(c, s, R_REGRESSED, R_REGRESSED * r) / phi for r in MULTIPLIERS]
        logs = [log + bet for log, bet in zip(logs, bets, strict=True)]
        evidence = weigh(evidence, ERRORS, bar(BOTH), Interval(5.0 * k, 5.0, c, s, 5.0 * k, 5.0 * k))
    assert evidence.regressed == pytest.approx(logs)
    assert log_mean(logs) == pytest.approx(math.log(sum(map(math.exp, logs)) / len(logs)))


# --- simulated runs -----------------------------------------------------------------------------------------------


def poisson(dice, mean):
    """Knuth's for the small, a rounded normal for the large: quick enough for thousands of intervals."""
    if mean > 30:
        return max(0, round(dice.gauss(mean, math.sqrt(mean))))
    k, left = 0, dice.random()
    while left > math.exp(-mean):
        k, left = k + 1, left * dice.random()
    return k


def run(dice, *, rps, weight, base, bad, plan=ERRORS, seconds=600, burst=1, outage=0.0, asked=BOTH):
    """Seconds until Regressed, None if never. The looks never stop: after every scrape."""
    evidence, terms = Evidence(), bar(asked)
    n = rps * 5
    for _ in range(180):
        evidence = replace(
            evidence, spread=evidence.spread.plus(burst * poisson(dice, n * (1 - weight) * base / burst))
        )
    for k in range(1, seconds // 5 + 1):
        n_c, n_s = n * weight, n * (1 - weight)
        shared = outage if 20 <= k < 40 else 0.0
        e_c = min(n_c, burst * poisson(dice, n_c * (bad + shared) / burst))
        e_s = min(n_s, burst * poisson(dice, n_s * (base + shared) / burst))
        at = 5.0 * k if e_c else None
        interval = Interval(5.0 * k, 5.0, Count(n_c, e_c, e_c), Count(n_s, e_s, e_s), at, at)
        evidence = weigh(evidence, plan, terms, interval)
        if evidence.fired:
            return 5 * k
    return None


@pytest.mark.parametrize(
    "world",
    [
        {"rps": 100, "weight": 0.05, "base": 0.001, "bad": 0.001},
        {"rps": 100, "weight": 0.05, "base": 0.005, "bad": 0.005},
        {"rps": 100, "weight": 0.05, "base": 0.009, "bad": 0.009},
        {"rps": 10, "weight": 0.1, "base": 0.005, "bad": 0.005},
        {"rps": 100, "weight": 0.05, "base": 0.005, "bad": 0.005, "burst": 10},
        {"rps": 100, "weight": 0.5, "base": 0.005, "bad": 0.005, "burst": 30},
        {"rps": 100, "weight": 0.05, "base": 0.002, "bad": 0.002, "outage": 0.4},
        {"rps": 100, "weight": 0.05, "base": 0.03, "bad": 0.03},
    ],
    ids=lambda w: "-".join(f"{k}={v}" for k, v in w.items()),
)
def test_a_healthy_candidate_is_not_rolled_back_however_often_one_looks(world):
    dice = random.Random(7)
    assert [run(dice, **world) for _ in range(30)].count(None) == 30


def test_false_alarms_stay_under_alpha_at_the_very_edge_of_the_null():
    # given a loose alpha, so that alarms can be counted, and a candidate exactly at the limit alone in the world
    dice, asked = random.Random(11), replace(BOTH, stable=None, objectives=(ERRORS,), alpha=0.2)
    alarms = sum(
        run(dice, rps=20, weight=1.0, base=0.0, bad=0.01, asked=asked, seconds=600) is not None for _ in range(120)
    )
    # then of 120 runs with 120 looks each no more than alpha / 2 alarm (and two standard deviations)
    assert alarms <= 12 + 2 * math.sqrt(10.8)


@pytest.mark.parametrize(
    ("world", "expected", "p90"),
    [
        ({"rps": 100, "weight": 0.05, "base": 0.001, "bad": 0.5}, 10, 10),
        ({"rps": 100, "weight": 0.05, "base": 0.001, "bad": 0.2}, 10, 15),
        ({"rps": 100, "weight": 0.05, "base": 0.001, "bad": 0.05}, 50, 100),
        ({"rps": 100, "weight": 0.05, "base": 0.001, "bad": 0.03}, 170, 320),
        ({"rps": 100, "weight": 0.05, "base": 0.001, "bad": 0.05, "plan": replace(ERRORS, limit=0.001)}, 20, 40),
        ({"rps": 100, "weight": 0.05, "base": 0.01, "bad": 0.2, "plan": SLOW}, 20, 30),
        ({"rps": 1000, "weight": 0.25, "base": 0.001, "bad": 0.05}, 10, 10),
        ({"rps": 10, "weight": 0.1, "base": 0.005, "bad": 0.1}, 90, 165),
    ],
    ids=lambda w: str(w) if isinstance(w, int) else f"{w['rps']}rps-{w['base']}-{w['bad']}",
)
def test_a_bad_candidate_is_found_as_soon_as_the_design_expects(world, expected, p90):
    dice = random.Random(3)
    times = sorted(run(dice, **world) or 10_000 for _ in range(60))
    print(world, "median", median(times), "p90", times[53])
    # then within a scrape of the design's own simulation
    assert median(times) <= max(expected + 5, expected * 1.15)
    assert times[53] <= max(p90 + 5, p90 * 1.25)
