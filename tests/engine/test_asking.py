"""How many questions go to whom, and that nobody waits for anybody else's answer. Time only moves by hand."""

import asyncio
import random
from dataclasses import replace

import pytest

from fairway.core.verdict import ObjectivePlan, QueryPlan, Question, SeriesMatcher
from fairway.engine.analysis import Analysis
from fairway.engine.track import Track
from fairway.ports import Endpoint, MetricsError, QueryRefusedError, TooLargeError
from tests.fakes.prometheus import Clock, Pod, World

pytestmark = pytest.mark.no_cover

FAILURE = (SeriesMatcher("status", "=~", "5.."),)
ERRORS = ObjectivePlan("errors", "errors", "requests_total", (), FAILURE, 0.01, min_requests=300, text="1%")
SLOW = ObjectivePlan("latency", "latency", "seconds", (), (), 0.02, edge=0.05, min_requests=150, text="p98 50ms")
DRIFT = QueryPlan("drift", "max(drift{$selector})", scoped=False, below=0.2, text="below 0.2")
SINCE = 1000.0
KEY = ("ml", "churn")
MINUTE = 60.0


def question(name="churn", **more):
    asked = Question(("ml", name), "run-1", "b", "a", (ERRORS,), since=SINCE, weight=5)
    return replace(asked, **more)


def pods(name="churn", *, bad=0.0, rate=95, start=0.0, end=1200.0, phase=3.0, **more):
    stable = Pod(f"{name}-a-x-1", phase=phase, **more).serve(start, end, rate, 0.001)
    candidate = Pod(f"{name}-b-x-1", phase=phase, **more).serve(SINCE, end, 5, bad)
    return [stable, candidate]


class Lab:
    """A clock, some providers with a world each, and an analysis that asks them."""

    def __init__(self, *inhabitants, providers=("main",), now=SINCE, interval=5.0, label=None, **more):
        self.clock = Clock(now)
        self.worlds = {name: World(self.clock, list(inhabitants)) for name in providers}
        endpoints = [Endpoint(name, world, interval, label) for name, world in self.worlds.items()]
        self.told = []
        self.analysis = Analysis(endpoints, self.clock, self.told.append, **more)

    @property
    def world(self):
        return self.worlds["main"]

    async def until(self, end, stop=lambda: False):
        """Poll as run() does, jumping from one due time to the next."""
        while self.clock.time < end and not stop():
            seconds = await self.analysis.poll()
            self.clock.time = min(end, self.clock.time + (seconds if seconds is not None else end))
        return self

    def reading(self, key=KEY, run="run-1"):
        return self.analysis.reading(key, run)

    def state(self, key=KEY):
        reading = self.reading(key)
        return reading.state if reading else None


# --- how many questions ---------------------------------------------------------------------------------------------


async def queries_per_interval(runs, phases):
    """Open some runs, let them settle, and count what is asked about their errors in four scrape intervals."""
    names = [f"m{i}" for i in range(runs)]
    lab = Lab(*(pod for name in names for pod in pods(name, rate=1, start=950, end=1040, phase=next(phases))))
    for name in names:
        lab.analysis.ask(question(name))
    await lab.until(SINCE + 15)
    before = len(lab.world.asked)
    await lab.until(SINCE + 35)
    assert all(lab.reading(("ml", name)).objectives[0].requests > 80 for name in names[:: max(1, runs // 7)])
    return (len(lab.world.asked) - before) / 4


async def test_the_count_of_queries_grows_by_chunks_of_fifty_only():
    # given pods that are scraped at the same moments
    one, fifty, many = [await queries_per_interval(runs, iter(lambda: 3.0, None)) for runs in (1, 50, 500)]
    # then each scrape interval costs one query, and ten for 500 runs
    assert (one, fifty, many) == (1, 1, 10)


async def test_pods_that_are_scraped_at_all_moments_cost_a_few_more_and_no_more_than_that():
    dice = random.Random(5)

    def phases():
        while True:
            yield dice.random() * 5

    one, fifty, many = [await queries_per_interval(runs, phases()) for runs in (1, 50, 200)]
    # then at most four moments per interval, and four chunks' worth of models spread over them
    assert one == 1
    assert fifty <= 4
    assert many <= 4 + 4


async def test_idle_models_cost_nothing_and_forgotten_ones_no_more():
    lab = Lab(*pods())
    assert await lab.analysis.poll() is None
    lab.analysis.ask(question(queries=(DRIFT,)))
    await lab.until(SINCE + 10)
    lab.analysis.forget(KEY)
    asked = len(lab.world.asked), len(lab.world.queries)
    await lab.until(SINCE + 30)
    assert (len(lab.world.asked), len(lab.world.queries)) == asked


async def test_a_provider_is_asked_about_its_own_objectives_only():
    lab = Lab(*pods(), providers=("main", "mimir"))
    elsewhere = replace(SLOW, provider="mimir")
    lab.analysis.ask(question(objectives=(ERRORS, elsewhere), queries=(replace(DRIFT, provider="mimir"),)))
    await lab.until(SINCE + 20)
    assert {selector.metric for _, selector, _ in lab.world.asked} == {"requests_total"}
    assert {selector.metric for _, selector, _ in lab.worlds["mimir"].asked} == {"seconds_bucket"}
    assert lab.world.queries == []
    assert lab.worlds["mimir"].queries


# --- answers that are too large -------------------------------------------------------------------------------------


def limited(world, fits):
    """Let a world answer only what fits."""
    answer = world.raw

    async def raw(selectors, window):
        found = await answer(selectors, window)
        if not fits(selectors[0], found):
            raise TooLargeError("the answer is larger than 1 MiB")
        return found

    world.raw = raw


async def test_an_answer_over_the_cap_is_halved_down_to_the_one_model_which_is_then_asked_alone():
    names = [f"m{i}" for i in range(8)]
    lab = Lab(*(pod for name in names for pod in pods(name)))
    limited(lab.world, lambda selector, _: "m3-" not in str(selector.matchers))
    for name in names:
        lab.analysis.ask(question(name))
    await lab.until(SINCE + 20)
    reading = lab.reading(("ml", "m3"))
    assert (reading.state, reading.cause) == ("NoData", "TooManySeries")
    assert {lab.state(("ml", name)) for name in names if name != "m3"} == {"Undecided"}
    # when it is asked again, then the others' answers are no longer spoiled by it
    before = len(lab.world.asked)
    await lab.until(SINCE + 20 + MINUTE)
    assert len(lab.world.asked) - before <= 12 + 3


async def test_chunks_become_as_small_as_answers_must_be_and_grow_again():
    names = [f"m{i}" for i in range(40)]
    lab = Lab(*(pod for name in names for pod in pods(name, rate=1)))
    most = 40  # series
    limited(lab.world, lambda _, found: len(found) <= most)
    for name in names:
        lab.analysis.ask(question(name))
    await lab.until(SINCE + 30)
    before = len(lab.world.asked)
    await lab.until(SINCE + 30 + MINUTE)
    # then it does not try the whole in vain each time: five of eight models would be least
    assert len(lab.world.asked) - before <= 12 * 8
    assert {lab.state(("ml", name)) for name in names} == {"Undecided"}
    most = 10**6
    await lab.until(SINCE + 30 + 4 * MINUTE)
    before = len(lab.world.asked)
    await lab.until(SINCE + 30 + 5 * MINUTE)
    assert len(lab.world.asked) - before <= 13


def many(*, end=1600.0, **more):
    """Twelve stable and three new pods, of which one answer of half a minute holds some 200 samples."""
    stable = [Pod(f"churn-a-x-{i}", phase=1.0, **more).serve(0, end, 2, 0.01) for i in range(12)]
    candidate = [Pod(f"churn-b-x-{i}", phase=3.0, **more).serve(SINCE, end, 4, 0.01) for i in range(3)]
    return stable, candidate


def samples(most):
    return lambda _, found: sum(len(series.times) for series in found) <= most


def evidence(lab):
    return lab.analysis._open[KEY].tracks["errors"].evidence


async def interrupted(lab, start, end):
    """Let the provider fail for a while, in which it goes on scraping."""
    await lab.until(start)
    lab.world.failure = MetricsError("HTTP 503")
    await lab.until(end)
    lab.world.failure = None


@pytest.mark.parametrize("minutes", [4, 8, 80])
async def test_after_an_interruption_a_large_model_is_asked_for_less_history_and_nothing_is_lost(minutes):
    # given answers that hold less than two minutes of history, and queries that fail for longer while scraping goes on
    end = SINCE + 60 + MINUTE * minutes
    stable, candidate = many(end=end + 200)
    lab = Lab(*stable, *candidate)
    limited(lab.world, samples(700))
    lab.analysis.ask(question())
    await interrupted(lab, SINCE + 60, end)
    asked = len(lab.world.asked)
    await lab.until(end + 25)
    # then it takes a few smaller questions, at once, and all that was served is counted: counters are cumulative
    assert lab.state() in ("Undecided", "Healthy")
    assert len(lab.world.asked) - asked <= 6 + 6
    await lab.until(end + 60)
    assert evidence(lab).at > end + 50
    assert evidence(lab).candidate.requests == sum(pod.counted(0, evidence(lab).at)[0] for pod in candidate)
    assert evidence(lab).candidate.bad == sum(pod.counted(0, evidence(lab).at)[1] for pod in candidate)
    # and no burst is seen in what is counted at once
    assert evidence(lab).spread.phi < 2
    # when it fails again, for as long as one answer holds, then the bound of before is gone
    await interrupted(lab, end + 60, end + 150)
    await lab.until(end + 165)
    assert next(window for at, _, window in lab.world.asked if at > end + 150) > 90


async def test_a_large_model_that_breaks_after_an_interruption_is_rolled_back():
    stable, candidate = many()
    for pod in candidate:
        pod.requests = [(at, at > SINCE + 300 and i % 2 == 0, s) for i, (at, _, s) in enumerate(pod.requests)]
    lab = Lab(*stable, *candidate)
    limited(lab.world, samples(700))
    lab.analysis.ask(question())
    await interrupted(lab, SINCE + 60, SINCE + 360)
    assert lab.state() == "ProviderError"
    await lab.until(SINCE + 380)
    assert lab.state() == "Regressed"


async def test_pods_that_come_and_go_while_a_large_model_cannot_be_asked_for_never_count_twice():
    # given a new pod that is born and dies in the interruption, one that is born in it, and one that dies in it
    stable, candidate = many()
    candidate[0].died = SINCE + 200
    more = [
        Pod("churn-b-x-7", phase=2.0, born=SINCE + 100, died=SINCE + 200).serve(SINCE + 100, SINCE + 200, 4, 0.5),
        Pod("churn-b-x-8", phase=2.0, born=SINCE + 150).serve(SINCE + 150, 1600, 4, 0.5),
    ]
    lab = Lab(*stable, *candidate, *more)
    limited(lab.world, samples(700))
    lab.analysis.ask(question())
    await interrupted(lab, SINCE + 60, SINCE + 480)
    await lab.until(SINCE + 540)
    # then what nobody has seen is lost, and what the others served is there once
    known = sum(pod.counted(0, evidence(lab).at)[0] for pod in candidate[1:])
    known += candidate[0].counted(0, SINCE + 58)[0]
    late = more[1].counted(SINCE + 440, evidence(lab).at)[0], more[1].counted(SINCE + 360, evidence(lab).at)[0]
    assert known + late[0] <= evidence(lab).candidate.requests <= known + late[1]


async def test_a_new_operator_goes_on_from_the_checkpoint_of_a_large_model():
    stable, candidate = many()
    first = Lab(*stable, *candidate)
    first.analysis.ask(question())
    await first.until(SINCE + 60)
    stored, before = first.reading().checkpoint(), evidence(first)
    second = Lab(*stable, *candidate, now=SINCE + 480)
    limited(second.world, samples(700))
    second.analysis.ask(question(checkpoint=stored))
    await second.until(SINCE + 540)
    # then the middle is lost, as nothing is known of the pods but what the answers show, and the rest counts once
    assert second.state() in ("Undecided", "Healthy")
    counted, end = evidence(second).candidate.requests - before.candidate.requests, evidence(second).at
    latest, all_of_it = (sum(pod.counted(start, end)[0] for pod in candidate) for start in (SINCE + 440, before.at))
    assert latest <= counted < all_of_it


async def test_a_pod_that_the_first_short_answer_does_not_show_is_not_taken_for_new():
    # given a large model whose first answers fail, and an old pod of it that is not scraped when they come
    stable, candidate = many()
    old = Pod("churn-a-x-99", phase=2.0, missed=((SINCE + 200, SINCE + 500),)).serve(0, 1600, 50, 0.01)
    lab = Lab(*stable, *candidate, old)
    limited(lab.world, samples(700))
    lab.world.failure = MetricsError("HTTP 503")
    lab.analysis.ask(question())
    await lab.until(SINCE + 480)
    lab.world.failure = None
    await lab.until(SINCE + 560)
    # then what it served before does not count
    rest = sum(pod.counted(SINCE + 360, evidence(lab).at)[0] for pod in stable)
    assert evidence(lab).stable.requests <= rest + old.counted(SINCE + 500, evidence(lab).at)[0]


async def test_a_query_that_the_provider_refuses_is_halved_down_to_the_one_model_that_is_to_blame():
    names = [f"m{i}" for i in range(8)]
    lab = Lab(*(pod for name in names for pod in pods(name)))
    answer = lab.world.raw

    async def raw(selectors, window):
        found = await answer(selectors, window)
        if "m3-" in str(selectors[0].matchers):
            raise QueryRefusedError("HTTP 400: the provider refuses the query")
        return found

    lab.world.raw = raw
    for name in names:
        lab.analysis.ask(question(name))
    await lab.until(SINCE + 20)
    reading = lab.reading(("ml", "m3"))
    assert (reading.state, reading.cause) == ("NoData", "InvalidQuery")
    assert "the provider refuses its matchers of requests_total" in reading.message
    assert {lab.state(("ml", name)) for name in names if name != "m3"} == {"Undecided"}


# --- S29: providers that fail ---------------------------------------------------------------------------------------


async def test_s29_a_provider_that_hangs_delays_neither_other_objectives_nor_other_models():
    # given a drift provider that hangs, a model that needs it too, and one that does not
    lab = Lab(*pods(bad=0.5), *pods("other", bad=0.5), providers=("main", "drift"), pause=None)
    hanging = asyncio.Event()

    calls = []

    async def hang(*_):
        calls.append(lab.clock.time)
        await hanging.wait()
        raise MetricsError("no answer within 5s")

    lab.worlds["drift"].raw = lab.worlds["drift"].query = hang
    far = replace(ERRORS, name="far", provider="drift"), replace(DRIFT, provider="drift")
    lab.analysis.ask(question(objectives=(ERRORS, far[0]), queries=(far[1],)))
    lab.analysis.ask(question("other"))

    async def pause(seconds):
        lab.clock.time += min(seconds or 0.0, 1.0)
        await asyncio.sleep(0)

    lab.analysis._pause = pause
    running = asyncio.ensure_future(lab.analysis.run())
    async with asyncio.timeout(20):
        while lab.clock.time < SINCE + 20:
            await asyncio.sleep(0)
    # then the other model is found out at its own pace, and the hanging questions were asked once each
    assert len(calls) == 2
    assert lab.state(("ml", "other")) == "Regressed"
    track = lab.analysis._open[KEY].tracks["errors"]
    assert track.evidence.fired
    # when the answers fail at last
    hanging.set()
    async with asyncio.timeout(20):
        while lab.state() is None:
            await asyncio.sleep(0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    # then the regression stands: a provider that fails vetoes nothing
    assert lab.state() == "Regressed"


async def test_one_question_that_gets_lost_is_no_news_and_two_in_a_row_are():
    lab = Lab(*pods())
    lab.analysis.ask(question(queries=(DRIFT,)))
    lab.world.numbers = lambda _: [0.1]
    await lab.until(SINCE + 12)
    assert lab.state() == "Undecided"
    lab.world.failure = MetricsError("HTTP 500")
    told = len(lab.told)
    await lab.until(SINCE + 60, stop=lambda: lab.analysis._open[KEY].tracks["errors"].failures == 1)
    assert lab.state() == "Undecided"
    assert len(lab.told) == told
    # when the next one fails, too
    await lab.until(SINCE + 60, stop=lambda: lab.analysis._open[KEY].tracks["errors"].failures == 2)
    assert lab.state() == "ProviderError"
    # and when it answers again
    lab.world.failure = None
    await lab.until(lab.clock.time + 6)
    assert lab.state() == "Undecided"


@pytest.mark.parametrize("more", [{"objectives": (ERRORS,)}, {"objectives": (), "queries": (DRIFT,)}])
async def test_a_fault_of_our_own_neither_ends_the_lane_nor_silences_an_objective(caplog, more):
    lab = Lab(*pods(), forgiving=True)
    lab.world.numbers = lambda _: [0.1]
    lab.world.failure = UnicodeEncodeError("ascii", "hunter2", 0, 1, "ordinal not in range")
    lab.analysis.ask(question(**more))
    await lab.until(SINCE + 12)
    assert lab.state() == "ProviderError"
    assert "unexpected error" in lab.reading().message
    assert "Traceback" in caplog.text
    # when it is over
    lab.world.failure = None
    await lab.until(lab.clock.time + 25)
    assert lab.state() in ("Undecided", "Healthy")


async def test_an_answer_that_breaks_the_count_of_one_model_is_no_trouble_of_others(monkeypatch):
    lab = Lab(*pods(), *pods("other"), forgiving=True)
    take = Track.take

    def broken(track, asked, sides, now):
        if asked.key == KEY:
            raise ZeroDivisionError
        return take(track, asked, sides, now)

    monkeypatch.setattr(Track, "take", broken)
    for name in ("churn", "other"):
        lab.analysis.ask(question(name))
    await lab.until(SINCE + 20)
    assert lab.state() == "ProviderError"
    assert lab.state(("ml", "other")) == "Undecided"


async def test_a_replay_ends_with_an_unexpected_exception():
    lab = Lab(*pods())
    lab.world.failure = ZeroDivisionError()
    lab.analysis.ask(question())
    with pytest.raises(ZeroDivisionError):
        await lab.until(SINCE + 12)


async def test_a_provider_that_fails_is_asked_less_and_less_often():
    lab = Lab(*pods())
    lab.world.failure = MetricsError("HTTP 500")
    lab.analysis.ask(question())
    await lab.until(SINCE + 300)
    assert len(lab.world.asked) <= 32


# --- whose series ---------------------------------------------------------------------------------------------------


class Labelled(World):
    """A world whose series have a label for the revision, and none for the pod."""

    async def raw(self, selectors, window):
        found = []
        for selector in selectors:
            rest = tuple(m for m in selector.matchers if m.label != "model_revision")
            (asked,) = [m for m in selector.matchers if m.label == "model_revision"]
            self.asked.append((self.clock.now(), selector, window))
            plain = await World.raw(replace_asked(self), [replace(selector, matchers=rest)], window)
            found += [relabelled(s) for s in plain if relabelled(s).labels["model_revision"] in asked.value.split("|")]
        return found


def replace_asked(world):
    return World(world.clock, world.pods)


def relabelled(series):
    labels = dict(series.labels)
    revision = labels.pop("pod").split("-")[1]
    return replace(series, labels=labels | {"model_revision": revision})


async def test_a_revision_label_takes_the_place_of_the_pods_names():
    # given two pods of each revision, and a provider whose series do not name them
    inhabitants = [Pod(f"churn-{r}-x-{i}", phase=i).serve(0, 1200, 40, 0.001) for r in "a" for i in (1, 2)]
    inhabitants += [Pod(f"churn-b-x-{i}", phase=i).serve(SINCE, 1200, 5, 0.5) for i in (1, 2)]
    lab = Lab(*inhabitants, label="model_revision")
    world = Labelled(lab.clock, inhabitants)
    endpoint = Endpoint("main", world, 5.0, "model_revision")
    lab.analysis = Analysis([endpoint], lab.clock, lab.told.append)
    lab.analysis.ask(question(queries=(DRIFT,)))
    await lab.until(SINCE + 22)
    # then both pods of the candidate are counted, each once
    errors = lab.reading().objectives[0]
    assert errors.state == "Regressed"
    assert errors.requests >= 2 * 5 * 10
    assert next(m for m in world.asked[0][1].matchers if m.op == "=~" and m.label == "model_revision").value == "a|b"
    assert world.queries[0][1] == 'max(drift{namespace="ml",model_revision="b"})'


# --- queries --------------------------------------------------------------------------------------------------------


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


async def test_a_look_does_not_wait_for_another_sample():
    # given a query without a value, of which the second answer tells
    lab = Lab(interval=None)
    lab.world.numbers = lambda _: []
    lab.analysis.ask(replace(LOOK, objectives=(), queries=(DRIFT,)))
    await lab.until(SINCE + 20)
    assert lab.reading(run="preflight/a").cause == "NoValue"


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


# --- looking whether anything can be measured -----------------------------------------------------------------------

LOOK = question(run="preflight/a", candidate="a", stable=None, since=0.0, look=True, weight=100)


async def look(*inhabitants, numbers=None, **more):
    lab = Lab(*inhabitants)
    lab.world.numbers = numbers
    lab.analysis.ask(replace(LOOK, **more))
    await lab.analysis.poll()
    await lab.until(SINCE + 8)
    return lab.reading(run="preflight/a"), lab


async def test_a_look_sees_what_was_ever_counted_with_one_small_question():
    # given a model that had its last request an hour ago
    quiet = Pod("churn-a-x-1").serve(100, 110, 10, 0.0)
    quiet.requests = [(t - 3600, failed, seconds) for t, failed, seconds in quiet.requests]
    reading, lab = await look(quiet)
    assert reading.measured
    assert reading.objectives[0].requests == 100
    assert {window for _, _, window in lab.world.asked} == {30.0}


async def test_a_look_without_requests_or_without_series_says_which():
    unborn = Pod("churn-a-x-1").serve(2000, 2010, 10, 0.0)
    reading, _ = await look(unborn)
    assert (reading.measured, reading.state) == (False, "NoData")
    idle = Pod("churn-a-x-1")
    idle._memo[(False, 0)] = [({"status": "200"}, [1.0], [])]
    reading, _ = await look(idle)
    assert (reading.measured, reading.state) == (False, "NoTraffic")


async def test_a_look_finds_that_a_bucket_is_missing():
    reading, _ = await look(Pod("churn-a-x-1", buckets=(0.01, 0.1)).serve(900, 1000, 10, 0.0), objectives=(SLOW,))
    assert (reading.state, reading.cause) == ("NoData", "NoBucket")


async def test_a_look_finds_probes_among_the_requests():
    pod = Pod("churn-a-x-1").serve(900, 1000, 10, 0.0)
    every = [r[0] for r in pod.requests]
    pod._memo[(False, len(pod.requests))] = [
        ({"status": "200", "handler": "/predict"}, every, every),
        ({"status": "200", "handler": "/readyz"}, every, every),
    ]
    reading, _ = await look(pod, probes=("/metrics", "/readyz"))
    assert (reading.state, reading.cause) == ("NoData", "CountsProbes")
    assert 'add {label: handler, op: "!=", value: /readyz} to metrics.series.requests.matchers' in reading.message
    # and where the run is open nobody looks for them
    reading, _ = await look(pod)
    assert reading.measured


async def test_a_look_wants_a_number_from_every_query():
    pod = Pod("churn-a-x-1").serve(900, 1000, 10, 0.0)
    reading, _ = await look(pod, numbers=lambda _: [0.1], queries=(DRIFT,))
    assert reading.measured
    reading, _ = await look(pod, numbers=lambda _: [], queries=(DRIFT,))
    assert (reading.measured, reading.state, reading.cause) == (False, "NoData", "NoValue")
