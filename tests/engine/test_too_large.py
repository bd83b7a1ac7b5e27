"""Answers that are too large: halved down to the one model, which is asked for less history; nothing counts twice."""

import pytest

from fairway.ports import MetricsError, QueryRefusedError, TooLargeError
from tests.engine.lab import KEY, MINUTE, SINCE, Lab, pods, question
from tests.fakes.prometheus import Pod

pytestmark = pytest.mark.no_cover


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
