"""What a spec's promises ask of the provider."""

from dataclasses import replace

import pytest

from fairway.api.runtime import GENERIC_HTTP, LatencySeries, Matcher, RequestSeries, Series
from fairway.api.spec import ModelDeploymentSpec
from fairway.core.objectives import (
    Edges,
    choose_edges,
    failed,
    family,
    le_values,
    no_bucket,
    owned,
    plan,
    pods,
    prefixes,
    weights,
)
from fairway.core.verdict import ObjectivePlan, Question, SeriesMatcher

ASKED = Question(("ml", "churn"), "r1", "babc", "aabc", (), since=0.0, weight=5)


def planned(*objectives, series=GENERIC_HTTP):
    spec = {"model": {"version": "1.0.0"}, "runtime": {"image": "x", "port": 80}, "objectives": list(objectives)}
    return plan(ModelDeploymentSpec.model_validate(spec), series)


def test_a_promise_about_errors():
    (one,) = planned({"name": "errors", "errors": {"below": "1%"}})
    assert (one.kind, one.metric, one.limit, one.min_requests, one.text) == (
        "errors",
        "http_requests_total",
        0.01,
        300,
        "1%",
    )
    assert (one.relative, one.relative_floor, one.dry_run, one.problem) == (None, 1e-3, False, None)
    assert family(one).metric == "http_requests_total"


def test_a_quantile_is_a_share_of_slower_requests_in_the_histograms_unit():
    series = Series(latency=LatencySeries(metric="h", unit="ms"))
    (one,) = planned({"name": "p99", "latency": {"percentile": 99, "below": "70ms"}}, series=series)
    assert (one.limit, one.edge, one.unit, one.min_requests, one.text) == (0.01, 70.0, 1e-3, 300, "p99 70ms")
    assert family(one).metric == "h_bucket"
    (one,) = planned({"name": "p50", "latency": {"percentile": 50, "below": "1s"}})
    assert (one.limit, one.edge, one.min_requests) == (0.5, 1.0, 100)


def test_the_details_a_user_may_set():
    relative = {"atMost": 1.5, "above": "0.5%"}
    promise = {"name": "e", "errors": {"below": "0%"}, "relativeToStable": relative, "dryRun": True, "minRequests": 7}
    (one,) = planned(promise)
    assert (one.relative, one.relative_floor, one.dry_run, one.min_requests) == (1.5, 0.005, True, 7)
    assert planned({"name": "e", "errors": {"below": "0%"}})[0].min_requests == 100
    assert planned() == ()


def test_a_runtime_without_the_series_says_so():
    errors, latency = (
        {"name": "e", "errors": {"below": "1%"}},
        {"name": "l", "latency": {"percentile": 9, "below": "1s"}},
    )
    counter = Series(requests=RequestSeries(metric="m"))
    assert "no request counter" in planned(errors, series=Series())[0].problem
    assert "no latency histogram" in planned(latency, series=Series())[0].problem
    assert "which requests failed" in planned(errors, series=counter)[0].problem
    assert {planned(each, series=Series())[0].cause for each in (errors, latency)} == {"NoSeries"}
    assert planned(errors, series=counter)[0].cause == "NoSeries"


@pytest.mark.parametrize("value", ["(a+)+", "(a|b)*", ".*.*.*x", "(", r"(a)\1", "(?i)x", "a{1,999999999999}(b"])
def test_expressions_that_could_hang_the_operator_are_refused(value):
    series = Series(requests=RequestSeries(metric="m", failure=(Matcher(label="s", op="=~", value=value),)))
    (one,) = planned({"name": "e", "errors": {"below": "1%"}}, series=series)
    assert "too complex" in one.problem
    assert one.cause == "InvalidMatcher"


@pytest.mark.parametrize(
    ("told", "counts"),
    [
        ({"failed": {"metric": "f"}}, {"m": (1, 0), "f": (0, 1)}),
        ({"failed": {"metric": "f", "apart": True}}, {"m": (1, 0), "f": (1, 1)}),
        ({"succeeded": {"metric": "f"}}, {"m": (1, 1), "f": (0, -1)}),
    ],
)
def test_a_second_counter_tells_which_requests_failed(told, counts):
    series = Series.model_validate({"requests": {"metric": "m", **told}})
    (one,) = planned({"name": "e", "errors": {"below": "1%"}}, series=series)
    assert one.problem is None
    assert (family(one).metric, family(one).second) == ("m", "f")
    assert {name: weights(one, {"__name__": name}) for name in counts} == counts


def test_a_gateways_label_names_the_revision():
    matcher = {"label": "service", "value": "(.*-svc-)?$namespace-$name-$revision-[0-9]+@gw"}
    series = Series.model_validate({"requests": {"metric": "m", "failed": {"metric": "f"}}, "revisionMatcher": matcher})
    (one,) = planned({"name": "e", "errors": {"below": "1%"}}, series=series)
    assert (one.problem, family(one).owner) == (None, one.owner)
    assert owned(replace(ASKED, key=("ml", "a.b")), one.owner) == {
        "candidate": r"(.*-svc-)?ml-a\.b-babc-[0-9]+@gw",
        "stable": r"(.*-svc-)?ml-a\.b-aabc-[0-9]+@gw",
    }
    assert set(owned(replace(ASKED, stable=None), one.owner)) == {"candidate"}


def test_a_gateways_label_that_could_hang_the_operator_is_refused():
    matcher = {"label": "service", "value": "(x+)+$namespace-$name-$revision"}
    series = Series.model_validate({"revisionMatcher": matcher})
    (one,) = planned({"name": "e", "errors": {"below": "1%"}}, series=series)
    assert "revisionMatcher.value is too complex" in one.problem
    assert one.cause == "InvalidMatcher"


def test_equality_may_compare_with_anything():
    series = Series(requests=RequestSeries(metric="m", failure=(Matcher(label="s", value="(a+)+"),)))
    assert planned({"name": "e", "errors": {"below": "1%"}}, series=series)[0].problem is None


@pytest.mark.parametrize("value", ["5..", "5[0-9]{2}", "5.*|4.+", "(500|503)", "(?:a|b)c"])
def test_ordinary_expressions_are_accepted(value):
    series = Series(requests=RequestSeries(metric="m", failure=(Matcher(label="s", op="=~", value=value),)))
    assert planned({"name": "e", "errors": {"below": "1%"}}, series=series)[0].problem is None


def test_a_request_failed_if_any_matcher_matches():
    matchers = (SeriesMatcher("status", "=~", "5.."), SeriesMatcher("error", "!=", ""), SeriesMatcher("x", "!~", "y?"))
    objective = ObjectivePlan("e", "errors", "m", (), matchers, 0.01)
    assert failed(objective, {"status": "503"})
    assert not failed(objective, {"status": "200"})
    assert not failed(objective, {"status": "5000", "error": ""})
    assert failed(objective, {"error": "boom"})
    assert failed(objective, {"x": "z"})


def test_pods_are_found_by_the_prefix_of_their_revisions_deployment():
    assert pods(ASKED) == "churn-babc-.*|churn-aabc-.*"
    assert prefixes(ASKED) == {"candidate": "churn-babc-", "stable": "churn-aabc-"}
    assert pods(replace(ASKED, stable=None)) == "churn-babc-.*"


def test_edges_are_asked_for_in_every_spelling():
    assert le_values([1.0]) == r"\+Inf|1|1\.0"
    assert set(le_values([0.05]).split("|")) == {r"\+Inf", r"0\.05"}
    assert {"1e-05", r"1e\+06", "1000000"} <= set(le_values([1e-5, 1e6]).split("|"))
    assert r"0\.0123456789" in le_values([0.0123456789]).split("|")


def test_the_bucket_at_the_limit_or_its_neighbours_within_a_fifth():
    inf = float("inf")
    assert choose_edges(0.05, [0.01, 0.05, 0.055, inf]) == Edges(0.05, 0.05)
    assert choose_edges(50, [40, 45, 55, 60, inf]) == Edges(55, 45)
    assert choose_edges(50, [39, 55, inf]) is None
    assert choose_edges(50, [45, 61, inf]) is None
    assert choose_edges(50, []) is None


def test_a_missing_bucket_is_named_with_its_neighbours():
    objective = ObjectivePlan("l", "latency", "h", (), (), 0.01, edge=50.0, unit=1e-3)
    assert no_bucket(objective, [10, 25, 100, float("inf")]) == "no bucket at 50ms in h: the nearest are 25ms and 100ms"
    assert no_bucket(objective, [float("inf")]).endswith("the nearest are none")
