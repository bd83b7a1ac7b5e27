"""Each request is counted exactly once, whatever happens to pods, scrapes and series."""

from dataclasses import replace
from itertools import chain, pairwise, repeat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairway.core import checkpoint
from fairway.core.counters import Count, common_edges, cumulate, is_plausible
from fairway.core.counts import Tally
from fairway.core.debt import Account
from fairway.core.evidence import Evidence, bar, weigh
from fairway.core.objectives import Edges
from fairway.core.verdict import ObjectivePlan, Question, SecondCounter, SeriesMatcher
from fairway.ports import RawSeries
from tests.fakes.prometheus import Pod
from tests.fakes.staged import Staged

ERRORS = ObjectivePlan("errors", "errors", "m", (), (SeriesMatcher("status", "=~", "5.."),), 0.01)
SLOW = ObjectivePlan("latency", "latency", "m", (), (), 0.01, edge=0.05)
SINCE = 100.0


class Watcher:
    """Polls pods like the engine does and gathers what the tally counts."""

    def __init__(self, candidate, stable, *, plan=ERRORS, edges=None, **tally):
        self.sides = candidate, stable
        self.plan, self.edges = plan, edges
        self.tally = Tally(**{"after": SINCE, **tally})
        self.intervals = []

    def poll(self, now, window=90.0, forgets_before=0.0):
        rows = []
        for pods in self.sides:
            start = max(now - window, forgets_before)
            series = [s for pod in pods for s in pod.series(self.metric, start, now)]
            rows.append(cumulate(self.plan, self.edges, series))
        closed = self.tally.absorb(rows[0], rows[1], now)
        self.intervals += closed
        return closed

    def every(self, step, start, end):
        t = start
        while t <= end:
            self.poll(t)
            t += step
        return self

    @property
    def metric(self):
        return "m_bucket" if self.plan.kind == "latency" else "m"

    def sum(self, side):
        counts = [getattr(i, side) for i in self.intervals if i.counted]
        return sum(c.requests for c in counts), sum(c.bad for c in counts)

    @property
    def first_start(self):
        return next(i.end for i in self.intervals if i.counted)


def pod(name="c", **more):
    return Pod(name, **more)


def test_a_new_pod_with_new_series_is_counted_from_its_first_request():
    # given a stable pod of old, and a candidate whose counters appear with its first requests after the route
    stable = pod("s", phase=2.0).serve(0, 200, 20, 0.01)
    candidate = pod("c", phase=4.0).serve(101, 200, 5, 0.5)
    # when it is polled every second
    w = Watcher([candidate], [stable]).every(1.0, 101.0, 200.0)
    # then every request and every failure until the last closed interval is there
    assert w.sum("candidate") == candidate.counted(0, w.tally.start)
    assert w.tally.start == 199.0


def test_the_intervals_end_at_the_candidates_scrapes_and_close_at_once():
    # given pods with different phases
    stable = [pod(f"s{i}", phase=i).serve(0, 200, 20, 0.0) for i in range(5)]
    candidate = pod("c", phase=2.5).serve(0, 200, 5, 0.0)
    w = Watcher([candidate], stable)
    # when polled just after the candidate's scrapes
    ends = [w.poll(100 + 2.6 + 5 * k)[-1].end for k in range(10)]
    # then each closes the interval that ends there
    assert ends == [102.5 + 5 * k for k in range(10)]
    assert all(i.stable.requests == 500 for i in w.intervals[3:])


def test_the_interval_that_holds_the_route_counts_and_earlier_ones_do_not():
    stable = pod("s", phase=1.0).serve(0, 200, 20, 0.5)
    candidate = pod("c", phase=3.0).serve(0, 200, 5, 0.5)
    w = Watcher([candidate], [stable]).every(1.0, 101.0, 120.0)
    assert [i.end for i in w.intervals if i.counted] == [103.0, 108.0, 113.0, 118.0]
    assert w.sum("candidate") == candidate.counted(98.0, 118.0)
    assert all(not i.counted for i in w.intervals if i.end <= SINCE)
    assert len([i for i in w.intervals if not i.counted]) > 10


def test_a_counter_reset_counts_from_zero():
    # given a candidate that restarts between two scrapes and serves at once
    candidate = pod("c", phase=3.0, restarts=(131.0, 151.5)).serve(0, 200, 50, 0.1)
    stable = pod("s", phase=1.0).serve(0, 200, 50, 0.1)
    w = Watcher([candidate], [stable]).every(1.0, 101.0, 200.0)
    # then only what no scrape saw before the restarts is lost: (128, 131] and (148, 151.5]
    lost = [candidate.counted(128.0, 131.0), candidate.counted(148.0, 151.5)]
    truth = candidate.counted(98.0, w.tally.start)
    assert w.sum("candidate")[0] == truth[0] - sum(n for n, _ in lost)


def test_a_histogram_resets_as_a_whole():
    # given buckets of which, after a restart, only the total fell
    rows = [
        Count(100, bad=60, strict=60),  # 40 fast
        Count(70, bad=20, strict=20),  # 50 fast in the new process: more than before
    ]
    # then the new process's own counts are the increase
    assert rows[1].since(rows[0]) == Count(70, 20, 20)
    # and without any reset the difference is
    assert Count(150, 70, 70).since(rows[0]) == Count(50, 10, 10)


def test_a_new_series_on_a_known_pod_counts_from_zero():
    # given a candidate whose first failure comes late
    candidate = pod("c", phase=3.0).serve(0, 150, 10, 0.0).serve(150, 200, 10, 1.0)
    w = Watcher([candidate], [pod("s", phase=1.0).serve(0, 200, 10, 0.0)]).every(1.0, 101.0, 200.0)
    assert w.sum("candidate")[1] == candidate.counted(0, w.tally.start)[1] > 400


def test_an_old_pod_that_shows_up_late_is_a_baseline():
    # given a stable pod whose scrapes failed until after the route
    hidden = pod("s2", phase=1.0, missed=((0.0, 140.0),)).serve(0, 200, 100, 0.5)
    seen = pod("s1", phase=2.0).serve(0, 200, 10, 0.0)
    candidate = pod("c", phase=3.0).serve(0, 200, 10, 0.0)
    w = Watcher([candidate], [seen], after=100.0)
    w.every(1.0, 101.0, 138.0)
    # when it appears in a provider that has no older samples of anybody (it lost its data)
    w = Watcher([candidate], [seen, hidden], after=100.0)
    w.poll(147.0, forgets_before=140.0)
    w.poll(152.0, forgets_before=140.0)
    # then its past is not counted as news
    assert max(i.stable.requests for i in w.intervals) < 700


def test_the_same_pod_under_a_second_job_counts_once():
    # given a pod that two jobs scrape, the second from the middle of the run
    requests = pod("c", phase=3.0).serve(0, 200, 10, 0.2)
    twin = pod("c", phase=2.0, job="twice", born=150.0)
    twin.requests = requests.requests
    w = Watcher([requests, twin], [pod("s", phase=1.0).serve(0, 200, 10, 0.0)]).every(1.0, 101.0, 200.0)
    assert w.sum("candidate") == requests.counted(98.0, w.tally.start)


def test_polls_may_repeat_overlap_and_pause():
    def count(polls):
        candidate = pod("c", phase=3.0).serve(0, 400, 10, 0.1)
        w = Watcher([candidate], [pod("s", phase=1.0).serve(0, 400, 10, 0.1)])
        for now in polls:
            w.poll(now, window=300.0)
        return w.sum("candidate"), w.sum("stable")

    # given one poll per scrape, many polls, the same poll thrice, and a provider that was down for three minutes
    steady = count([101.0 + 5 * k for k in range(50)])
    assert count([101.0 + k for k in range(246)]) == steady
    assert count([101.0 + 5 * (k // 3) for k in range(150)]) == steady
    assert count([101.0, 106.0, 116.0, 300.0, 346.0]) == steady


def test_a_pod_that_misses_scrapes_delays_nobody_for_long_and_loses_nothing():
    # given a stable pod that misses two scrapes
    flaky = pod("s", phase=1.0, missed=((120.0, 130.0),)).serve(0, 200, 10, 0.1)
    candidate = pod("c", phase=3.0).serve(0, 200, 10, 0.0)
    w = Watcher([candidate], [flaky])
    delays = {}
    for k in range(200):
        for interval in w.poll(101.0 + k / 2):
            delays[interval.end] = 101.0 + k / 2 - interval.end
    # then intervals close after 1.5 scrape intervals at the latest, and its requests are all counted in the end
    late = [d for end, d in delays.items() if end > SINCE]
    assert max(late) <= 3.0
    assert sum(d > 0.5 for d in late) == 1
    assert w.sum("stable") == flaky.counted(96.0, 196.0)


def test_an_interval_knows_how_many_scrapes_stables_counts_hold():
    # given a minute without any scrape, and another in which one of two pods is not scraped
    gap, half = (120.0, 180.0), (240.0, 300.0)
    stable = [
        pod("s1", phase=1.0, missed=(gap,)).serve(0, 400, 20, 0.1),
        pod("s2", phase=2.0, missed=(gap, half)).serve(0, 400, 20, 0.1),
    ]
    w = Watcher([pod("c", phase=3.0).serve(0, 400, 5, 0.1)], stable).every(1.0, 101.0, 390.0)
    spans = {i.end: i.span for i in w.intervals if i.span != 1}
    # then the first interval after each says so, each pod by its own pace
    assert spans == {183.0: pytest.approx(13.0, abs=0.2), 303.0: pytest.approx(7.0, abs=0.2)}
    assert all(i.stable.requests == pytest.approx(200 * i.span, rel=0.1) for i in w.intervals if i.end in spans)


def test_a_new_pods_first_scrape_and_a_late_first_failure_are_no_gap():
    # given a stable pod that is new, and one whose failures' series comes late
    old = pod("s1", phase=1.0).serve(0, 150, 20, 0.0).serve(150, 300, 20, 0.2)
    new = pod("s2", phase=2.0, born=200.0).serve(201, 300, 20, 0.2)
    w = Watcher([pod("c", phase=3.0).serve(0, 300, 5, 0.0)], [old, new]).every(1.0, 101.0, 290.0)
    assert {i.span for i in w.intervals} == {1.0}


def test_pods_that_come_and_go_are_counted():
    # given an autoscaler that adds a stable pod and removes another
    old = pod("s1", phase=1.0, died=150.0).serve(0, 150, 20, 0.0)
    new = pod("s2", phase=4.5, born=130.0).serve(132, 200, 20, 0.3)
    candidate = pod("c", phase=3.0).serve(0, 200, 10, 0.0)
    w = Watcher([candidate], [old, new]).every(0.5, 101.0, 200.0)
    assert w.sum("stable")[1] == new.counted(0, 194.5)[1]
    assert w.sum("stable")[0] == new.counted(0, 194.5)[0] + old.counted(96.0, 146.0)[0]


def test_after_a_restart_it_goes_on_from_the_checkpoint_without_counting_twice():
    candidate = pod("c", phase=3.0).serve(90, 300, 10, 0.1)
    stable = pod("s", phase=1.0).serve(0, 300, 10, 0.1)
    first = Watcher([candidate], [stable]).every(1.0, 101.0, 180.0)
    # when a new operator starts from the end of the last interval, a while later
    second = Watcher([candidate], [stable], after=first.tally.start, resumed=True)
    second.poll(240.0, window=240.0 - first.tally.start + 5.0)
    second.every(1.0, 241.0, 290.0)
    # then both together have counted everything once
    together = tuple(a + b for a, b in zip(first.sum("candidate"), second.sum("candidate"), strict=True))
    assert together == candidate.counted(98.0, second.tally.start)
    assert second.first_start > first.tally.start


def test_after_a_restart_a_pod_that_was_not_scraped_for_a_while_does_not_count_again():
    # given pods of which one on each side is not scraped for half a minute, in which another operator takes over
    gap = ((165.0, 195.0),)
    stable = [pod("s1", phase=1.0).serve(0, 300, 10, 0.1), pod("s2", phase=2.0, missed=gap).serve(0, 300, 10, 0.1)]
    candidate = [pod("c1", phase=3.0).serve(90, 300, 10, 0.1), pod("c2", phase=4.0, missed=gap).serve(90, 300, 10, 0.1)]
    first = Watcher(candidate, stable).every(1.0, 101.0, 180.0)

    def taken_over(*windows):
        second = Watcher(candidate, stable, after=first.tally.start, resumed=True)
        for now, window in zip(range(190, 291), chain(windows, repeat(windows[-1])), strict=False):
            second.poll(now, window=window)
        return tuple(a + b for a, b in zip(first.sum("candidate"), second.sum("candidate"), strict=True))

    # when the samples reach back before the gap, at once or later, then everything is counted once
    truth = candidate[0].counted(98.0, 288.0), candidate[1].counted(94.0, 284.0)
    exact = tuple(a + b for a, b in zip(*truth, strict=True))
    assert taken_over(60.0) == taken_over(20.0, 60.0) == exact
    # when they do not, then what the pod did in the gap is lost, and nothing counts twice
    lost = candidate[1].counted(164.0, 199.0)
    assert taken_over(20.0) == tuple(a - b for a, b in zip(exact, lost, strict=True))


def test_after_a_restart_a_new_pod_counts_from_its_first_sample():
    # given a candidate's pod that starts when another operator has taken over
    candidate = [
        pod("c1", phase=3.0).serve(90, 300, 10, 0.1),
        pod("c2", phase=2.0, born=225.0).serve(226, 300, 10, 1.0),
    ]
    w = Watcher(candidate, [pod("s", phase=1.0).serve(0, 300, 10, 0.0)], after=198.0, resumed=True)
    w.every(1.0, 201.0, 290.0)
    assert w.sum("candidate")[0] == candidate[0].counted(198, 288)[0] + candidate[1].counted(227, 287)[0]


def test_what_a_checkpoint_holds_does_not_teach_again_how_bursty_stable_is():
    stable, candidate = pod("s", phase=1.0).serve(0, 300, 10, 0.1), pod("c", phase=3.0).serve(90, 300, 10, 0.1)
    w = Watcher([candidate], [stable], after=198.0, resumed=True)
    w.poll(240.0)
    assert [i.end for i in w.intervals] == [203.0, 208.0, 213.0, 218.0, 223.0, 228.0, 233.0, 238.0]


def test_latency_counts_slow_requests_from_the_buckets():
    candidate = pod("c", phase=3.0).serve(80, 200, 20, 0.0, slow=0.3)
    stable = pod("s", phase=1.0).serve(0, 200, 20, 0.0)
    w = Watcher([candidate], [stable], plan=SLOW, edges=Edges(0.05, 0.05)).every(1.0, 101.0, 200.0)
    slow = sum(r[2] > 0.05 for r in candidate.requests if 98.0 < r[0] <= w.tally.start)
    assert w.sum("candidate") == (candidate.counted(98.0, w.tally.start)[0], slow)


def test_bucket_edges_are_compared_as_numbers_and_shared_by_all():
    def bucket(pod_name, le):
        return RawSeries({"pod": pod_name, "le": le}, (1.0,), (1.0,))

    old = [bucket("a", le) for le in ("1", "0.5", "+Inf")]
    new = [bucket("b", le) for le in ("1.0", "0.25", "+Inf")]
    assert common_edges(old + new) == {1.0, float("inf")}
    assert common_edges([]) == set()


def test_values_that_no_counter_has_are_refused():
    for value in (float("nan"), float("inf"), -1.0, 1e300):
        assert not is_plausible([RawSeries({}, (1.0,), (value,))])
    assert is_plausible([RawSeries({}, (1.0, 2.0), (0.0, 3.5))])


def test_nothing_or_one_sample_closes_nothing():
    tally = Tally(after=SINCE)
    assert tally.absorb({}, {}, 101.0) == []
    one = cumulate(ERRORS, None, [RawSeries({"pod": "c"}, (101.0,), (5.0,))])
    assert tally.absorb(one, {}, 101.0) == []


def test_a_restart_of_a_second_counter_is_seen_in_that_counter():
    # A counter of failed, or of good requests alone, counts no requests: only its own fall shows a restart.
    assert Count(0, 5, 5).since(Count(0, 3, 3)) == Count(0, 2, 2)
    assert Count(0, 2, 2).since(Count(0, 3, 3)) == Count(0, 2, 2)
    assert Count(0, -5, -5).since(Count(0, -3, -3)) == Count(0, -2, -2)
    assert Count(0, -2, -2).since(Count(0, -3, -3)) == Count(0, -2, -2)
    assert Count(5, 5, 5).since(Count(3, 3, 3)) == Count(2, 2, 2)


# --- two counters that do not move at the same moment ---------------------------------------------------------------

STAGED = ObjectivePlan("errors", "errors", "asked", (), (), 0.01, second=SecondCounter("done", "succeeded"))


def tallied(candidates, stable, start=SINCE, end=400.0, **more):
    """A tally that has seen all scrapes until then, and the intervals that count."""
    tally, intervals, now = Tally(after=start, **more), [], start
    while (now := now + 5.0) < end:
        sides = ([s for pod in pods for s in pod.series(now - 60.0, now)] for pods in (candidates, stable))
        intervals += tally.absorb(*(cumulate(STAGED, None, series) for series in sides), now)
    return tally, [i for i in intervals if i.counted]


def weighed(intervals):
    """The evidence of these intervals, as a checkpoint holds it."""
    asked = Question(("ml", "churn"), "r1", "b", "a", (STAGED,), since=SINCE, weight=5)
    evidence = Evidence()
    for interval in intervals:
        evidence = weigh(evidence, STAGED, bar(asked), interval)
    return checkpoint.load(replace(asked, checkpoint=checkpoint.dump(asked, {"errors": evidence})))["errors"]


@pytest.mark.parametrize("bad", [0.0, 0.05])
def test_requests_between_two_counters_are_taken_back_when_they_are_done(bad):
    # given requests that are counted as good a second after they were counted, of which five are under way at a scrape
    candidate = Staged("c", gap=1.0, phase=3.0).serve(SINCE, 400.0, 5, bad)
    stable = Staged("s", gap=1.0, phase=1.0).serve(0.0, 400.0, 50, bad)
    tally, intervals = tallied([candidate], [stable])
    # then there are too many failures by what was under way at once, instead of by some more with each scrape
    counted = sum(i.candidate.bad for i in intervals)
    most = max(candidate.between(i.end) for i in intervals)
    assert 0 <= counted - candidate.failed(tally.start) <= most < 20
    # and of stable by no more than that varies, as nothing is known of what was under way before
    end, start = intervals[-1].end - 2.0, intervals[0].end - 7.0
    varies = [stable.between(i.end - 2.0) for i in intervals]
    excess = sum(i.stable.bad for i in intervals) - (stable.failed(end) - stable.failed(start))
    assert abs(excess) <= max(varies) - min(varies) + 2 < 50


def test_a_restart_of_the_operator_forgets_nothing_that_is_owed():
    candidate = Staged("c", gap=1.0, phase=3.0).serve(SINCE, 400.0, 5)
    stable = Staged("s", gap=1.0, phase=1.0).serve(0.0, 400.0, 50)
    _, counted = tallied([candidate], [stable])
    # when there is a new operator after each minute, which goes on from what the checkpoint tells
    tally, parts = tallied([candidate], [stable], end=160.0)
    for start in range(160, 400, 60):
        go_on = {"resumed": True, "accounts": weighed(parts).accounts}
        tally, more = tallied([candidate], [stable], start=tally.start, end=start + 60.0, **go_on)
        parts += more
    # then the failures of each interval are the same
    assert [(i.end, i.candidate, i.stable, i.owed) for i in parts[: len(counted)]] == [
        (i.end, i.candidate, i.stable, i.owed) for i in counted
    ]
    assert len({i.owed for i in counted}) > 10


def test_a_pod_that_ends_leaves_no_debt_that_hides_the_failures_of_the_next():
    # given a candidate's pod with requests under way at each scrape, and another in its place that fails each time
    first = Staged("c1", gap=1.0, phase=3.0, died=250.0).serve(SINCE, 250.0, 5)
    second = Staged("c2", gap=1.0, phase=2.0).serve(255.0, 400.0, 5, 1.0)
    stable = Staged("s", gap=1.0, phase=1.0).serve(0.0, 400.0, 50)
    tally, intervals = tallied([first, second], [stable])
    # then the whole is no less than all failures, and what is owed hides no second scrape of them
    assert sum(i.candidate.bad for i in intervals) >= second.failed(tally.start - 1.0) > 600
    assert all(i.candidate.bad > 10 for i in intervals if i.end > 267.0)


def test_what_was_under_way_before_the_evidence_takes_nothing_back():
    # given 40 requests that were under way at the first sample, and only failures since
    account = Account()
    assert [account.settle(Count(10, bad, bad)).bad for bad in (-40, 5, 5)] == [0, 5, 5]
    # given failures that were counted, then the debt is not larger than they are
    assert account.settle(Count(10, -30, -30)).bad == 0
    assert account.owed == Count(0, -10, -10)


def test_a_scrape_that_only_pays_is_no_second_scrape_with_failures():
    # given one request more under way at every other scrape
    asked = RawSeries.of({"pod": "c", "__name__": "asked"}, [(103.0 + 5 * k, 10.0 * k) for k in range(20)])
    done = RawSeries.of({"pod": "c", "__name__": "done"}, [(103.0 + 5 * k, 10.0 * k - k % 2) for k in range(1, 20)])
    tally = Tally(after=SINCE, setting=5.0)
    intervals = tally.absorb(cumulate(STAGED, None, [asked, done]), {}, 200.0)
    # then only the first of them may have failed
    assert [i.bad_from for i in intervals if i.bad_from is not None] == [108.0]
    assert sum(i.candidate.bad for i in intervals) == 1


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(0, 9)), min_size=1))
def test_there_are_never_fewer_failures_than_happened_and_never_more_than_were_under_way(scrapes):
    """Given any numbers of requests, of failures among them, and of those under way at the end of each scrape."""
    account, truth, counted, most = Account(), 0, 0.0, 0
    for (_, _, before), (good, failed, between) in pairwise([(0, 0, 0), *scrapes]):
        bad = failed + between - before
        counted += account.settle(Count(good + failed + between, bad, bad)).bad
        truth, most = truth + failed, max(most, between)
        assert truth <= counted == truth + between - account.owed.bad <= truth + most
