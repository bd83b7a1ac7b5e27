"""What the samples prove: each rule of the test, the verdicts, the words, and the checkpoint."""

import math
import random
from dataclasses import replace
from itertools import islice
from statistics import fmean

import pytest

from fairway.core import checkpoint
from fairway.core.counters import Count
from fairway.core.counts import Interval
from fairway.core.debt import Owed
from fairway.core.evidence import (
    MULTIPLIERS,
    Evidence,
    Pair,
    Spread,
    absolute,
    against,
    bar,
    is_fine,
    log_ratios,
    weigh,
)
from fairway.core.judgement import Case, Trouble, judge
from fairway.core.shares import Shares
from fairway.core.verdict import ObjectivePlan, Question

ERRORS = ObjectivePlan("errors", "errors", "m", (), (), 0.01, min_requests=300, text="1%")
SLOW = ObjectivePlan("latency", "latency", "h", (), (), 0.01, edge=50.0, unit=1e-3, min_requests=300, text="p99 50ms")
ASKED = Question(("ml", "churn"), "r1", "b", "a", (ERRORS,), since=0.0, weight=5)


def intervals(*counts, scrape=5.0):
    """Each (n_c, e_c, n_s, e_s) as one interval."""
    for k, (n_c, e_c, n_s, e_s) in enumerate(counts, 1):
        bad = scrape * k if e_c else None
        yield Interval(scrape * k, scrape, Count(n_c, e_c, e_c), Count(n_s, e_s, e_s), bad, bad)


def grown(*counts, plan=ERRORS, asked=ASKED, start=None):
    evidence = start or Evidence()
    for interval in intervals(*counts):
        evidence = weigh(evidence, plan, bar(asked), interval)
    return evidence


def verdict(*counts, plan=ERRORS, now=None, asked=ASKED, **case):
    evidence = grown(*counts, plan=plan, asked=asked)
    now = now or max(1.0, 5.0 * len(counts))
    newest = {"candidate": now, "stable": now}
    return judge(asked, [Case(plan, evidence, **{"newest": newest, "scrape": 5.0, **case})], now)


# --- the tests ----------------------------------------------------------------------------------------------------


def test_half_of_the_answers_failing_needs_two_scrapes():
    # given 100 requests/s, 5 % weight, 5 s scrapes, limit 1 %
    assert verdict((25, 12, 475, 1)).state == "Undecided"
    assert verdict((25, 12, 475, 1), (25, 13, 475, 0)).state == "Regressed"


def test_one_moments_burst_is_not_two_scrapes_even_of_two_pods():
    # given bad samples of two pods within less than one scrape interval
    both = [
        Interval(5.0, 5.0, Count(200, 50, 50), Count(800, 0, 0), 5.0, 5.0),
        Interval(9.0, 5.0, Count(200, 50, 50), Count(800, 0, 0), 8.0, 8.0),
    ]
    evidence = Evidence()
    for interval in both:
        evidence = weigh(evidence, ERRORS, bar(ASKED), interval)
    assert not evidence.fired


def test_a_shared_outage_is_nobodys_regression():
    shared = verdict(*[(25, 12, 475, 237)] * 6)
    assert shared.state == "SharedDegradation"
    assert "no evidence that it is worse than stable" in shared.message


def test_a_few_unlucky_requests_prove_nothing():
    assert verdict((2, 1, 50, 0), (1, 0, 50, 0)).state == "Undecided"


def test_without_requests_on_either_side_nothing_is_learned_about_the_ratio():
    before = grown((25, 1, 475, 1))
    after = grown((0, 0, 475, 3), (25, 1, 0, 0), start=before)
    assert (after.regressed, after.fine) == (before.regressed, before.fine)
    assert after.hits > before.hits


def test_bad_requests_are_capped_against_the_candidate_only():
    capped, bad = grown((100, 25, 900, 9)), grown((100, 90, 900, 9))
    assert capped.regressed == bad.regressed
    assert capped.hits == bad.hits == 25
    assert bad.candidate.bad == 90
    assert bad.fine < capped.fine
    assert grown((4, 4, 10, 0)).hits == 3


def test_stables_bursts_make_the_evidence_weigh_less():
    calm, bursty = Spread(), Spread()
    for k in range(60):
        calm, bursty = calm.plus(1), bursty.plus(30 if k % 30 == 0 else 0)
    assert calm.phi == Spread().phi == Spread().plus(5).phi == 1.0
    assert bursty.phi == pytest.approx(29.5, abs=1.0)
    steady, stormy = (grown((25, 6, 475, 1), start=Evidence(spread=s)) for s in (calm, bursty))
    assert stormy.hits == pytest.approx(steady.hits / bursty.phi)


def test_the_spread_forgets_what_is_long_ago():
    spread = Spread()
    for bad in [30, 0] * 90 + [2] * 1500:
        spread = spread.plus(bad)
    assert spread.count == pytest.approx(180)
    assert spread.phi == pytest.approx(1.0, abs=0.1)


def spread_of(bad, spans):
    """The spread of bad requests per scrape, where ``spans`` says how many scrapes each look holds."""
    spread, left = Spread(), iter(bad)
    for span in spans:
        spread = spread.plus(sum(islice(left, span)), span)
    return spread


def test_a_gap_of_scrapes_is_no_burst():
    # given stable with two or three failures per scrape, and a minute, five and ten without any scrape
    dice = random.Random(7)
    bad = [sum(dice.random() < 0.005 for _ in range(475)) for _ in range(400)]
    for gap in (12, 60, 120):
        # then what is counted after the gap says about bursts what the scrapes would have said
        assert spread_of(bad, [*[1] * 150, gap, *[1] * 20]).phi < 1.5
        assert spread_of(bad, [1, gap, *[1] * 100]).phi < 1.5
    # and scrapes without gaps count as ever
    assert spread_of(bad, [1] * 100) == Spread(100, sum(bad[:100]), sum(b * b for b in bad[:100]))


@pytest.mark.parametrize("spans", [[2], [1, 1, 3], [*[1] * 20, 12], [*[1] * 30, 60]], ids=str)
def test_gaps_do_not_hide_bursts(spans):
    # given failures in groups of thirty, a few scrapes apart, some of them while nobody scrapes
    dice, whole, gaps = random.Random(11), [], []
    for _ in range(40):
        bad = [30.0 if dice.random() < 0.08 else 0.0 for _ in range(800)]
        times = 800 // sum(spans)
        whole.append(spread_of(bad, [1] * (times * sum(spans))).phi)
        gaps.append(spread_of(bad, spans * times).phi)
    # then evidence is weakened as much as without the gaps
    assert fmean(gaps) == pytest.approx(fmean(whole), rel=0.1)
    assert fmean(whole) > 25


def test_a_burst_while_nobody_scrapes_is_one_all_the_same():
    quiet = [1.0] * 100
    assert spread_of([*quiet, *[1.0] * 12, *quiet], [*[1] * 100, 12, *[1] * 100]).phi == 1.0
    assert spread_of([*quiet, *[40.0] * 12, *quiet], [*[1] * 100, 12, *[1] * 100]).phi > 50


def test_intervals_before_the_evidence_teach_only_how_bursty_stable_is():
    early = replace(next(intervals((25, 25, 475, 7))), counted=False)
    evidence = weigh(Evidence(), ERRORS, bar(ASKED), early)
    assert evidence == Evidence(spread=Spread().plus(7))


def test_relative_to_stable_fires_inside_the_absolute_limit():
    # given a limit of 50 % and a promise of at most twice stable's rate
    plan = replace(ERRORS, limit=0.5, relative=2.0)
    asked = replace(ASKED, objectives=(plan,))
    bad = [(100, 20, 900, 1)] * 3
    assert verdict(*bad, plan=plan, asked=asked).state == "Regressed"
    assert verdict(*bad, plan=replace(plan, relative=None)).state == "Undecided"


def test_alpha_is_split_over_deciding_tests_and_half_is_kept_for_the_watch_window():
    two = replace(ASKED, objectives=(ERRORS, replace(SLOW, relative=2.0), replace(ERRORS, dry_run=True)))
    assert bar(ASKED).needed == pytest.approx(math.log(2000))
    assert bar(two).needed == pytest.approx(math.log(6000))
    assert bar(replace(two, stable=None)).needed == pytest.approx(math.log(4000))


def test_the_bar_is_pinned_with_the_tests_with_which_the_run_opened():
    opened = checkpoint.pinned(ASKED)
    more = replace(ASKED, objectives=(ERRORS, SLOW), tests=opened.tests)
    assert bar(more) == bar(opened)
    # also through a restart
    text = checkpoint.dump(more, {"errors": grown((25, 1, 475, 1))})
    again = checkpoint.pinned(replace(more, tests=0, checkpoint=text))
    assert bar(again) == bar(opened)
    # but another run counts its own
    assert checkpoint.pinned(replace(more, tests=0, run="r2", checkpoint=text)).tests == 2


def test_the_limit_that_is_shown_is_that_of_the_strongest_test():
    plan = replace(ERRORS, relative=2.0)
    asked = replace(ASKED, objectives=(plan,))
    assert "(limit 2x stable)" in verdict(*[(1000, 8, 9000, 9)] * 12, plan=plan, asked=asked).message
    assert "(limit 1%)" in verdict(*[(1000, 300, 9000, 9)] * 12, plan=replace(plan, relative=20.0), asked=asked).message


def test_in_the_watch_window_the_absolute_test_decides_alone():
    watch = replace(ASKED, stable=None, weight=100)
    assert verdict(*[(500, 100, 0, 0)] * 2, asked=watch).state == "Regressed"
    assert verdict(*[(500, 1, 0, 0)] * 2, asked=watch).state == "Healthy"
    assert verdict(*[(100, 0, 0, 0)] * 2, asked=watch).state == "Undecided"


def test_what_has_fired_stays_fired():
    evidence = grown(*[(25, 12, 475, 1)] * 2, *[(2500, 0, 47500, 500)] * 50)
    assert against(evidence, ERRORS, bar(ASKED)) < bar(ASKED).needed
    assert evidence.fired


def test_latency_leaves_the_first_two_intervals_with_requests_out():
    cold = grown((0, 0, 475, 0), (25, 25, 475, 0), (25, 25, 475, 0), plan=SLOW)
    assert cold.candidate == Count()
    assert cold.traffic_at == 15.0
    assert grown((25, 1, 475, 0), plan=SLOW, start=cold).candidate == Count(25, 1, 1)


def test_healthy_needs_evidence_and_the_rate_within_the_limit():
    # given errors at stable's rate
    same = [(500, 2, 500, 2)] * 40
    assert is_fine(grown(*same), ERRORS)
    assert verdict(*same).state == "Healthy"
    # then not with a rate over the limit, and not with only the rate
    assert not is_fine(grown(*same), replace(ERRORS, limit=0.003))
    assert not is_fine(grown(*[(500, 0, 500, 0)] * 40), ERRORS)


def test_doubtful_requests_count_against_health_but_not_for_a_regression():
    # given requests between the two buckets around the limit
    between = [Interval(5.0 * k, 5.0, Count(500, 0, 50), Count(500, 0, 0)) for k in range(1, 20)]
    evidence = Evidence()
    for interval in between:
        evidence = weigh(evidence, SLOW, bar(ASKED), interval)
    assert not evidence.fired
    assert evidence.hits == 0
    assert evidence.fine[0] < 0
    assert not judge(ASKED, [Case(SLOW, evidence)], 10.0).sufficient


def test_enough_requests_within_the_limit_are_sufficient_to_leave_a_step():
    reading = verdict(*[(50, 0, 950, 0)] * 6)
    assert reading.state == "Undecided"
    assert reading.sufficient
    assert not verdict(*[(50, 0, 950, 0)] * 5).sufficient
    assert not verdict(*[(50, 1, 950, 0)] * 6).sufficient


def test_fractions_and_empty_intervals_are_fine():
    evidence = grown((0.5, 0.25, 3.5, 0.0), (0, 0, 0, 0))
    assert math.isfinite(against(evidence, ERRORS, bar(ASKED)))
    assert absolute(Evidence(), 0.0) == 0.0
    assert log_ratios(Pair(10, 0, 10, 0), 1.5, (2.0,)) == [0.0]


# --- the sample ratio ---------------------------------------------------------------------------------------------

ROUTED = replace(ASKED, split="Router", settled=0.0)


def test_thirty_percent_at_weight_five_stops_the_promotion_and_never_rolls_back():
    # given S28: healthy in everything but its share
    reading = verdict(*[(150, 0, 350, 0)] * 20, asked=ROUTED)
    assert reading.state == "SampleRatioMismatch"
    assert not reading.sufficient
    assert "gets 30% of the requests at weight 5" in reading.message
    # then what is bad is still taken out
    assert verdict(*[(150, 75, 350, 0)] * 20, asked=ROUTED).state == "Regressed"


def test_a_candidate_that_gets_nothing_is_a_mismatch_before_it_is_no_traffic():
    assert verdict(*[(0, 0, 500, 0)] * 30, asked=ROUTED).state == "SampleRatioMismatch"
    assert verdict(*[(0, 0, 1, 0)] * 30, asked=ROUTED).state == "NoTraffic"


def test_a_share_within_half_to_twice_its_weight_is_never_a_mismatch():
    for share in (13, 24):
        assert not grown(*[(share, 0, 500 - share, 0)] * 1000, asked=replace(ROUTED, weight=4)).shares.mismatch
    # nor is a strange share that few requests make up
    assert not grown((3, 0, 7, 0), asked=ROUTED).shares.mismatch


def test_stables_share_is_looked_at_too():
    assert grown(*[(480, 0, 20, 0)] * 10, asked=replace(ROUTED, weight=50)).shares.mismatch
    assert not grown(*[(350, 0, 150, 0)] * 10, asked=replace(ROUTED, weight=50)).shares.mismatch


def test_without_a_router_a_strange_share_is_only_told():
    reading = verdict(*[(250, 1, 250, 1)] * 100, asked=replace(ROUTED, split="Pods"))
    assert reading.sufficient
    assert "gets 50% of the requests at weight 5" in reading.message
    assert verdict(*[(250, 0, 250, 0)] * 20, asked=replace(ROUTED, split=None)).sufficient


def test_a_new_weight_starts_a_new_count_once_it_is_served():
    # given a run that moves from 5 to 25 at 50 s, whose router follows at once
    early = grown(*[(25, 0, 475, 0)] * 10, asked=ROUTED)
    later = [replace(i, end=i.end + 50) for i in intervals(*[(125, 0, 375, 0)] * 10)]
    moved = replace(ROUTED, weight=25, settled=55.0)
    evidence = early
    for interval in later:
        evidence = weigh(evidence, ERRORS, bar(moved), interval)
    # then the interval of the change is left out and the old share does not dilute the new one
    assert evidence.shares == Shares(25, 125.0 * 9, 375.0 * 9)
    # and while the weight is not confirmed nothing is counted
    assert weigh(early, ERRORS, bar(replace(moved, settled=None)), later[3]).shares == early.shares


@pytest.mark.parametrize("weight", [5, 50])
def test_the_bet_on_a_mismatch_is_fair_when_the_split_is_right(weight):
    w = weight / 100
    mean = sum(
        math.comb(12, k) * w**k * (1 - w) ** (12 - k) * math.exp(Shares(weight, k, 12 - k).log_e_value)
        for k in range(13)
    )
    assert mean == pytest.approx(1)


# --- the verdict --------------------------------------------------------------------------------------------------


def test_no_requests_for_two_minutes_is_no_traffic():
    quiet = [(25, 0, 475, 0)] + [(0, 0, 475, 0)] * 26
    assert verdict(*quiet[:24]).state == "Undecided"
    reading = verdict(*quiet)
    assert reading.state == "NoTraffic"
    assert "no requests for 2m10s" in reading.message
    assert verdict(*quiet, asked=replace(ASKED, weight=0)).state == "Undecided"


def test_a_candidate_without_series_may_just_have_no_requests():
    assert verdict(now=20.0, newest={}).state == "Undecided"
    assert verdict(now=40.0, newest={"stable": 39.0}).state == "Undecided"
    assert verdict(now=130.0, newest={"stable": 129.0}).state == "NoTraffic"
    nothing = verdict(now=40.0, newest={})
    assert nothing.state == "NoData"
    assert "are they scraped?" in nothing.message


def test_stale_samples_are_no_data():
    assert verdict(now=100.0, newest={"candidate": 60.0, "stable": 60.0}).state == "NoData"
    assert "from the candidate" in verdict(now=100.0, newest={"candidate": 60.0, "stable": 99.0}).message
    assert verdict(now=100.0, newest={"candidate": 60.0, "stable": 60.0}, scrape=30.0).state == "Undecided"


def test_regressed_wins_over_everything_and_trouble_over_the_rest():
    trouble = Trouble("ProviderError", "the metrics provider: HTTP 500")
    assert verdict(*[(25, 12, 475, 1)] * 2, trouble=trouble).state == "Regressed"
    healthy = verdict(*[(500, 2, 500, 2)] * 40, trouble=trouble)
    assert healthy.state == "ProviderError"
    assert "HTTP 500" in healthy.message


def test_the_worst_deciding_objective_gives_the_verdict():
    fired = Case(replace(ERRORS, name="x", dry_run=True), grown(*[(25, 12, 475, 1)] * 2))
    fine = Case(ERRORS, grown(*[(500, 2, 500, 2)] * 40))
    waiting = Case(SLOW, Evidence())
    assert judge(ASKED, [fired, fine], 20.0).state == "Healthy"
    assert judge(ASKED, [fired, fine, waiting], 20.0).state == "Undecided"
    assert [o.state for o in judge(ASKED, [fired, fine], 20.0).objectives] == ["Regressed", "Healthy"]
    assert judge(ASKED, [], 20.0).state == "Healthy"


def test_the_message_shows_value_limit_evidence_and_requests():
    reading = verdict(*[(25, 3, 475, 1)] * 4, now=30.0)
    assert reading.message.startswith("errors: 12% vs 0.21% stable (limit 1%), evidence 10^")
    assert reading.message.endswith(" of 10^3.3, 100 requests, first bad sample 25s ago")
    assert (reading.objectives[0].rate, reading.objectives[0].bad) == (0.12, 12)
    slow = verdict(*[(25, 1, 475, 1)] * 4, plan=SLOW)
    assert slow.objectives[0].value == "4% slower than 50ms"


# --- the checkpoint -----------------------------------------------------------------------------------------------


def rich():
    plans = [replace(ERRORS, name=f"objective-{k}", relative=1.5) for k in range(3)]
    asked = replace(ROUTED, objectives=tuple(plans))
    counts = [(25 + k, k % 4, 475 - k, k % 7) for k in range(300)]
    return asked, {p.name: replace(grown(*counts, plan=p, asked=asked), at=1767225600.123) for p in plans}


def test_evidence_survives_a_restart():
    asked, evidence = rich()
    text = checkpoint.dump(asked, evidence)
    assert len(text) < 1500
    restored = checkpoint.load(replace(asked, checkpoint=text))
    for name, one in evidence.items():
        again = restored[name]
        assert (again.at, again.warm, again.fired, again.candidate) == (one.at, one.warm, one.fired, one.candidate)
        assert again.shares == one.shares
        for plan in asked.objectives:
            assert against(again, plan, bar(asked)) == pytest.approx(against(one, plan, bar(asked)), abs=0.05)
        assert again.spread.phi == pytest.approx(one.spread.phi, rel=1e-3)
        assert again.bad_from == pytest.approx(one.bad_from, abs=0.01)
    assert checkpoint.dump(asked, restored) == text


def test_what_is_owed_survives_a_restart_and_an_operator_of_before_wrote_none():
    asked, evidence = rich()
    before = checkpoint.dump(asked, evidence)
    owed = Owed(Count(0, -3, -4), Count(0, -1.5, -2))
    text = checkpoint.dump(asked, evidence | {"objective-1": replace(evidence["objective-1"], owed=owed)})
    restored = checkpoint.load(replace(asked, checkpoint=text))
    assert [restored[name].owed for name in sorted(restored)] == [Owed(), owed, Owed()]
    assert restored["objective-1"].accounts["candidate"].bad == restored["objective-1"].candidate
    assert checkpoint.dump(asked, restored) == text
    # given no debts at all, then the text is that of before, which either operator reads
    assert "owed" not in before
    assert "owed" in text
    assert {one.owed for one in checkpoint.load(replace(asked, checkpoint=before)).values()} == {Owed()}


@pytest.mark.parametrize("debts", ["[1,0,0,0]", "[-1]", '["x",0,0,0]', "[NaN,0,0,0]", "[null,0,0,0]", "3"])
def test_a_checkpoint_with_impossible_debts_starts_anew(debts):
    asked, evidence = rich()
    text = checkpoint.dump(asked, evidence)[:-1] + f',"owed":{{"objective-1":{debts}}}}}'
    assert checkpoint.load(replace(asked, checkpoint=text)) == {}


def test_a_checkpoint_belongs_to_one_run_and_one_pair():
    asked, evidence = rich()
    text = checkpoint.dump(asked, evidence)
    for other in (replace(asked, run="r2"), replace(asked, stable=None), replace(asked, candidate="z")):
        assert checkpoint.load(replace(other, checkpoint=text)) == {}
    assert checkpoint.dump(asked, {"errors": Evidence()}) is None


def test_queries_that_have_fired_survive_a_restart_also_when_nothing_was_counted():
    text = checkpoint.dump(ROUTED, {}, ["drift"])
    assert text is not None
    assert checkpoint.fired(replace(ROUTED, checkpoint=text)) == {"drift"}
    assert checkpoint.fired(replace(ROUTED, run="r2", checkpoint=text)) == frozenset()
    # given what an operator of before has written
    asked, evidence = rich()
    assert checkpoint.fired(replace(asked, checkpoint=checkpoint.dump(asked, evidence))) == frozenset()


@pytest.mark.parametrize("text", [None, "", "{", "[]", "null", '{"v":1}', '{"v":1,"run":"r1:b:a","o":{"e":[1,2]}}'])
def test_what_is_no_checkpoint_starts_anew(text):
    assert checkpoint.load(replace(ASKED, checkpoint=text)) == {}


def test_a_checkpoint_with_impossible_numbers_starts_anew():
    asked, evidence = rich()
    text = checkpoint.dump(asked, evidence).replace("1767225600.123", "NaN")
    assert checkpoint.load(replace(asked, checkpoint=text)) == {}


def test_the_multipliers_are_the_designs():
    assert MULTIPLIERS == (1.25, 1.5, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 100)
