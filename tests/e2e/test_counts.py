"""What is counted is what was sent, to the request, and too little of it or too much of the same convicts nobody."""

import asyncio
import time
from datetime import datetime
from typing import Any

import aiohttp
import pytest

from tests.e2e.harness import Namespace, condition, serves
from tests.e2e.loading import plan, sample
from tests.e2e.programs import kubectl
from tests.e2e.specs import model, standin
from tests.load.generator import Load
from tests.load.result import Result

pytestmark = pytest.mark.e2e
loaded = pytest.mark.load

ERRORS = {"name": "errors", "errors": {"below": "2%"}}
LATENCY = {"name": "latency", "latency": {"percentile": 90, "below": "250ms"}}
HELD = [{"weight": 20, "for": "15m"}]
REFRESH = 180.0
"""Seconds in which a status shows all that was answered, on a slow machine: scrapes, a look, and 30 s of patience."""


def routed(ns: Namespace, version: str, *objectives: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A spec behind the gateway, judged by its errors unless said otherwise."""
    judged = {"objectives": list(objectives) or [ERRORS], "traffic": {"hostnames": [ns.host]}}
    return model(version, **{"rollout": {"steps": HELD}, **judged, **more})


async def up(ns: Namespace, *objectives: dict[str, Any], **more: Any) -> None:
    """Given version 1.0.0 behind the gateway, and scraped for a while.

    A pod counts from 0 if it is surely new, and that is sure only once the samples reach back before its birth.
    """
    await ns.apply(routed(ns, "1.0.0", *objectives, **more))
    await ns.healthy("1.0.0")
    await ns.answers()
    await ns.until("it is measured", lambda s: condition(s, "MetricsReady") == ("True", "Measured"))


async def canary(ns: Namespace, *objectives: dict[str, Any], weight: int = 20, **more: Any) -> None:
    """Given version 1.1.0 beside it, held at its weight."""
    await ns.apply(routed(ns, "1.1.0", *objectives, **more))
    await ns.until("it has its weight", lambda s: s.get("candidate", {}).get("weight") == weight)


def counted(status: dict[str, Any], name: str = "errors") -> dict[str, Any]:
    """What the status says of one objective."""
    found = status.get("verdict", {}).get("objectives", ())
    return next((each for each in found if each["name"] == name), {})


def state(status: dict[str, Any]) -> str:
    return str(status.get("verdict", {}).get("state", ""))


async def load(ns: Namespace, seconds: float, rate: float = 40.0, url: str | None = None) -> Result:
    """Send so much, wait for all answers."""
    async with Load(plan(url or ns.url, rate, seconds, host=None if url else ns.host)) as running:
        return await running.wait()


def percent(share: float) -> str:
    """As the status writes it."""
    return f"{share * 100:.2g}%" if share < 0.1 else f"{share * 100:.3g}%"


async def told(ns: Namespace, result: Result) -> dict[str, Any]:
    """Wait until as many requests are told as were answered; return what then is known of the errors."""
    sent = result.by_version["1.1.0"]["requests"]
    status = await ns.until(f"{sent} requests", lambda s: counted(s).get("requests", 0) >= sent, REFRESH)
    assert counted(status)["requests"] == sent
    return counted(status)


@pytest.mark.long
@loaded
async def test_s31_the_numbers_are_those_of_the_load(ns: Namespace) -> None:
    """Given a limit that nobody breaks, when some answers fail and some are slow, then exactly so many are told."""
    generous = {"name": "errors", "errors": {"below": "60%"}}
    slow = {"name": "latency", "latency": {"percentile": 20, "below": "2500ms"}}  # far from what a busy machine adds
    await up(ns, generous, slow)
    faults = {"FAULT_ERROR_SHARE": "0.3", "FAULT_LATENCY": "6", "FAULT_LATENCY_SHARE": "0.3"}
    await canary(ns, generous, slow, env=faults)
    result = await load(ns, 45)
    errors = await told(ns, result)
    seen = result.by_version["1.1.0"]
    assert result.losses == []
    assert errors["value"] == percent(seen["injected"] / seen["requests"])
    status = await ns.status()
    late = sum(sample.version == "1.1.0" and sample.latency > 2.5 for sample in result.samples)
    assert counted(status, "latency")["value"].endswith("slower than 2.5s")
    share = float(counted(status, "latency")["value"].partition("%")[0]) / 100
    # The client sees what the network adds, and two intervals of latency are left out for cold caches.
    assert share == pytest.approx(late / seen["requests"], abs=0.12)


@pytest.mark.long
@loaded
async def test_s30_a_restart_and_new_pods_are_counted_exactly(ns: Namespace) -> None:
    """Given counted requests, when the candidate's counters begin anew and pods come, then the sum stays exact."""
    generous = {"name": "errors", "errors": {"below": "60%"}}
    await up(ns, generous)
    env = {"FAULT_ERROR_SHARE": "0.2"}
    await canary(ns, generous, env=env)
    first = await load(ns, 20)
    await told(ns, first)
    (pod,) = await ns.pods("1.1.0")
    # SIGTERM to the server: it ends well, and the kubelet starts the container again with counters at 0.
    await kubectl("-n", ns.name, "exec", pod["metadata"]["name"], "--", "python3", "-c", "import os; os.kill(1, 15)")
    await _restarted(ns)
    await ns.apply(routed(ns, "1.1.0", generous, env=env, scaling={"replicas": 8}))
    async with ns.load(40) as running:
        await asyncio.gather(
            asyncio.sleep(40),
            ns.until("pods come while requests do", lambda s: s["candidate"].get("ready", 0) >= 2, 240),
        )
        second = await running.stop()
    sums = [result.by_version["1.1.0"] for result in (first, second)]
    sent, failed = (sum(each[key] for each in sums) for key in ("requests", "injected"))
    status = await ns.until(f"{sent} requests", lambda s: counted(s).get("requests", 0) >= sent, REFRESH)
    assert counted(status)["requests"] == sent
    assert counted(status)["value"] == percent(failed / sent)
    assert first.losses == second.losses == []


async def _restarted(ns: Namespace, seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while True:
        (pod,) = await ns.pods("1.1.0")
        (container,) = pod["status"]["containerStatuses"]
        if container["restartCount"] == 1 and container["ready"]:
            return
        assert time.monotonic() < end, await ns.story()
        await asyncio.sleep(0.5)


@pytest.mark.long
async def test_s28_without_requests_nothing_is_decided(ns: Namespace) -> None:
    """Given a candidate with weight, when nobody asks it anything for two minutes, then it waits and says so."""
    await up(ns)
    await canary(ns)
    status = await ns.until("no traffic", lambda s: state(s) == "NoTraffic")
    assert status["candidate"]["weight"] == 20
    assert serves(status) == "1.0.0"
    assert "no requests for" in status["verdict"]["message"]


@pytest.mark.long
async def test_s28_a_bad_answer_of_a_few_convicts_nobody(ns: Namespace) -> None:
    """Given a candidate, when it has answered a few requests and failed some, then that is told and nothing done."""
    await up(ns)
    await canary(ns, env={"FAULT_ERROR_SHARE": "0.34"})
    address = (await ns.get("service", f"churn-{(await ns.status())['candidate']['revision']}"))["spec"]["clusterIP"]
    statuses: list[int] = []
    async with aiohttp.ClientSession() as session, asyncio.timeout(90):
        while len(statuses) < 3 or 500 not in statuses:
            headers = {"Content-Type": "application/json"}
            try:
                async with session.post(f"http://{address}/predict", headers=headers, data=sample()) as answer:
                    statuses.append(answer.status)
            except aiohttp.ClientConnectorError:
                await asyncio.sleep(0.2)  # nobody listens at the address of the Service yet
    sent = len(statuses)
    status = await ns.until(f"{sent} requests", lambda s: counted(s).get("requests") == sent, REFRESH)
    assert counted(status)["value"] == percent(statuses.count(500) / sent)
    assert (state(status), status["candidate"]["weight"]) == ("Undecided", 20)


@loaded
async def test_s28_both_bad_alike_is_a_shared_outage(ns: Namespace) -> None:
    """Given a stable version that fails as often, when the candidate breaks the limit, then the run waits."""
    env = {"FAULT_ERROR_SHARE": "0.2"}
    await ns.apply(routed(ns, "1.0.0", env=env))
    await ns.healthy("1.0.0")
    await ns.answers()
    async with ns.load(60) as running:
        await canary(ns, env=env)
        status = await ns.until("it is shared", lambda s: state(s) == "SharedDegradation")
        assert (status["candidate"]["weight"], serves(status)) == (20, "1.0.0")
        result = await running.stop()
    assert result.losses == []


@loaded
async def test_s28_the_wrong_share_of_the_requests_stops_the_promotion(ns: Namespace) -> None:
    """Given a weight of 5, when the candidate gets a third of all requests, then nothing is promoted and it is said."""
    steps = {"rollout": {"steps": [{"weight": 5, "for": "15m"}]}}
    await up(ns, **steps)
    await canary(ns, weight=5, **steps)
    address = (await ns.get("service", f"churn-{(await ns.status())['candidate']['revision']}"))["spec"]["clusterIP"]
    beside = Load(plan(f"http://{address}/predict", 20))
    async with ns.load(40) as running, beside:
        status = await ns.until("a mismatch", lambda s: state(s) == "SampleRatioMismatch")
        await running.stop()
        await beside.stop()
    assert "at weight 5" in status["verdict"]["message"]
    assert (status["candidate"]["weight"], serves(status)) == (5, "1.0.0")


@pytest.mark.long
async def test_s32_a_slow_loader_keeps_its_time_at_every_step(ns: Namespace) -> None:
    """Given a model that loads for 90 s, when it is tried for 8 s, then they begin when it has its weight."""
    served = {"traffic": {"hostnames": [ns.host]}}  # no requests, no verdict: time alone decides here
    plan = {"rollout": {"steps": [{"weight": 50, "for": "8s"}], "watch": {"for": "0s"}}}
    await ns.apply(standin("1.0.0", **served))
    await ns.healthy("1.0.0")
    began = time.monotonic()
    await ns.apply(standin("1.1.0", env={"LOAD_SECONDS": "90"}, **served, **plan))
    await ns.until("50 %", lambda s: s.get("candidate", {}).get("weight") == 50)
    assert time.monotonic() - began >= 90
    status = await ns.healthy("1.1.0")  # the pods that it still needs load for 90 s, too
    assert condition(status, "UpToDate") == ("True", "Promoted")
    await ns.told("Promoted")
    events = [each for each in await ns.items("events") if each["involvedObject"]["kind"] == "ModelDeployment"]
    given, taken = (
        max(_at(each) for each in events if each["reason"] == reason) for reason in ("WeightChanged", "Promoted")
    )
    assert taken - given >= 7  # whole seconds are told


def _at(event: dict[str, Any]) -> float:
    return datetime.fromisoformat(event.get("eventTime") or event["lastTimestamp"]).timestamp()
