"""The analysis against a simulated Prometheus: what it asks, when, and what it says. Time only moves by hand."""

import asyncio
from dataclasses import replace

import pytest

from fairway.core import checkpoint
from fairway.core.verdict import ObjectivePlan, Question, SeriesMatcher
from fairway.engine.analysis import Analysis
from fairway.ports import Endpoint, MetricsError, TooLargeError
from tests.fakes.prometheus import Clock, Pod, World

pytestmark = pytest.mark.no_cover

FAILURE = (SeriesMatcher("status", "=~", "5.."),)
ERRORS = ObjectivePlan("errors", "errors", "requests_total", (), FAILURE, 0.01, min_requests=300, text="1%")
SLOW = ObjectivePlan("latency", "latency", "seconds", (), (), 0.02, edge=0.05, min_requests=150, text="p98 50ms")
SINCE = 1000.0
KEY = ("ml", "churn")


def question(name="churn", **more):
    asked = Question(("ml", name), "run-1", "b", "a", (ERRORS,), since=SINCE, weight=5)
    return replace(asked, **more)


def pods(name="churn", *, bad=0.0, slow=0.0, base=0.001, end=1400.0, since=SINCE, phase=3.0, **more):
    stable = Pod(f"{name}-a-x-1", phase=1.0, **more).serve(0, end, 95, base)
    candidate = Pod(f"{name}-b-x-1", phase=phase, **more).serve(since, end, 5, bad, slow=slow)
    return [stable, candidate]


class Lab:
    """A clock, a world, an analysis and what it told."""

    def __init__(self, *inhabitants, source=True, now=SINCE, **more):
        self.clock = Clock(now)
        self.world = World(self.clock, [pod for group in inhabitants for pod in group])
        self.told = []
        endpoints = [Endpoint("main", self.world)] if source else []
        self.analysis = Analysis(endpoints, self.clock, self._changed, **more)

    def _changed(self, key):
        self.told.append((self.clock.time, key))

    async def until(self, end, stop=lambda: False):
        """Poll as run() does, jumping from one due time to the next."""
        while self.clock.time < end and not stop():
            seconds = await self.analysis.poll()
            if stop():
                break
            self.clock.time = min(end, self.clock.time + (seconds if seconds is not None else end))
        return self

    def reading(self, key=KEY, run="run-1"):
        return self.analysis.reading(key, run)

    def state(self, key=KEY):
        reading = self.reading(key)
        return reading.state if reading else None


# --- detection ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", [0.5, 1.5, 2.5, 3.5, 4.5])
async def test_half_of_the_answers_failing_is_known_half_a_second_after_the_second_scrape(phase):
    # given S22: 100 requests/s, 5 % weight, 5 s scrapes, half of the candidate's answers fail
    lab = Lab(pods(bad=0.5, phase=phase))
    lab.analysis.ask(question())
    # when the analysis polls
    await lab.until(1100.0, stop=lambda: lab.state() == "Regressed")
    # then it is known at once after the second scrape: one scrape interval and 5 s after the first bad answer
    second_scrape = SINCE + phase + 5.0
    assert lab.clock.time <= second_scrape + 0.9
    assert "evidence 10^" in lab.reading().message
    assert lab.told[-1] == (lab.clock.time, KEY)


async def test_errors_and_latency_of_a_good_candidate_become_sufficient():
    lab = Lab(pods(base=0.004, bad=0.004))
    lab.analysis.ask(question(objectives=(ERRORS, SLOW), weight=5))
    await lab.until(1120.0)
    assert lab.reading().sufficient
    assert lab.state() in ("Healthy", "Undecided")
    assert [o.requests > 400 for o in lab.reading().objectives] == [True, True]


async def test_slow_answers_are_found_by_the_histogram():
    lab = Lab(pods(slow=0.3))
    lab.analysis.ask(question(objectives=(SLOW,)))
    await lab.until(1060.0)
    assert lab.state() == "Regressed"
    assert "slower than 50ms" in lab.reading().message


async def test_the_watch_window_knows_from_the_former_revision_how_bursty_errors_are():
    # given a former revision whose failures came in groups until the promotion
    former = Pod("churn-a-x-1", phase=1.0).serve(0, SINCE, 95, 0.0)
    former.requests += [(60.0 * k + i / 100, True, 0.02) for k in range(2, 16) for i in range(30)]
    former.requests.sort()
    promoted = Pod("churn-b-x-1", phase=3.0).serve(0, 1400.0, 100, 0.001)
    lab = Lab([former, promoted])
    watch = question(stable=None, former="a", weight=100)
    lab.analysis.ask(watch)
    await lab.until(1030.0)
    # then the evidence of the window weighs less from its start, and the former revision is no yardstick
    stored = checkpoint.load(replace(watch, checkpoint=lab.reading().checkpoint()))["errors"]
    assert stored.spread.phi > 10
    assert stored.load == pytest.approx(stored.candidate.requests / stored.spread.phi, rel=0.1)
    assert lab.reading().objectives[0].stable_value is None


async def test_an_objective_that_joins_an_open_run_moves_no_bar():
    lab = Lab(pods())
    lab.analysis.ask(question())
    await lab.until(1020.0)
    needed = lab.reading().objectives[0].log10_needed
    lab.analysis.ask(question(objectives=(ERRORS, SLOW)))
    await lab.until(1040.0)
    assert [o.log10_needed for o in lab.reading().objectives] == [needed, needed]


async def test_the_numbers_are_what_the_load_saw():
    inhabitants = pods(bad=0.02, base=0.015)
    lab = Lab(inhabitants)
    lab.analysis.ask(question())
    await lab.until(1301.0)
    truth = inhabitants[1].counted(0, 1298.0)
    (errors,) = lab.reading().objectives
    assert (errors.requests, errors.bad) == truth


# --- asking -------------------------------------------------------------------------------------------------------


async def test_one_query_per_family_for_all_open_runs_and_one_per_scrape():
    names = [f"m{i}" for i in range(6)]
    lab = Lab(*(pods(name, end=1100.0) for name in names))
    for name in names:
        lab.analysis.ask(question(name, objectives=(ERRORS, SLOW)))
    await lab.until(1040.0)
    before = len(lab.world.asked)
    await lab.until(1070.0)
    # then six scrapes cost six queries for errors and six for latency
    assert len(lab.world.asked) - before <= 14
    selector = lab.world.asked[-1][1]
    assert {m.label for m in selector.matchers} >= {"namespace", "pod"}
    assert all(lab.reading(("ml", name)).objectives[0].requests > 300 for name in names)


async def test_more_than_fifty_models_are_asked_in_chunks():
    lab = Lab()
    for i in range(101):
        lab.analysis.ask(question(f"m{i}"))
    await lab.analysis.poll()
    assert len(lab.world.asked) == 3


async def test_without_open_runs_nothing_is_asked():
    lab = Lab(pods())
    assert await lab.analysis.poll() is None
    lab.analysis.ask(question())
    lab.analysis.forget(KEY)
    lab.analysis.forget(KEY)
    assert await lab.analysis.poll() is None
    assert lab.world.asked == []
    assert lab.reading() is None


async def test_only_the_needed_buckets_are_asked_for_and_others_found_if_there_is_none_at_the_limit():
    # given buckets at 45 and 55 ms and a limit of 50 ms
    lab = Lab(pods(slow=0.5, buckets=(0.001, 0.045, 0.055, 1.0)))
    lab.analysis.ask(question(objectives=(SLOW,)))
    await lab.until(1050.0)
    le = [[m.value for m in s.matchers if m.label == "le"] for _, s, _ in lab.world.asked]
    # then it asks for the limit's, once for all, and from then on for the two around it
    assert le[0] == [r"\+Inf|0\.05"]
    assert le.count([]) == 1
    assert le[-1] == [r"\+Inf|0\.045|0\.055"]
    assert lab.state() == "Regressed"
    assert "slower than 55ms" in lab.reading().message


async def test_no_bucket_near_the_limit_is_no_data_with_the_nearest_named():
    lab = Lab(pods(slow=0.5, buckets=(0.01, 0.1, 1.0)))
    lab.analysis.ask(question(objectives=(SLOW,)))
    await lab.until(1050.0)
    assert lab.state() == "NoData"
    assert "the nearest are 10ms and 100ms" in lab.reading().message
    assert lab.reading().objectives[0].requests == 0


async def test_a_candidate_with_other_buckets_is_not_blamed():
    old, new = pods(end=1200.0)
    new.buckets = (0.02, 0.08)
    lab = Lab([old, new])
    lab.analysis.ask(question(objectives=(SLOW,)))
    await lab.until(1060.0)
    assert lab.state() == "NoData"


async def test_a_model_named_like_anothers_revision_keeps_its_pods():
    # given models "churn" and "churn-b", whose pods' names begin alike
    lab = Lab(pods(), pods("churn-b", bad=0.5))
    lab.analysis.ask(question())
    lab.analysis.ask(question("churn-b"))
    await lab.until(1030.0)
    assert (lab.state(), lab.state(("ml", "churn-b"))) == ("Undecided", "Regressed")


async def test_strangers_with_a_similar_name_do_not_count():
    strangers = [Pod("churn-b-x-9", namespace="other", phase=2.0).serve(900, 1200, 50, 1.0)]
    lab = Lab(pods(), pods("churn-two"), strangers)
    lab.analysis.ask(question())
    lab.analysis.ask(replace(question("churn-two"), key=("other", "churn-two")))
    await lab.until(1060.0)
    assert lab.state() == "Undecided"
    assert lab.reading().objectives[0].bad == 0


# --- providers that fail --------------------------------------------------------------------------------------------


async def test_a_provider_that_fails_holds_and_afterwards_everything_is_counted():
    inhabitants = pods(base=0.005, bad=0.005)
    lab = Lab(inhabitants)
    lab.analysis.ask(question())
    await lab.until(1040.0)
    seen = lab.reading().objectives[0].requests
    # when it is down for two minutes
    lab.world.failure = MetricsError("HTTP 500")
    await lab.until(1160.0)
    assert lab.state() == "ProviderError"
    assert "the metrics provider: HTTP 500" in lab.reading().message
    assert lab.reading().objectives[0].requests == seen
    queries = len(lab.world.asked)
    # and comes back
    lab.world.failure = None
    await lab.until(1200.0)
    assert queries < 40
    assert lab.state() in ("Undecided", "Healthy")
    assert lab.reading().objectives[0].requests == inhabitants[1].counted(0, 1198.0)[0]


async def test_a_regression_that_has_fired_stands_while_the_provider_is_down():
    lab = Lab(pods(bad=0.5))
    lab.analysis.ask(question())
    await lab.until(1030.0)
    lab.world.failure = MetricsError("no answer within 5s")
    await lab.until(1060.0)
    assert lab.state() == "Regressed"


async def test_one_model_with_too_many_series_does_not_stop_the_others():
    names = [f"m{i}" for i in range(8)]
    lab = Lab(*(pods(name, end=1100.0) for name in names))
    answer = lab.world.raw

    async def raw(selectors, window):
        if "m3-" in next(m.value for m in selectors[0].matchers if m.label == "pod"):
            raise TooLargeError("the answer is larger than 1 MiB")
        return await answer(selectors, window)

    lab.world.raw = raw
    for name in names:
        lab.analysis.ask(question(name))
    await lab.until(1040.0)
    states = {name: lab.state(("ml", name)) for name in names}
    assert states.pop("m3") == "NoData"
    assert set(states.values()) == {"Undecided"}
    assert "too many series of requests_total" in lab.reading(("ml", "m3")).message


async def test_a_history_that_is_too_large_is_done_without():
    lab = Lab(pods(bad=0.5))
    answer = lab.world.raw

    async def raw(selectors, window):
        if window > 100:
            raise TooLargeError("the answer is larger than 1 MiB")
        return await answer(selectors, window)

    lab.world.raw = raw
    lab.analysis.ask(question())
    await lab.until(1020.0)
    assert lab.state() == "Regressed"


async def test_values_that_are_no_numbers_are_one_models_no_data():
    lab = Lab(pods())
    answer = lab.world.raw

    async def raw(selectors, window):
        return [replace(s, times=(1000.0,), values=(float("nan"),)) for s in await answer(selectors, window)]

    lab.world.raw = raw
    lab.analysis.ask(question())
    await lab.until(1010.0)
    assert lab.state() == "NoData"
    assert "NaN" in lab.reading().message


async def test_no_series_no_traffic_and_no_provider_are_told_apart():
    # given no series at all
    empty = Lab()
    empty.analysis.ask(question())
    await empty.until(1010.0)
    assert empty.state() == "Undecided"
    await empty.until(1040.0)
    assert empty.state() == "NoData"
    # given a candidate that nobody asks anything
    quiet = Lab(pods()[:1])
    quiet.analysis.ask(question())
    await quiet.until(1130.0)
    assert quiet.state() == "NoTraffic"
    # given no provider
    without = Lab(source=False)
    without.analysis.ask(question())
    assert await without.analysis.poll() is None
    assert without.state() == "NoData"
    assert "no metrics provider is configured" in without.reading().message
    # given an objective that the runtime cannot answer
    unasked = Lab()
    unasked.analysis.ask(question(objectives=(replace(ERRORS, problem="the runtime names no request counter"),)))
    assert "names no request counter" in unasked.reading().message


async def test_a_provider_with_another_clock_delays_nothing_by_more_than_an_interval():
    lab = Lab(pods(bad=0.5))
    answer = lab.world.raw

    async def raw(selectors, window):
        # given timestamps that are 100 s ahead
        return [replace(s, times=tuple(t + 100.0 for t in s.times)) for s in await answer(selectors, window)]

    lab.world.raw = raw
    lab.analysis.ask(question())
    await lab.until(1040.0, stop=lambda: lab.state() == "Regressed")
    assert lab.clock.time < 1030.0


# --- runs and restarts ----------------------------------------------------------------------------------------------


async def test_a_new_operator_goes_on_from_the_checkpoint():
    inhabitants = pods(base=0.005, bad=0.005)
    first = Lab(inhabitants)
    first.analysis.ask(question())
    await first.until(1100.0)
    # when another operator starts a minute later
    second = Lab(inhabitants, now=1160.0)
    second.analysis.ask(question(checkpoint=first.reading().checkpoint()))
    assert second.reading() is None
    await second.until(1200.0)
    # then no request is missing and none is counted twice
    assert second.reading().objectives[0].requests == inhabitants[1].counted(0, 1198.0)[0]


@pytest.mark.parametrize("gap", [60, 120, 240, 600])
async def test_a_new_operator_counts_nothing_again_of_pods_that_are_not_scraped_just_then(gap):
    # given 30 s between scrapes, and a pod of each revision whose scrapes fail while another operator takes over
    missed = ((SINCE + 620 - gap, SINCE + 620),)
    stable = [
        Pod("churn-a-x-1", phase=1.0, scrape=30.0).serve(0, 2000, 48, 0.005),
        Pod("churn-a-x-2", phase=8.0, scrape=30.0, missed=missed).serve(0, 2000, 48, 0.005),
    ]
    candidate = [
        Pod("churn-b-x-1", phase=13.0, scrape=30.0).serve(SINCE, 2000, 2.5, 0.003),
        Pod("churn-b-x-2", phase=21.0, scrape=30.0, missed=missed).serve(SINCE, 2000, 2.5, 0.003),
    ]
    first = Lab(stable, candidate)
    first.analysis.ask(question())
    await first.until(SINCE + 580)
    second = Lab(stable, candidate, now=SINCE + 600)
    second.analysis.ask(question(checkpoint=first.reading().checkpoint()))
    await second.until(SINCE + 900)
    evidence = second.analysis._open[KEY].tracks["errors"].evidence
    # then none is counted twice, and none is lost but what those pods served meanwhile
    late = candidate[1].scrapes(0, evidence.at)[-1]
    served = candidate[0].counted(0, evidence.at)[0] + candidate[1].counted(0, late)[0]
    lost = candidate[1].counted(SINCE + 590 - gap, SINCE + 650)[0] if gap > 120 else 0
    assert served - lost <= evidence.candidate.requests <= served
    assert evidence.stable.requests <= sum(pod.counted(SINCE - 60, evidence.at)[0] for pod in stable)
    # and stable's history is no burst of errors
    assert evidence.spread.phi < 3


async def test_a_provider_that_lost_its_data_goes_on_from_the_checkpoint():
    inhabitants = pods(base=0.005, bad=0.005)
    first = Lab(inhabitants)
    first.analysis.ask(question())
    await first.until(1100.0)
    second = Lab(inhabitants, now=1160.0)
    second.world.forgets_before = 1150.0
    second.analysis.ask(question(checkpoint=first.reading().checkpoint()))
    await second.until(1200.0)
    seen = first.reading().objectives[0].requests + inhabitants[1].counted(1153.0, 1198.0)[0]
    assert second.reading().objectives[0].requests == seen


async def test_asking_again_changes_nothing_and_a_new_run_starts_anew():
    lab = Lab(pods(bad=0.5))
    for _ in range(3):
        lab.analysis.ask(question())
    await lab.until(1030.0)
    asked = len(lab.world.asked)
    lab.analysis.ask(question(weight=25))
    await lab.analysis.poll()
    assert len(lab.world.asked) <= asked + 1
    assert lab.state() == "Regressed"
    # when another run asks
    lab.analysis.ask(question(run="run-2", since=1030.0))
    assert lab.reading(run="run-1") is None
    assert lab.reading(run="run-2") is None
    await lab.until(1033.0)
    assert lab.reading(run="run-2").state == "Undecided"


async def test_the_watch_window_starts_its_evidence_anew():
    lab = Lab(pods(bad=0.5))
    lab.analysis.ask(question())
    await lab.until(1030.0)
    watch = question(run="run-1/watch", stable=None, candidate="b", weight=100, since=1030.0)
    lab.analysis.ask(watch)
    await lab.until(1032.0)
    assert lab.reading(run="run-1/watch").state == "Undecided"
    await lab.until(1045.0)
    assert lab.reading(run="run-1/watch").state == "Regressed"


async def test_a_changed_objective_starts_anew_and_the_others_go_on():
    lab = Lab(pods(base=0.005, bad=0.005))
    lab.analysis.ask(question(objectives=(ERRORS, SLOW)))
    await lab.until(1060.0)
    before = lab.reading().objectives[0].requests
    lab.analysis.ask(question(objectives=(ERRORS, replace(SLOW, limit=0.05))))
    await lab.until(1064.0)
    assert lab.reading().objectives[0].requests > before
    assert [o.limit for o in lab.reading().objectives] == ["1%", "p98 50ms"]


async def test_it_tells_about_intervals_and_changes_only():
    lab = Lab(pods())
    lab.analysis.ask(question())
    await lab.until(1061.0)
    # then once for the first verdict and once per interval
    assert len(lab.told) in (12, 13, 14)


async def test_run_polls_and_wakes_for_new_questions():
    lab = Lab(pods(bad=0.5))
    waits = []

    async def pause(seconds):
        waits.append(seconds)
        if seconds is None:
            await asyncio.Event().wait()  # nobody asks queries
        lab.clock.time += seconds
        if len(waits) > 40:
            running.cancel()
        await asyncio.sleep(0)

    analysis = Analysis([Endpoint("main", lab.world)], lab.clock, lab._changed, pause=pause)
    analysis.ask(question())
    running = asyncio.ensure_future(analysis.run())
    with pytest.raises(asyncio.CancelledError):
        await running
    assert analysis.reading(KEY, "run-1").state == "Regressed"
    assert min(seconds for seconds in waits if seconds is not None) >= 0.3


async def test_the_real_pause_ends_when_something_is_asked():
    lab = Lab(pods(bad=0.5))
    running = asyncio.ensure_future(lab.analysis.run())
    await asyncio.sleep(0)
    lab.analysis.ask(question())
    async with asyncio.timeout(5.0):
        while not lab.world.asked:
            await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_without_a_provider_it_runs_and_asks_nobody():
    lab = Lab(source=False)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(lab.analysis.run(), 0.05)
