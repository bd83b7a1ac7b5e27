"""Requests that a gateway counts: the series of both revisions come from the same processes."""

import pytest

from fairway.core.verdict import ObjectivePlan, Owner, Question, SecondCounter, SeriesMatcher
from fairway.engine import whose
from fairway.engine.analysis import Analysis
from fairway.ports import RawSeries
from tests.fakes.prometheus import Clock

SINCE = 1000.0
OWNER = Owner("service", "(.*-svc-)?$namespace-$name-$revision-[0-9]+@gw")
FAILED = (SeriesMatcher("code", "=~", "5.."),)
ERRORS = ObjectivePlan("errors", "errors", "requests_total", (), FAILED, 0.01, owner=OWNER)
ASKED = Question(("ml", "churn"), "run", "b", "a", (ERRORS,), since=SINCE, weight=5)


def counter(revision, code, values, *, process="gw-1", index=0, metric="requests_total"):
    """A counter by time; a time that is missing is one before the series was born."""
    labels = {"__name__": metric, "service": f"x-svc-ml-churn-{revision}-{index}@gw", "code": code}
    labels |= {"pod": process, "instance": process, "job": "gateway", "namespace": "gateways"}
    return RawSeries(labels, tuple(values.items()))


class Gateway:
    """A MetricsSource of given series; it matches nothing, as whose series they are is decided later, too."""

    def __init__(self, clock, *series):
        self.clock, self.series = clock, series

    async def raw(self, selectors, window):
        now = self.clock.time - 0.1
        cut = [(s.labels, tuple(x for x in s.samples if now - window < x[0] <= now)) for s in self.series]
        return [RawSeries(labels, samples) for labels, samples in cut if samples]


async def read(*series, until=1031.0, asked=ASKED):
    clock = Clock(SINCE)
    analysis = Analysis(Gateway(clock, *series), clock, lambda key: None, scrape_interval=5.0)
    analysis.ask(asked)
    while clock.time < until:
        await analysis.poll()
        clock.time += 0.5
    return analysis.reading(asked.key, "run").objectives[0]


def every(start, end, each, first=0):
    """A value at each scrape of [start, end], growing by `each`."""
    return {float(at): float(first + each * k) for k, at in enumerate(range(start, end + 1, 5))}


async def test_a_series_that_is_born_with_its_first_request_counts_from_0():
    # given a gateway that serves stable for long, and a candidate whose first answers come after the route changed
    stable = counter("a", "200", every(900, 1030, 95, first=100_000))
    good, bad = counter("b", "200", every(1005, 1030, 4, first=4)), counter("b", "500", every(1015, 1030, 2, first=2))
    errors = await read(stable, good, bad)
    # then 6 scrapes of 4 and 4 of 2 were counted, to the request
    assert (errors.requests, errors.bad) == (24 + 8, 8)
    assert errors.stable_rate == 0.0


async def test_what_a_revision_answered_in_an_earlier_run_does_not_count():
    earlier = counter("b", "500", every(900, 1030, 0, first=77))
    stable, good = counter("a", "200", every(900, 1030, 95)), counter("b", "200", every(1005, 1030, 4, first=4))
    errors = await read(stable, earlier, good)
    assert (errors.requests, errors.bad) == (24, 0)


async def test_another_place_in_the_route_goes_on_and_another_process_is_added():
    stable = counter("a", "200", every(900, 1030, 95))
    before, after = (
        counter("b", "200", every(1005, 1015, 4, first=4)),
        counter("b", "200", every(1020, 1030, 4, first=4), index=1),
    )
    other = counter("b", "200", every(900, 1030, 0) | every(1005, 1030, 10, first=10), process="gw-2")
    errors = await read(stable, before, after, other)
    assert errors.requests == 12 + 12 + 60


async def test_a_gateway_that_restarts_counts_from_0_again():
    stable = counter("a", "200", every(900, 1030, 95))
    values = every(1005, 1015, 4, first=4) | every(1020, 1030, 3, first=3)
    errors = await read(stable, counter("b", "200", values))
    assert errors.requests == 12 + 9


@pytest.mark.parametrize(
    ("counts", "first", "second", "expected"),
    [("failedApart", 4, 1, (30, 6)), ("failed", 5, 1, (30, 6)), ("succeeded", 5, 4, (30, 6))],
)
async def test_a_second_counter_makes_the_same_numbers(counts, first, second, expected):
    plan = ObjectivePlan(
        "errors", "errors", "m_total", (), (), 0.01, owner=OWNER, second=SecondCounter("other_total", counts)
    )
    stable = counter("a", "", every(900, 1030, 95), metric="m_total")
    one = counter("b", "", every(1005, 1030, first, first=first), metric="m_total")
    other = counter("b", "", every(1005, 1030, second, first=second), metric="other_total")
    asked = Question(("ml", "churn"), "run", "b", "a", (plan,), since=SINCE, weight=5)
    errors = await read(stable, one, other, asked=asked)
    assert (errors.requests, errors.bad) == expected


def test_strangers_get_lost():
    mine = counter("b", "200", {1005.0: 1.0})
    strangers = [counter("bb", "200", {1005.0: 1.0}), counter("c", "200", {1005.0: 1.0})]
    (sides,) = whose.sort([ASKED], OWNER, [mine, *strangers])
    assert [s.labels["service"] for s in sides["candidate"]] == [mine.labels["service"]]
    assert sides["stable"] == []
