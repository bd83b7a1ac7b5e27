"""How many questions go to whom, and that nobody waits for anybody else's answer. Time only moves by hand."""

import asyncio
import random
from dataclasses import replace

import pytest

from fairway.engine.analysis import Analysis
from fairway.engine.track import Track
from fairway.ports import Endpoint, MetricsError
from tests.engine.lab import DRIFT, ERRORS, KEY, SINCE, SLOW, Lab, pods, question
from tests.fakes.prometheus import Pod, World

pytestmark = pytest.mark.no_cover


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
