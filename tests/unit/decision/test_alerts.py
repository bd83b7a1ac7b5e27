"""Alerts from objectives: exactly what is asked of a Prometheus, and of which objectives."""

import json
import re

import promql_parser
import pytest

from fairway.api.runtime import GENERIC_HTTP, Series
from fairway.api.spec import ModelDeploymentSpec
from fairway.api.status import Run, Status, Track
from fairway.core import alerting, names
from fairway.core.alerting import Alerting, watched
from fairway.core.build import alerts
from fairway.core.build.alerts import expression, prometheus_rule
from fairway.core.build.common import Owner
from fairway.core.objectives import plan
from fairway.core.providers import Provider, Providers
from fairway.core.revision import Record
from fairway.core.target import make_record

OWNER = Owner("ml", "churn", "uid-1")
ERRORS = {"name": "errors", "errors": {"below": "1%"}}
LATENCY = {"name": "latency", "latency": {"percentile": 99, "below": "50ms"}}
DRIFT = {"name": "drift", "template": "drift", "below": "0.2"}
POD = 'namespace="ml",pod=~"churn-[a-z][a-z2-7]{9}-[a-z0-9]+(-[a-z0-9]+)?"'
MAIN, OTHER = Provider("main", queries={"drift": "max(drift{$selector})"}), Provider("other")


def spec(*objectives):
    found = {"model": {"version": "1.0.0"}, "runtime": {"image": "x", "port": 80}, "objectives": list(objectives)}
    return ModelDeploymentSpec.model_validate(found)


def series(**more):
    return Series.model_validate(more)


def plans(*objectives, series=GENERIC_HTTP):
    return plan(spec(*objectives), series)


def asked(objective, series=GENERIC_HTTP):
    """The expression of one objective, which has to parse."""
    (one,) = plans(objective, series=series)
    text = expression(OWNER, one)
    promql_parser.parse(text)
    return text


# --- what is asked --------------------------------------------------------------------------------------------------


def test_failed_requests_are_those_that_any_failure_matcher_matches():
    ways = [{"label": "status", "op": "=~", "value": "5.."}, {"label": "code", "op": "!=", "value": 'a"\\b'}]
    ours = [{"label": "path", "op": "!=", "value": "/metrics"}]
    counter = {"metric": "hits_total", "matchers": ours, "failure": ways}
    of = f'hits_total{{{POD},path!="/metrics"'
    assert asked(ERRORS, series(requests=counter)) == (
        f'sum(increase({of},status=~"5.."}}[10m]) or increase({of},code!="a\\"\\\\b"}}[10m]))\n'
        f"/ sum(increase({of}}}[10m])) > 0.01\n"
        f"and sum(increase({of}}}[10m])) >= 300"
    )


@pytest.mark.parametrize(
    ("second", "bad", "total"),
    [
        ({"failed": {"metric": "b"}}, "{b}", "{a}"),
        ({"failed": {"metric": "b", "apart": True}}, "{b}", "(({a} or vector(0)) + {b})"),
        ({"succeeded": {"metric": "b"}}, "({a} - ({b} or vector(0)))", "{a}"),
    ],
)
def test_a_second_counter_counts_as_the_analysis_has_it(second, bad, total):
    sums = {name: f"sum(increase({name}{{{POD}}}[10m]))" for name in "ab"}
    found = asked({**ERRORS, "minRequests": 40}, series(requests={"metric": "a", **second}))
    every = total.format(**sums)
    assert found == f"{bad.format(**sums)}\n/ {every} > 0.01\nand {every} >= 40"


@pytest.mark.parametrize(
    ("below", "unit", "le"),
    [("50ms", "s", "0\\\\.05"), ("1s", "s", "1|1\\\\.0"), ("1s", "ms", "1000|1000\\\\.0")],
)
def test_slow_requests_are_those_above_the_bucket_at_the_limit(below, unit, le):
    objective = {"name": "latency", "latency": {"percentile": 99, "below": below}}
    found = asked(objective, series(latency={"metric": "took", "unit": unit}))
    every = f'max without (le) (increase(took_bucket{{{POD},le="+Inf"}}[10m]))'
    fast = f'max without (le) (increase(took_bucket{{{POD},le=~"{le}"}}[10m]))'
    assert found == (f"sum({every} - {fast})\n/ sum({every} and {fast}) > 0.01\nand sum({every} and {fast}) >= 300")


@pytest.mark.parametrize(
    ("pod", "ours"),
    [
        ("churn-abcdefghij-5d4f9c8b7-x2x2x", True),
        ("churn-abcdefghij-5d4f9cx2x2x", True),
        ("churn-eu-abcdefghij-5d4f9c8b7-x2x2x", False),
        ("churn-abcdefghij-bcdefghijk-5d4f9c8b7-x2x2x", False),
        ("churn-5d4f9c8b7-x2x2x", False),
        ("my-churn-abcdefghij-5d4f9c8b7-x2x2x", False),
        ("churn-abcdefghij", False),
    ],
)
def test_pods_of_every_revision_count_and_those_of_no_other_model(pod, ours):
    pattern = json.loads(POD.partition("=~")[2])
    assert pattern in json.loads(json.dumps(asked(ERRORS)))
    assert bool(re.fullmatch(pattern, pod)) is ours


def test_every_revision_has_a_name_that_the_pattern_takes():
    for version in map(str, range(200)):
        made = make_record(
            OWNER, spec().model_copy(update={"model": spec().model.model_copy(update={"version": version})}), None
        )
        assert re.fullmatch(alerts._REVISION, made.revision)


# --- of which objectives --------------------------------------------------------------------------------------------


def names_of(found):
    return [each.name for each in found]


def test_only_what_the_default_prometheus_can_tell_is_watched():
    each = [
        ERRORS,
        LATENCY,
        DRIFT,
        {**ERRORS, "name": "tried", "dryRun": True},
        {**ERRORS, "name": "elsewhere", "provider": "other"},
        {**ERRORS, "name": "here", "provider": "main"},
    ]
    assert names_of(watched(plans(*each), Providers((MAIN, OTHER)))) == ["errors", "latency", "here"]
    assert names_of(watched(plans(*each), None)) == ["errors", "latency"]
    assert names_of(watched(plans(*each), Providers())) == ["errors", "latency"]


def test_where_pods_do_not_tell_the_model_nothing_is_watched():
    assert watched(plans(ERRORS), Providers((Provider("main", revision_label="revision"), MAIN))) == []
    of_a_gateway = series(
        requests={"metric": "a", "failure": [{"label": "code", "value": "5"}]},
        revisionMatcher={"label": "service", "value": "$namespace-$name-$revision"},
    )
    assert watched(plans(ERRORS, series=of_a_gateway), None) == []


def test_what_cannot_be_asked_is_not_watched():
    assert watched(plans(ERRORS, series=series(requests={"metric": "a"})), None) == []


# --- the rule -------------------------------------------------------------------------------------------------------


def test_each_objective_has_an_alert_that_names_the_model():
    rule = prometheus_rule(OWNER, plans(ERRORS, LATENCY), {"release": "prometheus", names.OWNER: "somebody"})
    assert (rule["apiVersion"], rule["kind"]) == ("monitoring.coreos.com/v1", "PrometheusRule")
    meta = rule["metadata"]
    assert (meta["namespace"], meta["name"], meta["ownerReferences"][0]["uid"]) == ("ml", "churn", "uid-1")
    assert meta["labels"] == {
        "release": "prometheus",
        names.MANAGED_BY: "fairway",
        names.NAME: "churn",
        names.OWNER: "uid-1",
    }
    (group,) = rule["spec"]["groups"]
    errors, latency = group["rules"]
    assert [each["alert"] for each in group["rules"]] == [alerts.ALERT] * 2
    assert {each["for"] for each in group["rules"]} == {"10m"}
    assert errors["labels"] == {"namespace": "ml", "model": "churn", "objective": "errors", "severity": "warning"}
    assert errors["annotations"]["summary"] == "ml/churn breaks its objective errors (errors below 1%)"
    assert latency["annotations"]["summary"] == "ml/churn breaks its objective latency (p99 50ms)"
    assert "of the last 10m failed; at most 1% may" in errors["annotations"]["description"]
    assert "of the last 10m were slower than promised; at most 1% may" in latency["annotations"]["description"]
    for each in group["rules"]:
        assert each["annotations"]["description"].startswith("{{ $value | humanizePercentage }} of")


# --- when there is one ----------------------------------------------------------------------------------------------


def record(revision):
    made = make_record(OWNER, spec(), None)
    return Record(revision, made.intent, "1.0.0", made.template, made.image, made.port, made.series)


RECORDS = {revision: record(revision) for revision in ("aaaaaaaaaa", "bbbbbbbbbb")}


def track(revision, weight=100):
    return Track(revision=revision, version="1.0.0", weight=weight)


def rules(asked, status, chosen=Alerting(), records=RECORDS):  # noqa: B008  it is frozen
    return [child.manifest for child in alerting.alerts(OWNER, asked, status, records, chosen)]


def test_what_serves_is_watched_and_a_promotion_changes_nothing():
    before, after = (rules(spec(ERRORS), Status(stable=track(revision))) for revision in RECORDS)
    assert len(before) == 1
    assert before == after


def test_without_alerting_objectives_a_version_or_its_record_there_is_no_rule():
    serving = Status(stable=track("aaaaaaaaaa"))
    assert rules(spec(ERRORS), serving, None) == []
    assert rules(spec(), serving) == []
    assert rules(spec(DRIFT), serving, Alerting(Providers((MAIN,)))) == []
    assert rules(spec(ERRORS), serving, Alerting(Providers())) == []
    assert rules(spec(ERRORS), serving, records={}) == []
    run = Run(id="run-1", since=0.0, started_at=0.0, size=1)
    assert rules(spec(ERRORS), Status(candidate=track("aaaaaaaaaa"), run=run)) == []
