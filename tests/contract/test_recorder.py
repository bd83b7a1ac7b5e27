"""Events: few, safe, and never in the way of a pass."""

import asyncio
import json
import logging
import re
from types import SimpleNamespace

import pytest
from kubernetes.aio.client import ApiClient, Configuration

from fairway.adapters import recorder as adapter
from fairway.adapters.cluster import KubernetesCluster
from fairway.adapters.recorder import MOST_PER_MINUTE, MOST_WAITING, EventRecorder
from fairway.ports import ClusterError
from tests.fakes.api_server import FakeApiServer, stored


def model(uid="m1", name="churn"):
    meta = {"name": name, "namespace": "ml", "uid": uid, "resourceVersion": "41"}
    return {"apiVersion": "fairway.dev/v1alpha1", "kind": "ModelDeployment", "metadata": meta}


class Api:
    """Takes Events, or fails, or never answers."""

    def __init__(self):
        self.posted = []
        self.failing = []
        self.hangs = False

    async def request(self, method, url, *, body=None):
        if self.hangs:
            await asyncio.get_running_loop().create_future()
        if self.failing:
            raise self.failing.pop(0)
        self.posted.append((method, url, body))
        return body

    @property
    def messages(self):
        return [body["message"] for _, _, body in self.posted]


@pytest.fixture
def api():
    return Api()


@pytest.fixture
def clock(monkeypatch):
    time = SimpleNamespace(now=5000.0)
    monkeypatch.setattr(adapter, "time", SimpleNamespace(monotonic=lambda: time.now))
    return time


@pytest.fixture
async def recorder(api, clock):
    """Given a recorder whose writer runs."""
    made = EventRecorder(api, instance="fairway-7d9f5c-x2kqp")
    writer = asyncio.ensure_future(made.write())
    yield made
    writer.cancel()
    await asyncio.gather(writer, return_exceptions=True)


def say(recorder, message="1.1.0 gets 20%", owner=None, reason="WeightChanged"):
    recorder.event(owner or model(), type_="Normal", reason=reason, message=message)


async def written(recorder):
    await recorder.drain(1.0)


async def test_an_event_is_about_its_model_and_says_who_reports(recorder, api):
    say(recorder)
    await written(recorder)
    ((method, url, body),) = api.posted
    assert (method, url) == ("POST", "/api/v1/namespaces/ml/events")
    assert body["involvedObject"] == {
        "apiVersion": "fairway.dev/v1alpha1",
        "kind": "ModelDeployment",
        "name": "churn",
        "namespace": "ml",
        "uid": "m1",
        "resourceVersion": "41",
    }
    assert (body["type"], body["reason"], body["message"]) == ("Normal", "WeightChanged", "1.1.0 gets 20%")
    assert (body["count"], body["source"]) == (1, {"component": "fairway"})
    assert body["firstTimestamp"] == body["lastTimestamp"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", body["firstTimestamp"])
    assert body["reportingInstance"] == "fairway-7d9f5c-x2kqp"


async def test_events_of_one_second_have_different_valid_names(recorder, api):
    for number in range(5):
        say(recorder, str(number), model(name="c" * 40))
    await written(recorder)
    named = [body["metadata"]["name"] for _, _, body in api.posted]
    assert len(set(named)) == 5
    assert all(re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*", name) for name in named)
    assert max(map(len, named)) <= 253


async def test_events_are_written_in_the_order_of_what_happened(recorder, api):
    for number in range(8):
        say(recorder, str(number))
    await written(recorder)
    assert api.messages == [str(number) for number in range(8)]


async def test_a_model_that_flaps_writes_so_many_events_a_minute(recorder, api, clock):
    for second in range(0, 59, 2):
        clock.now = 5000.0 + second
        say(recorder, str(second))
        await written(recorder)
    assert len(api.posted) == MOST_PER_MINUTE == 25
    clock.now = 5000.0 + 60
    for _ in range(3):
        say(recorder, "later")
    await written(recorder)
    assert api.messages[MOST_PER_MINUTE:] == ["later"]


async def test_one_models_flapping_takes_nothing_from_others(recorder, api):
    for _ in range(40):
        say(recorder, "noise", model("noisy"))
    say(recorder, "news", model("quiet"))
    await written(recorder)
    assert api.messages == [*["noise"] * MOST_PER_MINUTE, "news"]


async def test_the_limit_is_of_the_object_and_not_of_its_name(recorder, api):
    for uid in ("before", "recreated"):
        for _ in range(40):
            say(recorder, uid, model(uid))
    await written(recorder)
    assert (api.messages.count("before"), api.messages.count("recreated")) == (25, 25)


async def test_a_silent_api_server_holds_up_nobody_and_memory_is_bounded(recorder, api, caplog):
    api.hangs = True
    for number in range(MOST_WAITING + 50):
        say(recorder, owner=model(str(number)))
    dropped = [record for record in caplog.records if "too many events" in record.message]
    assert len(dropped) == 50  # the writer has not run yet
    await recorder.drain(0.01)
    assert "events were not written" in caplog.text


@pytest.mark.parametrize("status", [0, 403, 404, 409, 422, 429, 503])
async def test_a_refused_event_is_logged_and_the_next_one_written(recorder, api, caplog, status):
    api.failing = [ClusterError(status, "Because", "of it")]
    say(recorder, "lost")
    say(recorder, "kept")
    await written(recorder)
    assert api.messages == ["kept"]
    (warning,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert "an event was not written" in warning.message


async def test_an_unexpected_error_ends_neither_the_writer_nor_the_other_events(recorder, api, caplog):
    api.failing = [RuntimeError("the session is closed")]
    say(recorder, "lost")
    say(recorder, "kept")
    for _ in range(5):
        await asyncio.sleep(0)  # the writer alone
    assert api.messages == ["kept"]
    assert "an event was not written" in caplog.text


async def test_the_event_that_is_being_written_when_the_writer_is_stopped_is_not_lost(api, clock):
    recorder = EventRecorder(api, instance="fairway-7d9f5c-x2kqp")
    writer = asyncio.ensure_future(recorder.write())
    api.hangs = True
    say(recorder, "first")
    say(recorder, "second")
    await asyncio.sleep(0)
    writer.cancel()
    await asyncio.gather(writer, return_exceptions=True)
    api.hangs = False
    await recorder.drain(1.0)
    assert api.messages == ["first", "second"]


async def test_an_event_that_was_written_although_nobody_heard_is_no_news(recorder, api, caplog):
    api.failing = [ClusterError(409, "AlreadyExists", "events already exists")]
    say(recorder)
    await written(recorder)
    assert caplog.records == []


async def test_a_namespace_that_is_being_deleted_takes_no_events_and_that_is_no_news(recorder, api, caplog):
    caplog.set_level(logging.DEBUG)
    api.failing = [ClusterError(403, "NamespaceTerminating", "namespace ml is being terminated")]
    say(recorder)
    await written(recorder)
    (line,) = [record for record in caplog.records if "an event was not written" in record.message]
    assert line.levelno == logging.DEBUG


async def test_a_huge_message_is_cut_to_what_the_api_server_takes(recorder, api):
    say(recorder, "x" * 100_000)
    await written(recorder)
    assert len(api.messages[0]) == 1000


async def test_no_message_breaks_out_of_its_field_on_the_wire():
    evil = 'x","reason":"Forged"}\r\n\r\nDELETE /api/v1 HTTP/1.1\x00\x1b[2J\u2028'
    async with FakeApiServer([stored()]) as server:
        connection = ApiClient(configuration=Configuration(host=server.url))
        made = EventRecorder(KubernetesCluster(connection), instance="fairway-x2kqp")
        writer = asyncio.ensure_future(made.write())
        say(made, evil)
        await made.drain(2.0)
        writer.cancel()
        await asyncio.gather(writer, return_exceptions=True)
        await connection.close()
    call = server.call
    assert (call.method, call.path) == ("POST", "/api/v1/namespaces/ml/events")
    assert call.headers["Content-Type"] == "application/json"
    assert (call.body["reason"], call.body["involvedObject"]["uid"]) == ("WeightChanged", "m1")
    assert call.body["message"].startswith('x","reason":"Forged"}')
    assert json.dumps(call.body).isprintable()
