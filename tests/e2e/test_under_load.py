"""Harder moments under load: requests in flight, a change of mind, a late breach, a slow model, a killed operator."""

import asyncio
import json
from typing import Any

import aiohttp
import pytest

from tests.e2e.harness import Namespace, condition, epoch, serves
from tests.e2e.loading import plan, sample
from tests.e2e.programs import kubectl
from tests.e2e.release import OPERATOR
from tests.e2e.specs import ONE, model
from tests.load.generator import Load

pytestmark = pytest.mark.e2e
loaded = pytest.mark.load

QUICK = [{"weight": 50, "for": "2s"}]
HELD = [{"weight": 50, "for": "10m"}]


def routed(ns: Namespace, version: str, *, env: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
    """A spec behind the gateway."""
    return model(version, env=env, **{"traffic": {"hostnames": [ns.host]}, **more})


async def up(ns: Namespace, **more: Any) -> None:
    """Given version 1.0.0 behind the gateway."""
    await ns.apply(routed(ns, "1.0.0", **more))
    await ns.healthy("1.0.0")
    await ns.answers()


@loaded
async def test_s8_requests_in_flight_complete(ns: Namespace) -> None:
    """Given a stream of 40 s and held answers of 10 s on stable, when it is replaced and retired, all complete."""
    await up(ns)
    headers = {"Host": ns.host, "Content-Type": "application/json"}
    base = ns.url.removesuffix("/predict")

    async def stream(session: aiohttp.ClientSession) -> int:
        async with session.get(f"{base}/stream?seconds=40", headers=headers) as answer:
            return len((await answer.text()).splitlines())

    async def hold(session: aiohttp.ClientSession) -> int:
        async with session.post(f"{base}/predict?hold=10", headers=headers, data=sample()) as answer:
            await answer.read()
            return answer.status

    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=120)) as session:
        long = [asyncio.create_task(stream(session)), *(asyncio.create_task(hold(session)) for _ in range(5))]
        await ns.apply(routed(ns, "1.1.0", rollout={"steps": [], "watch": {"for": "0s"}}))
        await ns.healthy("1.1.0")
        held = [asyncio.create_task(hold(session)) for _ in range(5)]
        assert (await asyncio.gather(*long))[0] >= 40
        assert {await task for task in [*long[1:], *held]} == {200}


@pytest.mark.long
@loaded
async def test_s13_a_change_of_mind_at_half_weight_loses_nothing(ns: Namespace) -> None:
    """Given a candidate at 50 under load, when another version is asked for, then 0 at once and nothing is lost."""
    await up(ns)
    async with ns.load() as load:
        await ns.apply(routed(ns, "1.1.0", rollout={"steps": HELD}))
        await ns.until("50 %", lambda s: s.get("candidate", {}).get("weight") == 50)
        await asyncio.sleep(3)  # some traffic on the way out
        await ns.apply(routed(ns, "1.2.0", rollout={"steps": QUICK}))
        status = await ns.until("superseded", lambda s: s["history"][0]["outcome"] == "Superseded")
        assert "1.1.0" not in {t["version"] for t in (status["stable"], status["candidate"])}
        await ns.until("1.2.0 serves", lambda s: serves(s) == "1.2.0" and not s.get("retiring"))
        result = await load.stop()
    assert "1.1.0" in result.by_version
    assert result.losses == []


@pytest.mark.long
@loaded
async def test_p1_without_a_gateway_nothing_is_lost(ns: Namespace) -> None:
    """Given no gateway and load on the entry Service, when one version is promoted and one fails, nothing is lost."""
    judged = {"objectives": [{"name": "errors", "errors": {"below": "2%"}}]}
    steps = {"rollout": {"steps": [{"weight": 50, "for": "8s"}], "watch": {"for": "5s"}}}
    await ns.apply(model("1.0.0", **judged, **steps))
    await ns.healthy("1.0.0")
    url = f"http://{(await ns.get('service'))['spec']['clusterIP']}/predict"
    await ns.answers(url=url)
    # A Service splits connections, not requests: clients that keep theirs alive stay with the pods they know.
    async with Load(plan(url, 50, headers={"connection": "close"})) as load:
        await ns.apply(model("1.1.0", **judged, **steps))
        await ns.until("1.1.0 serves", lambda s: serves(s) == "1.1.0")
        await ns.until("1.0.0 is gone", lambda s: not s.get("retiring") and not s.get("former"))
        await ns.apply(model("1.2.0", env={"FAULT_ERROR_SHARE": "0.5"}, **judged, **steps))
        await ns.until("1.2.0 is out", lambda s: s["phase"] == "RolledBack")
        await ns.until("its pods are gone", lambda s: not s.get("retiring"))
        result = await load.stop()
    assert result.losses == []
    assert {"1.0.0", "1.1.0", "1.2.0"} <= set(result.by_version)
    assert result.by_version["1.2.0"]["injected"] > 0


@loaded
async def test_s24_a_breach_in_the_watch_window_returns_at_once(ns: Namespace) -> None:
    """Given a promotion without steps, when the new version fails under load, then the warm former one is back."""
    judged = {"objectives": [{"name": "errors", "errors": {"below": "2%"}}]}
    steps = {"rollout": {"steps": [], "watch": {"for": "10m"}}}
    await up(ns, **judged, **steps)
    async with ns.load() as load:
        await ns.apply(routed(ns, "1.1.0", env={"FAULT_ERROR_SHARE": "0.3"}, **judged, **steps))
        await ns.until("promoted", lambda s: serves(s) == "1.1.0")
        status = await ns.until("back", lambda s: serves(s) == "1.0.0" and s["phase"] == "RolledBack")
        await asyncio.sleep(3)  # the router's own delay
        result = await load.stop()
    assert result.losses == []
    assert condition(status, "UpToDate") == ("False", "Regressed")
    assert status["history"][0]["outcome"] == "RolledBack"


@loaded
async def test_a_crash_in_the_watch_window_returns_at_once(ns: Namespace) -> None:
    """Given a promotion without steps, when the new version's pod crashes under load, then the warm one is back."""
    watched = {**ONE, "rollout": {"steps": [], "watch": {"for": "10m"}}}
    await up(ns, **watched)
    async with ns.load(20) as load:
        await ns.apply(routed(ns, "1.1.0", env={"FAULT_CRASH": "request:200"}, **watched))
        await ns.until("promoted", lambda s: serves(s) == "1.1.0")
        status = await ns.until("back", lambda s: serves(s) == "1.0.0" and s["phase"] == "RolledBack")
        await load.stop()
    assert condition(status, "UpToDate") == ("False", "Crashed")
    await ns.answers()


@loaded
async def test_s23_s27_a_slow_version_is_out_although_stable_is_partly_unready(ns: Namespace) -> None:
    """Given a latency objective and one of stable's pods gone, when 1.3.0 is slow, then it is out."""
    judged = {"objectives": [{"name": "latency", "latency": {"percentile": 90, "below": "1s"}}]}
    await up(ns, **judged)
    async with ns.load() as load:
        slow = {"FAULT_LATENCY": "2"}
        steps = {"rollout": {"steps": [{"weight": 30, "for": "5m"}]}}
        await ns.apply(routed(ns, "1.3.0", env=slow, **judged, **steps))
        await ns.until("30 %", lambda s: s.get("candidate", {}).get("weight") == 30)
        first = (await ns.pods("1.0.0"))[0]["metadata"]["name"]
        await kubectl("-n", ns.name, "delete", "pod", first, "--wait=false")
        status = await ns.until("it is out", lambda s: s["phase"] == "RolledBack")
        await load.stop()
    assert condition(status, "UpToDate") == ("False", "Regressed")
    assert "slower than" in status["message"]


@pytest.mark.alone
async def test_s9_a_step_keeps_its_time_over_a_kill(ns: Namespace) -> None:
    """Given a step of 25 s, when the operator is killed at once, then the step ends about 25 s after it began."""
    await up(ns)
    await ns.apply(routed(ns, "1.1.0", rollout={"steps": [{"weight": 20, "for": "25s"}]}))
    status = await ns.until("20 %", lambda s: s.get("candidate", {}).get("weight") == 20)
    begun = epoch(status["run"]["since"])
    await kubectl(
        "-n", OPERATOR, "delete", "pods", "-l", "app.kubernetes.io/name=fairway", "--grace-period=0", "--force"
    )
    status = await ns.until("the step ends", lambda s: s["run"]["step"] == 1 if "run" in s else True)
    ended = epoch(status["run"]["since"] if "run" in status else status["history"][0]["endedAt"])
    lease = json.loads(await kubectl("-n", OPERATOR, "get", "lease", "fairway", "-o", "json"))["spec"]
    assert ended - begun >= 25
    # A step that began anew with the successor would take 25 s from then on.
    assert ended - max(begun + 25, epoch(lease["acquireTime"])) < 20
