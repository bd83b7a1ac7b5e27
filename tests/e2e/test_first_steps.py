"""The first hour with Fairway: a model comes up, is left alone, goes away."""

import asyncio
import json
import time

import pytest

from tests.e2e import audit
from tests.e2e.harness import Manifest, Namespace, condition, serves
from tests.e2e.programs import kubectl
from tests.e2e.specs import model, standin

pytestmark = pytest.mark.e2e


async def test_s1_s4_a_minimal_model_comes_up_at_full_capacity(ns: Namespace) -> None:
    """Given nothing, when a minimal ModelDeployment is applied, then it serves and says so in every column."""
    await ns.apply(model("1.0.0", env={"MODEL_FORMAT": "sklearn"}))
    await kubectl("-n", ns.name, "wait", "md/churn", "--for=condition=Ready", "--timeout=180s")
    status = await ns.status()
    assert (serves(status), status["phase"], status["stable"]["ready"]) == ("1.0.0", "Healthy", 2)
    assert condition(status, "UpToDate") == ("True", "Promoted")
    services = {service["metadata"]["name"] for service in await ns.items("services")}
    assert services == {"churn", f"churn-{status['stable']['revision']}"}
    shown = await kubectl("get", "md", "-n", ns.name)
    assert "1.0.0" in shown
    assert "Healthy" in shown
    await ns.told("Promoted")
    assert [reason for reason, _ in await ns.events()] == ["RunStarted", "Promoted"]


@pytest.mark.alone
async def test_s3_a_settled_model_is_left_alone(ns: Namespace) -> None:
    """Given a settled model, when it is applied again and the operator restarts, then nothing is written."""
    spec = standin("1.0.0")
    await ns.apply(spec)
    await ns.healthy("1.0.0")
    await _all_is_written(ns)
    before = await _versions(ns)
    mark, began = audit.mark(), time.time()  # the log may be a moment late with what came before
    await ns.apply(spec)
    await kubectl("-n", "fairway-system", "rollout", "restart", "deployment/fairway")
    await kubectl("-n", "fairway-system", "rollout", "status", "deployment/fairway", "--timeout=180s")
    await asyncio.sleep(20)  # not a hope: the time in which nothing may happen
    assert await _versions(ns) == before
    asked = [each for each in audit.requests(mark, ns.name) if each.at >= began]
    assert [str(each) for each in asked if not each.is_read] == []


async def test_s5_deleting_a_model_leaves_nothing_behind(ns: Namespace) -> None:
    """Given a model, when it is deleted, then its children go without a finalizer's help."""
    await ns.apply(standin("1.0.0", traffic={"hostnames": [ns.host]}))
    await ns.healthy("1.0.0")
    await kubectl("-n", ns.name, "delete", "md", "churn", "--timeout=90s")
    for kind in ("deployments", "services", "httproutes", "controllerrevisions", "poddisruptionbudgets"):
        await kubectl("-n", ns.name, "wait", kind, "--all", "--for=delete", "--timeout=180s")
        assert await ns.items(kind) == []


async def test_s16_a_first_revision_that_never_starts_gives_way(ns: Namespace) -> None:
    """Given a first version that crashes, when a good one is applied, then it serves without waiting."""
    await ns.apply(standin("1.0.0", env={"FAULT_CRASH": "start"}))
    status = await ns.until("the crash is named", lambda s: "exit code 1" in s.get("message", ""))
    assert condition(status, "Ready")[0] != "True"
    await ns.apply(standin("1.0.1"))
    status = await ns.healthy("1.0.1")
    assert condition(status, "Ready") == ("True", "Serving")


async def test_hpa_on_both_tracks(ns: Namespace) -> None:
    """Given an autoscaled model, then the HPA owns the replicas and an apply never resets them."""
    scaling = {"minReplicas": 2, "maxReplicas": 4}
    await ns.apply(standin("1.0.0", scaling=scaling))
    status = await ns.healthy("1.0.0")
    name = f"churn-{status['stable']['revision']}"
    hpa = await ns.get("hpa", name)
    assert (hpa["spec"]["minReplicas"], hpa["spec"]["maxReplicas"]) == (2, 4)
    await kubectl("-n", ns.name, "scale", f"deployment/{name}", "--replicas=3")
    await kubectl("-n", ns.name, "label", f"deployment/{name}", "someone=else")
    surge = '{"spec":{"strategy":{"rollingUpdate":{"maxSurge":2}}}}'
    await kubectl("-n", ns.name, "patch", f"deployment/{name}", "-p", surge)
    await _until_surge_is_restored(ns, name)
    live = await ns.get("deployment", name)
    assert live["spec"]["replicas"] >= 2
    assert live["metadata"]["labels"]["someone"] == "else"


async def _all_is_written(ns: Namespace) -> None:
    """Wait for what comes after the status: the Event, and what Kubernetes' own controllers say of the children."""
    await ns.told("Promoted")
    await ns.shows("deployments", lambda found: found and all(map(_is_complete, found)))
    await ns.shows(
        "poddisruptionbudgets", lambda found: [each.get("status", {}).get("currentHealthy") for each in found] == [2]
    )


def _is_complete(deployment: Manifest) -> bool:
    reasons = {each["reason"] for each in deployment.get("status", {}).get("conditions", ())}
    return "NewReplicaSetAvailable" in reasons and deployment["status"].get("availableReplicas") == 2


async def _until_surge_is_restored(ns: Namespace, name: str) -> None:
    async with asyncio.timeout(60):
        while (await ns.get("deployment", name))["spec"]["strategy"]["rollingUpdate"]["maxSurge"] != 1:
            await asyncio.sleep(0.2)


async def _versions(ns: Namespace) -> dict[str, str]:
    kinds = "md,deployments,services,controllerrevisions,pdb"
    items = json.loads(await kubectl("-n", ns.name, "get", kinds, "-o", "json"))["items"]
    return {f"{i['kind']}/{i['metadata']['name']}": i["metadata"]["resourceVersion"] for i in items}
