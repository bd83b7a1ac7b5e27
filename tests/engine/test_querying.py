"""Queries: how often one is asked, what its numbers mean, and what is no number."""

from dataclasses import replace

import pytest

from fairway.ports import MetricsError, QueryRefusedError
from tests.engine.lab import DRIFT, ERRORS, KEY, MINUTE, SINCE, SLOW, Lab, pods, question
from tests.fakes.prometheus import World

pytestmark = pytest.mark.no_cover


async def test_a_query_is_asked_once_per_scrape_interval_about_the_candidate():
    lab = Lab(*pods())
    lab.world.numbers = lambda _: [0.1]
    lab.analysis.ask(question(objectives=(), queries=(DRIFT,)))
    await lab.until(SINCE + 60)
    assert len(lab.world.queries) == pytest.approx(12, abs=1)
    assert lab.world.queries[0][1] == 'max(drift{namespace="ml",pod=~"churn-b-.*"})'
    assert lab.state() == "Healthy"
    assert lab.reading().sufficient
    assert lab.reading().message == "drift: 0.1 (limit below 0.2), 0 of the last 4 answers break it"


def minutely(lab, *bad):
    """What an instant query gives where there is a sample each minute: the newest, which is bad in these minutes."""
    return lambda _: [0.9 if (lab.clock.time - SINCE) // MINUTE in bad else 0.1]


async def watched(lab, end):
    """Every state of the run until then."""
    states = set()
    while lab.clock.time < end:
        await lab.until(lab.clock.time + 1)
        states.add(lab.state())
    return states


async def test_one_bad_sample_is_one_breach_while_nobody_knows_the_scrape_interval():
    # given a provider whose scrape interval is not set, samples each minute, and one bad one
    lab = Lab(interval=None)
    lab.world.numbers = minutely(lab, 2)
    lab.analysis.ask(question(objectives=(), queries=(DRIFT,)))
    # then it is read once
    assert "Regressed" not in await watched(lab, SINCE + 10 * MINUTE)
    assert len(lab.world.queries) == 10
    assert lab.state() == "Healthy"
    # and three bad ones regress
    lab.world.numbers = minutely(lab, 11, 12, 13)
    assert "Regressed" in await watched(lab, SINCE + 15 * MINUTE)


@pytest.mark.parametrize(("scrape", "asked"), [(5.0, 120), (20.0, 30), (MINUTE, 10)])
async def test_a_query_is_asked_as_often_as_the_counts_of_the_run_have_samples(scrape, asked):
    # given a provider whose scrape interval is not set, and pods whose samples show it
    inhabitants = [replace(pod, scrape=scrape) for pod in pods(end=SINCE + 700, rate=20)]
    lab = Lab(*inhabitants, interval=None)
    lab.world.numbers = lambda _: [0.1]
    lab.analysis.ask(question(queries=(DRIFT,)))
    await lab.until(SINCE + 10 * MINUTE)
    assert len(lab.world.queries) == pytest.approx(asked, abs=3)


async def test_the_slowest_counts_of_the_run_say_how_often_a_query_is_asked():
    # given errors that are scraped each 5 seconds, and latencies that are scraped each minute
    fast = [replace(pod, buckets=()) for pod in pods(end=SINCE + 700, rate=20)]
    lab = Lab(*fast, interval=None)
    slow = World(lab.clock, [replace(pod, scrape=MINUTE) for pod in pods(end=SINCE + 700, rate=20)])
    answer = lab.world.raw

    async def raw(selectors, window):
        return await (slow.raw if selectors[0].metric == "seconds_bucket" else answer)(selectors, window)

    lab.world.raw, lab.world.numbers = raw, minutely(lab, 2)
    lab.analysis.ask(question(objectives=(ERRORS, SLOW), queries=(DRIFT,)))
    assert "Regressed" not in await watched(lab, SINCE + 8 * MINUTE)


async def test_another_providers_scrape_interval_says_nothing_about_a_query():
    # given counts with samples each 5 seconds, and a query to a provider of which nothing is known
    lab = Lab(*pods(end=SINCE + 700, rate=20), providers=("main", "drift"), interval=None)
    lab.worlds["drift"].numbers = minutely(lab, 2)
    lab.analysis.ask(question(queries=(replace(DRIFT, provider="drift"),)))
    assert "Regressed" not in await watched(lab, SINCE + 8 * MINUTE)
    assert len(lab.worlds["drift"].queries) == 8


async def test_three_breaches_of_the_last_four_regress_and_two_do_not():
    answers = iter([0.1, 0.3, 0.1, 0.3, 0.1, 0.1, 0.3, 0.3, 0.3])
    states = []
    lab = Lab(*pods())
    lab.world.numbers = lambda _: [next(answers)]
    lab.analysis.ask(question(objectives=(), queries=(DRIFT,)))
    for _ in range(9):
        await lab.until(lab.clock.time + 5)
        states.append(lab.state())
    assert states[:3] == ["Undecided"] * 3
    assert "Regressed" not in states[:8]
    assert states[8] == "Regressed"
    assert "0.3 (limit below 0.2), 3 of the last 4 answers break it" in lab.reading().message


async def test_a_regression_by_a_query_stays_while_the_run_is_paused():
    lab = Lab(*pods())
    lab.world.numbers = lambda _: [1.0]
    lab.analysis.ask(question(objectives=(), queries=(DRIFT,)))
    await lab.until(SINCE + 20)
    lab.world.numbers = lambda _: [0.0]
    await lab.until(SINCE + 60)
    assert lab.state() == "Regressed"


@pytest.mark.parametrize("objectives", [(), (ERRORS,)])
async def test_a_regression_by_a_query_stays_when_the_operator_starts_anew(objectives):
    first = Lab(*pods())
    first.world.numbers = lambda _: [1.0]
    first.analysis.ask(question(objectives=objectives, queries=(DRIFT,)))
    await first.until(SINCE + 20)
    stored = first.reading().checkpoint()
    second = Lab(*pods(), now=SINCE + 30)
    second.world.numbers = lambda _: [0.0]
    second.analysis.ask(question(objectives=objectives, queries=(DRIFT,), checkpoint=stored))
    await second.until(SINCE + 60)
    assert second.state() == "Regressed"
    # given that the query is another one, then it is judged by its own answers
    second.analysis.ask(question(objectives=objectives, queries=(replace(DRIFT, below=0.3),), checkpoint=stored))
    await second.until(SINCE + 90)
    assert second.state() != "Regressed"


@pytest.mark.parametrize(
    ("numbers", "says"),
    [
        ([], "no value"),
        ([float("nan")], "NaN"),
        ([float("inf")], "Inf"),
        ([-float("inf")], "Inf"),
        ([0.1, 0.2], "2 series where one is due"),
    ],
)
async def test_an_answer_that_is_no_number_is_no_data(numbers, says):
    lab = Lab(*pods())
    lab.world.numbers = lambda _: numbers
    lab.analysis.ask(question(objectives=(), queries=(DRIFT,)))
    # then at first it may pass by itself: the candidate has hardly been scraped
    await lab.until(SINCE + 20)
    assert lab.state() == "Undecided"
    await lab.until(SINCE + 40)
    assert (lab.state(), lab.reading().cause) == ("NoData", "NoValue")
    assert says in lab.reading().message
    # and it goes on by itself
    lab.world.numbers = lambda _: [0.1]
    await lab.until(SINCE + 65)
    assert lab.state() == "Healthy"


async def test_one_answer_without_a_number_is_no_news():
    lab = Lab(*pods())
    answers = iter([[0.1], [0.1], [0.1], [0.1], [float("nan")], [0.1], [float("nan")], [0.1], *[[0.1]] * 20])
    lab.world.numbers = lambda _: next(answers)
    lab.analysis.ask(question(objectives=(), queries=(DRIFT,)))
    await lab.until(SINCE + 17)
    states = set()
    while lab.clock.time < SINCE + 60:
        await lab.until(lab.clock.time + 2)
        states.add(lab.state())
    assert states == {"Healthy"}


async def test_answers_from_before_a_long_outage_do_not_count():
    lab = Lab(*pods())
    lab.world.numbers = lambda _: [0.3]
    lab.analysis.ask(question(objectives=(), queries=(DRIFT,)))
    await lab.until(SINCE + 9)
    lab.world.failure = MetricsError("HTTP 500")
    await lab.until(SINCE + 100)
    lab.world.failure = None
    gauge = lab.analysis._open[KEY].gauges["drift"]
    await lab.until(lab.clock.time + 20, stop=lambda: gauge.answers.latest[-1][0] > SINCE + 100)
    assert len(gauge.answers.latest) == 1
    assert lab.state() == "Undecided"


async def test_a_query_that_the_provider_refuses_says_so_and_stops_nobody_else():
    lab = Lab(*pods(bad=0.5), *pods("other"))
    lab.world.numbers = lambda promql: refuse() if "churn" in promql else [0.1]

    def refuse():
        raise QueryRefusedError("HTTP 422: the provider refuses the query")

    lab.analysis.ask(question(objectives=(), queries=(DRIFT,)))
    lab.analysis.ask(question("other", objectives=(), queries=(DRIFT,)))
    await lab.until(SINCE + 30)
    assert (lab.state(), lab.reading().cause) == ("NoData", "InvalidQuery")
    assert "HTTP 422" in lab.reading().message
    assert lab.state(("ml", "other")) == "Healthy"


async def test_what_a_model_owner_wrote_goes_through_the_parser_and_an_admins_template_does_not():
    seen = []

    def scoped(promql, namespace):
        seen.append((promql, namespace))
        return f"checked {promql}"

    lab = Lab(*pods(), scoped=scoped)
    lab.world.numbers = lambda _: [0.1]
    lab.analysis.ask(question(objectives=(), queries=(DRIFT, replace(DRIFT, name="own", scoped=True))))
    await lab.until(SINCE + 2)
    text = 'max(drift{namespace="ml",pod=~"churn-b-.*"})'
    assert seen == [(text, "ml")]
    assert {asked for _, asked in lab.world.queries} == {text, f"checked {text}"}


async def test_the_window_grows_with_the_run_up_to_five_minutes():
    lab = Lab(*pods())
    lab.world.numbers = lambda _: [0.1]
    lab.analysis.ask(question(objectives=(), queries=(replace(DRIFT, promql="$window"),)))
    await lab.until(SINCE + 400)
    windows = [int(text[:-1]) for _, text in lab.world.queries]
    assert windows[0] == 60
    assert windows == sorted(windows)
    assert windows[-1] == 300


async def test_a_question_that_cannot_be_asked_is_answered_at_once_and_never_asked():
    lab = Lab(*pods())
    hopeless = replace(DRIFT, problem="there is no metrics provider 'x', only main", cause="UnknownProvider")
    lab.analysis.ask(question(objectives=(), queries=(hopeless,)))
    assert (lab.state(), lab.reading().cause) == ("NoData", "UnknownProvider")
    await lab.until(SINCE + 30)
    assert lab.world.queries == []
