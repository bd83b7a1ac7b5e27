"""Whole traces, from raw counter samples through the counts to the verdict: what real traffic does to them."""

import random
from dataclasses import replace
from functools import partial

import pytest

from fairway.core.counters import cumulate
from fairway.core.counts import Tally
from fairway.core.evidence import Evidence, bar, weigh
from fairway.core.verdict import ObjectivePlan, Question, SecondCounter, SeriesMatcher
from tests.fakes.prometheus import Pod
from tests.fakes.staged import Staged

FAILED = (SeriesMatcher("status", "=~", "5.."),)
ERRORS = ObjectivePlan("errors", "errors", "m", (), FAILED, 0.01, min_requests=300)
ASKED = Question(("ml", "churn"), "r1", "b", "a", (ERRORS,), since=1000.0, weight=10)
START, SINCE, END = 100.0, 1000.0, 1600.0


def steady(pod, rate, bad, *, since=START):
    return pod.serve(since, END, rate, bad)


def bursty(pod, rate, bad, *, since=START, size=20):
    """All failures in groups within a tenth of a second."""
    pod.serve(since, END, rate * (1 - bad), 0.0)
    dice, at = random.Random(f"{pod.name}bursts"), since
    while (at := at + dice.expovariate(rate * bad / size)) < END:
        pod.requests += [(at + i / 200, True, 0.02) for i in range(size)]
    pod.requests.sort()
    return pod


def diurnal(pod, rate, bad, *, since=START):
    """Traffic and failures between a tenth and twice their mean, within ten minutes."""
    for k in range(int((END - since) // 60)):
        swing = (0.1, 0.5, 1.0, 1.5, 2.0, 2.0, 1.5, 1.0, 0.5, 0.1)[k % 10]
        pod.serve(since + 60 * k, since + 60 * (k + 1), rate * swing, min(1.0, bad * swing))
    return pod


def resetting(pod, rate, bad, *, since=START):
    pod.restarts = tuple(since + 97.0 * k for k in range(1, 20))
    return steady(pod, rate, bad, since=since)


def skewed(pod, rate, bad, *, since=START):
    """Stable's pods do not get the same: one has nearly everything."""
    return steady(pod, rate * (1.9 if pod.name.endswith("1") else 0.1), bad, since=since)


def low(pod, rate, bad, *, since=START):
    return steady(pod, rate / 20, bad, since=since)


TRACES = (steady, bursty, diurnal, resetting, skewed, low)


def judged(trace, bad, base=0.005):
    """Evidence of a run over ten minutes, polled each second; stable has two pods, with phases of their own."""
    stable = [trace(Pod(f"a-{k}", phase=1.0 + k), 22.5, base) for k in range(2)]
    candidate = trace(Pod("b-1", phase=3.0), 5.0, bad, since=SINCE)
    tally, evidence, terms = Tally(after=SINCE), Evidence(), bar(ASKED)
    now = SINCE
    while (now := now + 1.0) < END and not evidence.fired:
        window = now - 900.0 if tally.start is None else now - 90.0
        rows = [
            cumulate(ERRORS, None, [s for pod in pods for s in pod.series("m", window, now)])
            for pods in ([candidate], stable)
        ]
        for interval in tally.absorb(*rows, now):
            evidence = weigh(evidence, ERRORS, terms, interval)
    return evidence, candidate


@pytest.mark.parametrize("trace", TRACES, ids=lambda t: t.__name__)
def test_a_good_candidate_is_not_blamed(trace):
    evidence, _ = judged(trace, 0.005)
    assert not evidence.fired
    assert evidence.candidate.requests > 0


@pytest.mark.parametrize("trace", [t for t in TRACES if t is not low], ids=lambda t: t.__name__)
def test_a_bad_candidate_is_found(trace):
    evidence, _ = judged(trace, 0.3)
    assert evidence.fired
    # within three minutes, be the failures as bursty as they may
    assert evidence.at - SINCE < 180


def test_at_low_traffic_it_takes_longer_and_is_found_all_the_same():
    evidence, _ = judged(low, 0.6, base=0.01)
    assert evidence.fired


def unscraped(*gaps):
    """A trace whose stable pods are not scraped for a while, as when Prometheus restarts."""

    def trace(pod, rate, bad, *, since=START, size=None):
        pod.missed = gaps if pod.name.startswith("a") else ()
        return bursty(pod, rate, bad, since=since, size=size) if size else steady(pod, rate, bad, since=since)

    return trace


@pytest.mark.parametrize(
    "gaps",
    [((700.0, 760.0),), ((700.0, 1000.0),), ((300.0, 480.0), (860.0, 980.0)), ((1000.0, 1020.0),)],
    ids=["a minute", "five minutes", "twice", "in the run"],
)
@pytest.mark.parametrize("bad", [0.5, 0.2])
def test_after_a_gap_of_scrapes_a_bad_candidate_is_found_as_soon_as_without(gaps, bad):
    without, _ = judged(steady, bad)
    found, _ = judged(unscraped(*gaps), bad)
    assert found.fired
    assert found.spread.phi < 2
    # then a few scrapes later at most, and not after the quarter of an hour in which the gap would be forgotten
    assert found.at - without.at <= 30


@pytest.mark.parametrize("size", [10, 30])
def test_gaps_of_scrapes_blame_nobody_for_bursts(size):
    gaps = [(at, at + 20.0 + at % 50) for at in range(200, 1600, 130)]
    evidence, _ = judged(partial(unscraped(*gaps), size=size), 0.009, base=0.009)
    assert not evidence.fired
    assert evidence.spread.phi > size / 2


@pytest.mark.parametrize("trace", [steady, bursty, diurnal, skewed], ids=lambda t: t.__name__)
def test_every_request_of_it_is_counted(trace):
    evidence, candidate = judged(trace, 0.005)
    assert (evidence.candidate.requests, evidence.candidate.bad) == candidate.counted(0.0, evidence.at)


def test_what_stable_did_before_the_run_is_known_when_it_starts():
    evidence, _ = judged(bursty, 0.005)
    assert evidence.spread.phi > 5
    calm, _ = judged(steady, 0.005)
    assert calm.spread.phi < 2
    assert replace(calm.spread, count=0.0).phi == 1.0


# --- two counters that do not move at the same moment ---------------------------------------------------------------

STAGED = replace(ERRORS, metric="asked", failure=(), second=SecondCounter("done", "succeeded"))


def staged(seed, gap, bad, *, base=0.0, from_=SINCE):
    """Evidence of a run over ten minutes, in which requests are under way between the counters at each scrape."""
    stable = Staged(f"a-{seed}", gap, phase=1.0).serve(START, END, 95, base)
    candidate = Staged(f"b-{seed}", gap, phase=3.0).serve(SINCE, from_, 5).serve(from_, END, 5, bad)
    tally, evidence, terms = Tally(after=SINCE), Evidence(), bar(ASKED)
    now = SINCE
    while (now := now + 5.0) < END and not evidence.fired:
        window = now - 900.0 if tally.start is None else now - 60.0
        rows = [cumulate(STAGED, None, pod.series(window, now)) for pod in (candidate, stable)]
        for interval in tally.absorb(*rows, now):
            evidence = weigh(evidence, STAGED, terms, interval)
    return evidence, candidate


@pytest.mark.parametrize(("seed", "gap"), [(0, 0.05), (1, 0.2), (2, 1.0), (3, 1.0), (4, 1.0)])
def test_requests_that_are_under_way_are_not_blamed_on_a_candidate(seed, gap):
    """Given that not one request fails, then nobody is convicted, and few have looked failed."""
    evidence, _ = staged(seed, gap, 0.0)
    assert not evidence.fired
    assert evidence.candidate.bad <= 5 * gap + 4 * (5 * gap) ** 0.5 + 1


@pytest.mark.parametrize("gap", [0.0, 0.2, 1.0])
def test_failures_among_requests_that_are_under_way_are_found(gap):
    evidence, candidate = staged(0, gap, 0.3, base=0.005)
    assert evidence.fired
    assert evidence.at - SINCE < 60
    assert evidence.candidate.bad >= candidate.failed(evidence.at)


def test_failures_that_begin_late_are_found_although_something_is_owed():
    """Given five minutes without a failure, then what is owed by then hides no failures for long."""
    late = SINCE + 300
    evidence, candidate = staged(0, 0.2, 0.5, from_=late)
    assert late < evidence.at < late + 75
    assert evidence.candidate.bad >= candidate.failed(evidence.at)
