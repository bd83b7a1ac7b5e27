"""Requests that a gateway counts: the series of both revisions come from the same processes."""

from dataclasses import replace

import pytest

from fairway.core.objectives import family
from fairway.core.verdict import ObjectivePlan, Owner, Question, SecondCounter, SeriesMatcher
from fairway.engine import whose
from fairway.engine.analysis import Analysis
from fairway.ports import Endpoint, RawSeries
from tests.fakes.prometheus import Clock

pytestmark = pytest.mark.no_cover

SINCE = 1000.0
OWNER = Owner("service", "(.*-svc-)?$namespace-$name-$revision-[0-9]+@gw")
FAILED = (SeriesMatcher("code", "=~", "5.."),)
ERRORS = ObjectivePlan("errors", "errors", "requests_total", (), FAILED, 0.01, owner=OWNER)
ASKED = Question(("ml", "churn"), "run", "b", "a", (ERRORS,), since=SINCE, weight=5)


def counter(revision, code, values, *, process="gw-1", index=0, metric="requests_total"):
    """A counter by time; a time that is missing is one before the series was born."""
    labels = {"__name__": metric, "service": f"x-svc-ml-churn-{revision}-{index}@gw", "code": code}
    labels |= {"pod": process, "instance": process, "job": "gateway", "namespace": "gateways"}
    return RawSeries.of(labels, values.items())


class Gateway:
    """A MetricsSource of given series; it matches nothing, as whose series they are is decided later, too."""

    def __init__(self, clock, *series):
        self.clock, self.series = clock, series

    async def raw(self, selectors, window):
        now = self.clock.time - 0.1
        pairs = [(s.labels, zip(s.times, s.values, strict=True)) for s in self.series]
        cut = [(labels, [x for x in samples if now - window < x[0] <= now]) for labels, samples in pairs]
        return [RawSeries.of(labels, samples) for labels, samples in cut if samples]


async def read(*series, until=1031.0, **more):
    return (await reading(*series, until=until, **more)).objectives[0]


async def reading(*series, since=SINCE, until=1031.0, asked=ASKED, revision_label=None):
    clock = Clock(since)
    endpoint = Endpoint("main", Gateway(clock, *series), 5.0, revision_label)
    analysis = Analysis([endpoint], clock, lambda key: None)
    analysis.ask(asked)
    while clock.time < until:
        await analysis.poll()
        clock.time += 0.5
    return analysis.reading(asked.key, "run")


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


async def test_what_a_later_success_took_back_is_still_owed_after_a_restart_of_the_operator():
    # given a request that is under way between two counters at every other scrape, and none that fails
    plan = ObjectivePlan(
        "errors", "errors", "m_total", (), (), 0.01, owner=OWNER, second=SecondCounter("other_total", "succeeded")
    )
    asked = Question(("ml", "churn"), "run", "b", "a", (plan,), since=SINCE, weight=5)
    totals = every(1005, 1060, 10, first=10)
    late = {at: total - at // 5 % 2 for at, total in totals.items()}
    one, other = counter("b", "", totals, metric="m_total"), counter("b", "", late, metric="other_total")
    stable = counter("a", "", every(900, 1060, 95), metric="m_total")
    series = stable, counter("a", "", every(900, 1060, 95), metric="other_total"), one, other
    # when the operator starts anew while it is owed
    first = await reading(*series, until=1031.0, asked=asked)
    again = replace(asked, checkpoint=first.checkpoint())
    second = await reading(*series, since=1033.0, until=1056.0, asked=again)
    # then only the first such request has ever looked failed
    assert (first.objectives[0].requests, first.objectives[0].bad) == (60, 1)
    assert (second.objectives[0].requests, second.objectives[0].bad) == (110, 1)


def test_strangers_get_lost():
    mine = counter("b", "200", {1005.0: 1.0})
    strangers = [counter("bb", "200", {1005.0: 1.0}), counter("c", "200", {1005.0: 1.0})]
    (sides,) = whose.sort([ASKED], OWNER, [mine, *strangers])
    assert [s.labels["service"] for s in sides["candidate"]] == [mine.labels["service"]]
    assert sides["stable"] == []


async def test_a_runtime_that_names_the_revision_goes_before_the_label_of_the_provider():
    # given a provider whose own series hold the revision in a label that the gateway's do not have
    stable, good = counter("a", "200", every(900, 1030, 95)), counter("b", "200", every(1005, 1030, 4, first=4))
    errors = await read(stable, good, revision_label="revision")
    assert errors.requests == 24


@pytest.mark.parametrize(("counts", "first", "second"), [("failedApart", 4, 1), ("failed", 5, 1), ("succeeded", 5, 4)])
async def test_a_second_counter_beside_the_label_of_a_provider(counts, first, second):
    # given series of pods that only the provider's label tells apart, and failures in a counter of their own
    plan = ObjectivePlan("errors", "errors", "m_total", (), (), 0.01, second=SecondCounter("other_total", counts))

    def labelled(revision, each, metric):
        labels = {"__name__": metric, "namespace": "ml", "revision": revision, "instance": f"{revision}:8080"}
        return RawSeries.of(labels, every(1000, 1030, each).items())

    asked = Question(("ml", "churn"), "run", "b", "a", (plan,), since=SINCE, weight=5)
    series = [labelled("a", 95, "m_total"), labelled("b", first, "m_total"), labelled("b", second, "other_total")]
    errors = await read(*series, labelled("c", 1000, "m_total"), asked=asked, revision_label="revision")
    assert (errors.requests, errors.bad) == (30, 6)


async def test_in_the_watch_window_the_version_before_tells_how_bursty_a_gateways_errors_are():
    # given nothing else that serves by plan, and the former revision's series in the same gateway
    asked = Question(("ml", "churn"), "run", "b", None, (ERRORS,), since=SINCE, weight=100, former="a")
    former = counter("a", "500", every(900, 1000, 3, first=5))
    (sides,) = whose.sort([asked], OWNER, [former])
    assert [s.labels["service"] for s in sides["stable"]] == [former.labels["service"]]
    # then it is asked for, and its requests are no one's to compare with
    (matcher,) = whose.matchers(family(ERRORS), [asked])
    assert "churn-a" in matcher.value.replace("\\", "")
    errors = await read(former, counter("b", "200", every(1005, 1030, 4, first=4)), asked=asked)
    assert (errors.requests, errors.stable_value) == (24, None)
