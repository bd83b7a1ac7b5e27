"""Notifications: what is sent, how it is signed, and that a bad receiver costs nobody anything."""

import asyncio
import base64
import hashlib
import hmac
import json
import logging
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from fairway.adapters import notify
from fairway.adapters.notify import MOST_WAITING, TRIES, Channel, Notifier
from tests.fakes.receiver import Receiver, cut_off, endless, says

NOW = 1_800_000_000.25
STATUS = {
    "phase": "RolledBack",
    "url": "http://churn.models.example",
    "stable": {"revision": "a", "version": "1.0.0", "weight": 100, "replicas": 2, "ready": 2},
    "candidate": {"revision": "b", "version": "1.1.0", "weight": 0, "replicas": 1, "ready": 1, "rejectedReason": "x"},
    "verdict": {"state": "Regressed", "objectives": [{"name": "errors", "value": "50%", "limit": "1%"}]},
    "evidence": "bookkeeping",
    "effective": {"image": "registry.example/churn"},
}


def model(namespace: str = "ml", **status: Any) -> dict[str, Any]:
    meta = {"name": "churn", "namespace": namespace, "uid": "m1", "resourceVersion": "41"}
    return {"apiVersion": "fairway.dev/v1alpha1", "kind": "ModelDeployment", "metadata": meta, "status": status}


class Desk:
    """A notifier with its channels, whose pauses take no time and whose counts are kept."""

    def __init__(self, *channels: Channel) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()
        self.pauses: list[float] = []
        self.notifier = Notifier(channels, counted=self._count, now=lambda: NOW, pause=self._pause)

    def _count(self, channel: str, result: str) -> None:
        self.counts[channel, result] += 1

    async def _pause(self, seconds: float) -> None:
        self.pauses.append(seconds)

    def say(self, reason: str = "RolledBack", message: str = "1.1.0 rolled back", **more: Any) -> None:
        type_ = "Warning" if reason == "RolledBack" else "Normal"
        self.notifier.event(model(**{**STATUS, **more}), type_=type_, reason=reason, message=message)

    async def done(self) -> None:
        await self.notifier.drain(60.0)


@pytest.fixture
async def receiver():
    async with Receiver() as made:
        yield made


async def test_a_cloud_event_says_what_happened_to_whom(receiver: Receiver) -> None:
    desk = Desk(Channel("bus", receiver.url))
    desk.say()
    await desk.done()
    (got,) = receiver.got
    assert got.headers["Content-Type"] == "application/cloudevents+json; charset=utf-8"
    event = json.loads(got.body)
    assert event.pop("id") == got.headers["webhook-id"]
    assert event == {
        "specversion": "1.0",
        "source": "/apis/fairway.dev/v1alpha1/namespaces/ml/modeldeployments/churn",
        "type": "dev.fairway.modeldeployment.RolledBack",
        "subject": "ml/churn",
        "time": "2027-01-15T08:00:00.250Z",
        "datacontenttype": "application/json",
        "data": {
            "namespace": "ml",
            "name": "churn",
            "uid": "m1",
            "reason": "RolledBack",
            "warning": True,
            "message": "1.1.0 rolled back",
            "phase": "RolledBack",
            "url": "http://churn.models.example",
            "stable": STATUS["stable"],
            "candidate": {"revision": "b", "version": "1.1.0", "weight": 0, "replicas": 1, "ready": 1},
            "verdict": STATUS["verdict"],
        },
    }
    assert desk.counts == {("bus", "sent"): 1}


async def test_slack_gets_text_that_nobody_can_dress_up(receiver: Receiver) -> None:
    desk = Desk(Channel("oncall", receiver.url, form="Slack"))
    desk.say(message="<!channel> 1 > 0 & \n<https://evil.example|here>")
    await desk.done()
    (got,) = receiver.got
    assert json.loads(got.body) == {
        "text": ":warning: *ml/churn* RolledBack\n&lt;!channel&gt; 1 &gt; 0 &amp; &lt;https://evil.example|here&gt;"
    }


@pytest.mark.parametrize("written", [b"a plain key\n", b"whsec_" + base64.b64encode(b"a plain key")])
async def test_the_signature_is_that_of_standard_webhooks(receiver: Receiver, tmp_path: Path, written: bytes) -> None:
    (tmp_path / "key").write_bytes(written)
    desk = Desk(Channel("bus", receiver.url, signing_key_file=tmp_path / "key"))
    desk.say()
    await desk.done()
    (got,) = receiver.got
    assert got.headers["webhook-timestamp"] == str(int(NOW))
    signed = f"{got.headers['webhook-id']}.{int(NOW)}.".encode() + got.body
    wanted = base64.b64encode(hmac.new(b"a plain key", signed, hashlib.sha256).digest()).decode()
    assert got.headers["webhook-signature"] == f"v1,{wanted}"


async def test_the_published_example_of_standard_webhooks_verifies() -> None:
    """The vector of the specification's own libraries."""
    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    signed = notify._signature(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330.0, b'{"test": 2432232314}')
    assert signed["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


async def test_a_channel_gets_what_it_asked_for(receiver: Receiver) -> None:
    events, namespaces = frozenset({"RolledBack"}), frozenset({"risk"})
    desk = Desk(
        Channel("all", f"{receiver.url}/all"),
        Channel("bad", f"{receiver.url}/bad", events=events),
        Channel("risk", f"{receiver.url}/risk", namespaces=namespaces),
    )
    desk.say("Promoted")
    desk.say("RolledBack")
    desk.notifier.event(model("risk"), type_="Normal", reason="Promoted", message="")
    await desk.done()
    paths = Counter(got.path.rsplit("/", 1)[1] for got in receiver.got)
    assert paths == {"all": 3, "bad": 1, "risk": 1}


async def test_the_address_may_be_a_secret_that_changes(receiver: Receiver, tmp_path: Path) -> None:
    address = tmp_path / "url"
    desk = Desk(Channel("oncall", url_file=address))
    for path in ("/first", "/second"):
        address.write_text(f"{receiver.url}{path}\n")
        desk.say()
        await desk.notifier._senders[0].empty()
    await desk.done()
    assert [got.path for got in receiver.got] == ["/hook/first", "/hook/second"]


# --- receivers that do not want, or cannot ---------------------------------------------------------------------


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
async def test_what_may_pass_is_tried_again_with_growing_pauses(receiver: Receiver, status: int) -> None:
    receiver.script = [says(status), says(status), says(status), says(200)]
    desk = Desk(Channel("bus", receiver.url))
    desk.say()
    await desk.done()
    assert len(receiver.got) == 4
    assert len({(got.headers["webhook-id"], got.body) for got in receiver.got}) == 1
    for pause, base in zip(desk.pauses, (1.0, 2.0, 4.0), strict=True):
        assert 0.8 * base <= pause <= 1.2 * base
    assert desk.counts == {("bus", "sent"): 1}


async def test_an_endpoint_that_stays_down_is_given_up_and_the_next_notice_is_sent(
    receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.script = [*[cut_off] * TRIES, says(200)]
    desk = Desk(Channel("bus", receiver.url))
    desk.say(message="lost")
    desk.say(message="kept")
    await desk.done()
    assert desk.counts == {("bus", "failed"): 1, ("bus", "sent"): 1}
    assert "a notification was not taken: no connection" in caplog.text


@pytest.mark.parametrize(("asked", "waited"), [("7", 7.0), ("99999", 60.0)])
async def test_the_receiver_says_how_long_to_wait_within_reason(receiver: Receiver, asked: str, waited: float) -> None:
    receiver.script = [says(429, Retry_After=asked), says(200)]
    desk = Desk(Channel("bus", receiver.url))
    desk.say()
    await desk.done()
    (pause,) = desk.pauses
    assert 0.8 * waited <= pause <= 1.2 * waited


@pytest.mark.parametrize("status", [301, 302, 307, 400, 401, 403, 404, 410, 413])
async def test_a_refusal_is_final_and_redirects_are_not_followed(
    receiver: Receiver, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    receiver.script = [says(status, Location=f"{receiver.url}/elsewhere")]
    desk = Desk(Channel("bus", receiver.url))
    desk.say()
    await desk.done()
    assert [got.path for got in receiver.got] == ["/hook"]
    assert desk.counts == {("bus", "failed"): 1}
    assert f"HTTP {status}" in caplog.text


async def test_an_answer_without_end_is_not_read(receiver: Receiver) -> None:
    receiver.script = [endless]
    desk = Desk(Channel("bus", receiver.url))
    desk.say()
    await desk.done()
    assert desk.counts == {("bus", "sent"): 1}


async def test_of_too_many_the_oldest_is_dropped_and_nobody_waits(receiver: Receiver) -> None:
    desk = Desk(Channel("bus", receiver.url))
    for number in range(MOST_WAITING + 3):
        desk.say(message=str(number))  # not a coroutine: a pass cannot wait for it
    assert desk.counts == {("bus", "dropped"): 3}
    await desk.done()
    sent = [json.loads(got.body)["data"]["message"] for got in receiver.got]
    assert sent == [str(number) for number in range(3, MOST_WAITING + 3)]


async def test_one_silent_receiver_does_not_hold_up_another(receiver: Receiver) -> None:
    hung = asyncio.Event()

    async def hang(_request: Any) -> Any:
        hung.set()
        await asyncio.get_running_loop().create_future()

    async with Receiver([hang]) as silent:
        desk = Desk(Channel("silent", silent.url), Channel("bus", receiver.url))
        writer = asyncio.create_task(desk.notifier.write())
        desk.say()
        await asyncio.wait_for(hung.wait(), 5)
        async with asyncio.timeout(10):
            while not desk.counts["bus", "sent"]:
                await asyncio.sleep(0.01)
        writer.cancel()
        await asyncio.gather(writer, return_exceptions=True)
        await desk.notifier.drain(0.05)
    assert len(receiver.got) == 1


async def test_what_was_cut_short_by_the_end_is_sent_again_with_its_id(receiver: Receiver) -> None:
    started = asyncio.Event()

    async def hang_once(_request: Any) -> Any:
        started.set()
        await asyncio.get_running_loop().create_future()

    receiver.script = [hang_once, says(200)]
    desk = Desk(Channel("bus", receiver.url))
    writer = asyncio.create_task(desk.notifier.write())
    desk.say()
    await asyncio.wait_for(started.wait(), 5)
    writer.cancel()
    await asyncio.gather(writer, return_exceptions=True)
    await desk.done()
    assert len({got.headers["webhook-id"] for got in receiver.got}) == 1
    assert desk.counts == {("bus", "sent"): 1}


@pytest.mark.parametrize("content", [None, "", "ftp://x", "not an address", "http://"])
async def test_an_address_that_cannot_be_used_is_not_said_aloud(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: str | None
) -> None:
    address = tmp_path / "url"
    if content is not None:
        address.write_text(content)
    desk = Desk(Channel("oncall", url_file=address))
    desk.say()
    await desk.done()
    assert desk.counts == {("oncall", "failed"): 1}
    (record,) = [each for each in caplog.records if each.levelno == logging.WARNING]
    assert not content or content not in record.getMessage()
    assert str(address) not in record.getMessage()


async def test_addresses_and_keys_stay_out_of_the_log(
    receiver: Receiver, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="fairway")
    (tmp_path / "key").write_bytes(b"whsec_not base64!")
    for channel in (
        Channel("a", f"{receiver.url}/T000/secret-path"),
        Channel("b", receiver.url, signing_key_file=tmp_path / "key"),
    ):
        receiver.script = [says(403)]
        desk = Desk(channel)
        desk.say()
        await desk.done()
        assert desk.counts[channel.name, "failed"] == 1
    ours = "".join(record.getMessage() for record in caplog.records if record.name.startswith("fairway"))
    assert "secret-path" not in ours
    assert "not base64!" not in ours


async def test_no_proxy_of_the_environment_hears_of_it(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Receiver() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        desk = Desk(Channel("bus", receiver.url))
        desk.say()
        await desk.done()
        assert (len(receiver.got), proxy.got) == (1, [])


async def test_a_notice_that_cannot_be_written_does_not_end_the_others(receiver: Receiver) -> None:
    desk = Desk(Channel("bus", receiver.url))
    desk.say(phase=object())
    desk.say(message="kept")
    await desk.done()
    assert desk.counts == {("bus", "failed"): 1, ("bus", "sent"): 1}
    assert len(receiver.got) == 1


async def test_certificates_that_cannot_be_read_are_named_with_their_channel(tmp_path: Path) -> None:
    nothing = tmp_path / "ca.crt"
    for _ in range(2):
        with pytest.raises(ValueError, match=r"the notification 'bus': caFile: .* cannot be read, or holds no cert"):
            Notifier([Channel("bus", "https://bus.example", ca_file=str(nothing))])
        nothing.write_text("no certificate")
