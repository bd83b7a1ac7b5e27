"""The main job on the real cluster: a good version takes over, a bad one takes itself out, nobody loses a request."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from tests.e2e.harness import Namespace, condition, epoch, serves
from tests.e2e.programs import kubectl
from tests.e2e.release import OPERATOR
from tests.e2e.specs import model
from tests.load.result import Result

pytestmark = pytest.mark.e2e
loaded = pytest.mark.load

STEPS = [{"weight": 20, "for": "8s"}, {"weight": 50, "for": "8s"}]
ERRORS = [{"name": "errors", "errors": {"below": "2%"}}]
SETTLE = 3.0
"""Seconds that a router has to take the weights, before a step's own."""


def judged(ns: Namespace, version: str, env: dict[str, str] | None = None, **rollout: Any) -> dict[str, Any]:
    """A spec with objectives and steps behind the gateway."""
    plan = {"steps": STEPS, "watch": {"for": "15s"}, **rollout}
    return model(version, env=env, objectives=ERRORS, traffic={"hostnames": [ns.host]}, rollout=plan)


async def up(ns: Namespace) -> None:
    """Given version 1.0.0 behind the gateway."""
    await ns.apply(judged(ns, "1.0.0"))
    await ns.healthy("1.0.0")
    await ns.answers()


@pytest.mark.long
@loaded
async def test_s6_s7_s55_a_good_version_takes_over_step_by_step(ns: Namespace) -> None:
    """Given load, when 1.1.0 is applied, then 20, 50, 100; the same pods serve and no request is lost."""
    await up(ns)
    async with ns.load(100) as load:
        await ns.apply(judged(ns, "1.1.0"))
        await ns.until("20 %", lambda s: s.get("candidate", {}).get("weight") == 20)
        tried = {pod["metadata"]["uid"] for pod in await ns.pods("1.1.0")}
        entry = (await ns.get("service"))["spec"]["selector"]["fairway.dev/revision"]
        assert entry == (await ns.status())["stable"]["revision"]
        await ns.until("50 %", lambda s: s.get("candidate", {}).get("weight") == 50)
        await ns.until("1.1.0 is stable", lambda s: serves(s) == "1.1.0")
        status = await ns.until("the old pods are gone", lambda s: not s.get("retiring") and not s.get("former"))
        result = await load.stop()
    assert result.losses == []
    assert tried <= {pod["metadata"]["uid"] for pod in await ns.pods("1.1.0")}
    assert [entry["outcome"] for entry in status["history"]] == ["Promoted", "Promoted"]
    _assert_split(ns, result)
    await ns.told("WatchEnded")
    reasons = [reason for reason, _ in await ns.events()]
    assert reasons == [
        "RunStarted",
        "Promoted",
        "RunStarted",
        "WeightChanged",
        "WeightChanged",
        "Promoted",
        "WatchEnded",
    ]


def _assert_split(ns: Namespace, result: Result) -> None:
    """While a step took its time, its share of the answers came from 1.1.0."""
    runs = [status["run"] for status in ns.seen["churn"] if "run" in status]
    # The last that is said of a step: its time begins anew when the router was late to confirm it.
    since = {
        run["step"]: epoch(run["since"]) for run in runs if run["stage"] == "Observing" and not run.get("unconfirmed")
    }
    for step, (low, high) in enumerate(((0.1, 0.3), (0.4, 0.6))):
        began = since[step] + SETTLE
        seen = [sample.version for sample in result.samples if began <= sample.done < began + 8]
        assert len(seen) >= 50
        assert low <= seen.count("1.1.0") / len(seen) <= high, (step, Counter(seen))


@loaded
async def test_s22_a_bad_version_is_out_fast_and_stays_out(ns: Namespace) -> None:
    """Given load, when half of 1.2.0's answers fail at 5 %, then its weight is 0 at once and every number is told."""
    await up(ns)
    async with ns.load(100) as load:
        await ns.apply(judged(ns, "1.2.0", {"FAULT_ERROR_SHARE": "0.5"}, steps=[{"weight": 5, "for": "2m"}]))
        status = await ns.until("1.2.0 is rolled back", lambda s: s.get("phase") == "RolledBack")
        await asyncio.sleep(5)  # the router's own delay, and time for a mistaken retry to show
        result = await load.stop()
    assert result.lost == 0
    assert result.by_version["1.2.0"]["injected"] > 0
    assert serves(status) == "1.0.0"
    assert condition(status, "UpToDate") == ("False", "Regressed")
    assert condition(status, "Ready") == ("True", "Serving")
    verdict = status["verdict"]["objectives"][0]
    assert (verdict["state"], verdict["limit"]) == ("Regressed", "2%")
    await ns.weighs({"1.0.0": 100})
    assert "evidence 10^" in await ns.told("RolledBack")
    last = max(sample.done for sample in result.samples if sample.version == "1.2.0")
    first = result.first_bad_answer("1.2.0")
    assert first is not None
    print(f"1.2.0: {last - first:.1f} s from its first bad answer to its last answer")


async def test_s25_an_image_that_does_not_exist_never_gets_weight(ns: Namespace) -> None:
    """Given a model that serves, when the next image cannot be pulled, then it is rejected and the cause named."""
    await up(ns)
    spec = judged(ns, "1.4.0", deadlines={"ready": "40s", "pull": "10s"})
    spec["runtime"]["image"] = "registry.example/churn:1.4.0"
    await ns.apply(spec)
    status = await ns.until("the pull failure is named", lambda s: "ImagePull" in s.get("message", ""))
    assert status["candidate"]["weight"] == 0
    status = await ns.until("1.4.0 is rejected", lambda s: s.get("phase") == "RolledBack")
    assert "registry.example/churn:1.4.0" in status["message"]
    assert serves(status) == "1.0.0"
    await ns.weighs({"1.0.0": 100})


@loaded
async def test_s26_a_crash_takes_the_weight_before_the_metrics_know(ns: Namespace) -> None:
    """Given a candidate with weight, when its only pod crashes for good, then it is out although no verdict said so."""
    await up(ns)
    async with ns.load() as load:
        await ns.apply(judged(ns, "1.3.0", {"FAULT_CRASH": "request:150"}, steps=[{"weight": 20, "for": "5m"}]))
        await ns.until("20 %", lambda s: s.get("candidate", {}).get("weight") == 20)
        status = await ns.until("it is out", lambda s: s.get("phase") == "RolledBack")
        await load.stop()
    assert condition(status, "UpToDate") == ("False", "Crashed")
    assert "exit code" in status["message"]
    assert serves(status) == "1.0.0"


@pytest.mark.alone
async def test_p4_killing_the_operator_in_mid_run_changes_nothing_but_time(ns: Namespace) -> None:
    """Given an open run, when every operator pod is killed, then a successor goes on and no request is lost."""
    await up(ns)
    async with ns.load(100) as load:
        await ns.apply(judged(ns, "1.1.0"))
        await ns.until("20 %", lambda s: s.get("candidate", {}).get("weight") == 20)
        pods = "-l", "app.kubernetes.io/name=fairway"
        await kubectl("-n", OPERATOR, "delete", "pods", *pods, "--grace-period=0", "--force")
        await ns.until("1.1.0 is stable", lambda s: serves(s) == "1.1.0")
        result = await load.stop()
    assert result.losses == []
    status = await ns.status()
    assert [entry["outcome"] for entry in status["history"]] == ["Promoted", "Promoted"]
    assert status["runs"] == 2
