"""What the process says about itself: metrics, probes, log lines."""

import io
import json
import logging
import sys

import aiohttp
import pytest

from fairway import __version__
from fairway.adapters.telemetry import PHASES, JsonFormatter, Metrics, log_to_stderr, serve
from fairway.api.status import Status, Track


@pytest.fixture
def metrics():
    return Metrics()


def value(metrics, name, **labels):
    return metrics.registry.get_sample_value(name, labels)


def test_a_decision_is_shown_as_phase_weights_and_reasons(metrics):
    stable, candidate = Track(revision="a", version="1.0.0", weight=80), Track(revision="b", version="1.1.0", weight=20)
    metrics.decided("ml", "churn", Status(phase="Progressing", stable=stable, candidate=candidate), ("RunStarted",) * 2)
    where = {"namespace": "ml", "model": "churn"}
    shown = {phase: value(metrics, "fairway_model_phase", phase=phase, **where) for phase in PHASES}
    assert shown == {phase: float(phase == "Progressing") for phase in PHASES}
    assert value(metrics, "fairway_model_weight", track="stable", **where) == 80
    assert value(metrics, "fairway_model_weight", track="candidate", **where) == 20
    assert value(metrics, "fairway_decisions_total", reason="RunStarted", **where) == 2
    metrics.decided("ml", "churn", Status(phase="Healthy", stable=stable), ())
    assert value(metrics, "fairway_model_phase", phase="Progressing", **where) == 0
    assert value(metrics, "fairway_model_phase", phase="Healthy", **where) == 1
    assert value(metrics, "fairway_model_weight", track="candidate", **where) == 0


def test_every_phase_that_a_status_can_have_is_shown():
    assert set(PHASES) == set(Status.model_fields["phase"].annotation.__args__)


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
