"""What the process says about itself: metrics, probes, log lines."""

import io
import json
import logging
import sys

import aiohttp
import pytest

from fairway import __version__, operate
from fairway.adapters.logs import JsonFormatter, log_to_stderr
from fairway.adapters.telemetry import Metrics, serve
from fairway.api.spec import ModelDeploymentSpec
from fairway.api.status import Condition, Former, HistoryEntry, PlanStep, Run, Status, Track, VerdictStatus
from fairway.core.observe import Observed
from fairway.core.revision import Record
from fairway.core.rollout.decide import Decision
from fairway.core.rollout.situation import Event, Situation, Target
from fairway.core.verdict import ObjectiveReading, Reading
from fairway.ports import MetricsError
from fairway.settings import Settings

KEY = ("ml", "churn")
WHERE = {"namespace": "ml", "model": "churn"}
SPEC = ModelDeploymentSpec.model_validate(
    {"model": {"version": "1.1.0", "source": {"commit": "4f2c9d1"}}, "runtime": {"image": "churn:1.1.0", "port": 80}}
)
STABLE, CANDIDATE = Track(revision="a", version="1.0.0", weight=80), Track(revision="b", version="1.1.0", weight=20)
RECORDS = {
    "a": Record("a", "i", "1.0.0", {}, image="churn:1.0.0", lineage={"data": {"version": "2026-10"}}),
    "b": Record("b", "j", "1.1.0", {}, image="churn:1.1.0"),
}


def situation(status=None, **more):
    return Situation(
        now=100.0,
        spec=SPEC,
        generation=1,
        target=Target("b", "1.1.0", "churn:1.1.0"),
        status=status or Status(),
        observed=Observed(records=RECORDS),
        **more,
    )


def decide(metrics, status, *reasons, before=None, **more):
    decision = Decision(status, tuple(Event(reason, "why") for reason in reasons))
    metrics.decided(KEY, situation(before, **more), decision)


def series(metrics, name):
    """Every series of a metric: the labels after namespace and model, and the value."""
    found = {}
    for family in metrics.registry.collect():
        for sample in family.samples:
            if sample.name == name:
                rest = tuple(v for k, v in sample.labels.items() if k not in WHERE)
                found[rest] = sample.value
    return found


@pytest.fixture
def metrics():
    return Metrics()


def value(metrics, name, **labels):
    return metrics.registry.get_sample_value(name, labels)


def test_a_decision_is_shown_as_phase_weights_and_reasons(metrics):
    decide(metrics, Status(phase="Progressing", stable=STABLE, candidate=CANDIDATE), "RunStarted", "RunStarted")
    assert series(metrics, "fairway_model_phase") == {("Progressing",): 1}
    assert series(metrics, "fairway_model_weight") == {("stable",): 80, ("candidate",): 20}
    assert value(metrics, "fairway_decisions_total", reason="RunStarted", **WHERE) == 2
    decide(metrics, Status(phase="Healthy", stable=STABLE))
    assert series(metrics, "fairway_model_phase") == {("Healthy",): 1}
    assert series(metrics, "fairway_model_weight") == {("stable",): 80}


def test_the_step_is_counted_as_people_count(metrics):
    plan = (PlanStep(weight=20), PlanStep(weight=50))
    run = Run(id="run-2", step=1, since=0, started_at=0, size=1, plan=plan)
    decide(metrics, Status(stable=STABLE, candidate=CANDIDATE, run=run))
    assert (series(metrics, "fairway_model_step"), series(metrics, "fairway_model_steps")) == ({(): 2}, {(): 3})
    decide(metrics, Status(stable=STABLE))
    assert series(metrics, "fairway_model_step") == {}


def test_conditions_are_numbers(metrics):
    def said(type_, status):
        return Condition(type=type_, status=status, reason="Because", last_transition_time=0)

    told = (said("Ready", "True"), said("UpToDate", "False"), said("MetricsReady", "Unknown"))
    decide(metrics, Status(conditions=told))
    assert series(metrics, "fairway_model_condition") == {("Ready",): 1, ("UpToDate",): 0, ("MetricsReady",): -1}


def test_a_spec_that_cannot_be_acted_on_is_shown_beside_what_serves(metrics):
    decide(metrics, Status(phase="Healthy", stable=STABLE))
    stalled = Condition(type="Stalled", status="True", reason="InvalidSpec", last_transition_time=0)
    for event in (Event("InvalidSpec", "why", warning=True), None):
        metrics.stuck(KEY, Status(phase="Healthy", conditions=(stalled,)), event)
    assert series(metrics, "fairway_model_condition") == {("Stalled",): 1}
    assert series(metrics, "fairway_model_weight") == {("stable",): 80}
    assert series(metrics, "fairway_decisions_total") == {("InvalidSpec",): 1}


def test_lineage_is_that_of_each_revision(metrics):
    decide(metrics, Status(stable=STABLE, candidate=CANDIDATE), runtime="mlserver")
    assert series(metrics, "fairway_model_info") == {
        ("stable", "a", "1.0.0", "churn:1.0.0", "", "", "2026-10", ""): 1,
        ("candidate", "b", "1.1.0", "churn:1.1.0", "mlserver", "4f2c9d1", "", ""): 1,
    }


READING = Reading(
    run="run-2",
    state="Undecided",
    at=100.0,
    objectives=(
        ObjectiveReading("errors", "Undecided", "1%", rate=0.03, stable_rate=0.002, requests=412, log10_evidence=2.1),
        ObjectiveReading("drift", "Healthy", "0.2", value="0.11", stable_value="none yet"),
        ObjectiveReading("new", "NoData", "1%", value="NaN"),
    ),
)


def test_objectives_are_shown_with_value_evidence_and_requests(metrics):
    run = Run(id="run-2", since=0, started_at=0, size=1)
    told = Status(stable=STABLE, candidate=CANDIDATE, run=run, verdict=VerdictStatus(state="Undecided", at=1))
    decide(metrics, told, reading=READING)
    assert series(metrics, "fairway_objective_value") == {
        ("errors", "candidate"): 0.03,
        ("errors", "stable"): 0.002,
        ("drift", "candidate"): 0.11,
    }
    assert series(metrics, "fairway_objective_evidence")["errors",] == 2.1
    assert series(metrics, "fairway_objective_evidence_needed")["errors",] == 3.0
    assert series(metrics, "fairway_objective_requests")["errors",] == 412
    assert series(metrics, "fairway_model_verdict") == {("Undecided",): 1}


def test_numbers_of_a_run_that_is_over_are_not_shown(metrics):
    decide(metrics, Status(stable=STABLE), reading=READING)
    assert series(metrics, "fairway_objective_requests") == {}
    former = Former(revision="a", version="1", replicas=1, run="run-2", promoted_at=0, until=9)
    decide(metrics, Status(stable=CANDIDATE, former=former), reading=READING)
    assert len(series(metrics, "fairway_objective_requests")) == 3


def entry(run, outcome, seconds=600.0):
    return HistoryEntry(
        run=run, revision="b", version="1", started_at=1000.0, ended_at=1000.0 + seconds, outcome=outcome
    )


def test_a_run_that_ended_is_counted_once_with_its_duration(metrics):
    promoted, back = Status(history=(entry("run-1", "Promoted"),)), Status(history=(entry("run-1", "RolledBack"),))
    decide(metrics, promoted)
    decide(metrics, promoted, before=promoted)
    decide(metrics, back, before=promoted)  # taken back in its watch window
    outcomes = series(metrics, "fairway_rollouts_total")
    assert outcomes == {("Promoted",): 1, ("RolledBack",): 1}
    assert value(metrics, "fairway_rollout_seconds_sum", outcome="Promoted") == 600
    assert value(metrics, "fairway_rollout_seconds_bucket", outcome="Promoted", le="300.0") == 0


def test_a_model_that_is_gone_leaves_no_series(metrics):
    decide(metrics, Status(phase="Healthy", stable=STABLE, history=(entry("run-1", "Promoted"),)), "Promoted")
    metrics.decided(("ml", "other"), situation(), Decision(Status(), (Event("Promoted", ""),)))
    metrics.forget(KEY)
    left = {
        tuple(sample.labels.values())
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.labels.get("model") == "churn"
    }
    assert left == set()
    assert value(metrics, "fairway_decisions_total", namespace="ml", model="other", reason="Promoted") == 1


def test_queries_and_notifications_are_counted(metrics):
    metrics.asked("default", 0.02, True)
    metrics.asked("mimir", 5.0, False)
    metrics.asked("mimir", 5.0, False)
    metrics.notified("oncall", "sent")
    assert series(metrics, "fairway_metrics_queries_total") == {("default", "ok"): 1, ("mimir", "error"): 2}
    assert value(metrics, "fairway_metrics_query_seconds_count", provider="default") == 1
    assert value(metrics, "fairway_metrics_query_seconds_count", provider="mimir") == 2
    assert value(metrics, "fairway_notifications_total", channel="oncall", result="sent") == 1


async def test_each_provider_is_counted_by_its_name(metrics):
    settings = Settings.model_validate(
        {
            "prometheus": {"url": "http://127.0.0.1:1"},
            "metrics": {"providers": [{"name": "mimir", "url": "http://127.0.0.1:1"}]},
        }
    )
    for provider in settings.providers:
        source = operate._source(provider, metrics)
        with pytest.raises(MetricsError):
            await source.query("up")
        await source.close()
    assert series(metrics, "fairway_metrics_queries_total") == {("default", "error"): 1, ("mimir", "error"): 1}


def test_the_audit_trail_is_complete_at_every_level(monkeypatch):
    root, audit = logging.getLogger(), logging.getLogger("fairway.audit")
    kept = root.level, list(root.handlers), audit.level
    written = io.StringIO()
    monkeypatch.setattr(sys, "stderr", written)
    try:
        log_to_stderr("error")
        audit.info("promoted")
        logging.getLogger("fairway").info("chatter")
    finally:
        root.setLevel(kept[0])
        root.handlers[:] = kept[1]
        audit.setLevel(kept[2])
    assert [json.loads(one)["message"] for one in written.getvalue().splitlines()] == ["promoted"]


def test_requests_and_passes_are_counted(metrics):
    metrics.api_call("PATCH", 409)
    metrics.api_call("GET", 0)
    metrics.passed(0.02, True)
    metrics.passed(0.2, False)
    assert value(metrics, "fairway_api_requests_total", method="PATCH", status="409") == 1
    assert value(metrics, "fairway_api_requests_total", method="GET", status="0") == 1
    assert value(metrics, "fairway_pass_seconds_bucket", result="ok", le="0.025") == 1
    assert value(metrics, "fairway_pass_seconds_count", result="error") == 1


async def test_probes_and_metrics_are_served(metrics):
    ready = False
    runner = await serve(0, metrics, lambda: ready)
    # Port 0 is another one for IPv4 than for IPv6.
    port = next(address[1] for address in runner.addresses if ":" not in address[0])
    base = f"http://127.0.0.1:{port}"
    try:
        async with aiohttp.ClientSession() as session:

            async def ask(path):
                async with session.get(base + path) as response:
                    return response.status, response.content_type, await response.text()

            assert (await ask("/healthz"))[0] == 200
            assert (await ask("/readyz"))[0] == 503
            ready = True
            assert (await ask("/readyz"))[0] == 200
            assert (await ask("/secrets"))[0] == 404
            status, kind, text = await ask("/metrics")
    finally:
        await runner.cleanup()
    assert (status, kind) == (200, "text/plain")
    assert f'fairway_build_info{{version="{__version__}"}} 1.0' in text
    assert "fairway_leader 0.0" in text


def line(message, *values, error=None, **extra):
    record = logging.getLogger("fairway.test").makeRecord(
        "fairway.test", logging.WARNING, __file__, 1, message, values, error, extra=extra
    )
    return JsonFormatter().format(record)


def test_a_log_line_is_one_object_with_what_the_caller_added():
    read = json.loads(line("%s has %d%%", "1.1.0", 20, namespace="ml", model="churn"))
    assert read.pop("time").endswith("+00:00")
    assert read == {
        "level": "warning",
        "logger": "fairway.test",
        "message": "1.1.0 has 20%",
        "namespace": "ml",
        "model": "churn",
    }


def test_nothing_in_a_message_begins_a_second_line():
    evil = 'x"}\n{"level":"error","message":"forged"}\r\x00\x1b[2J'
    text = line("%s", evil, model=evil)
    assert len(text.splitlines()) == 1
    assert not any(ord(char) < 32 for char in text)
    assert json.loads(text)["message"] == json.loads(text)["model"] == evil


def test_an_exception_is_part_of_its_line():
    try:
        raise ValueError("two\nlines")
    except ValueError:
        text = line("a pass failed", error=sys.exc_info())
    assert "\n" not in text
    assert "ValueError: two\nlines" in json.loads(text)["error"]


def test_what_json_does_not_know_is_written_as_text():
    assert json.loads(line("x", path={1, 2}.__class__))["path"] == "<class 'set'>"


def test_libraries_that_log_each_request_are_kept_quiet(monkeypatch):
    root = logging.getLogger()
    kept = root.level, list(root.handlers), logging.getLogger("httpx").level
    written = io.StringIO()
    monkeypatch.setattr(sys, "stderr", written)
    try:
        log_to_stderr("debug")
        logging.getLogger("httpx").info("GET https://prometheus")
        logging.getLogger("fairway").debug("visible")
    finally:
        root.setLevel(kept[0])
        root.handlers[:] = kept[1]
        for chatty in ("httpx", "httpcore", "kopf"):
            logging.getLogger(chatty).setLevel(kept[2])
    assert [json.loads(one)["message"] for one in written.getvalue().splitlines()] == ["visible"]
