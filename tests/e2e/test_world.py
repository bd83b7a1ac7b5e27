"""The world is rough: drift, strangers, contested hostnames, gateways that come and go, metrics that are not there."""

import asyncio
import json
import time
from typing import Any

import pytest

from tests.e2e.harness import Manifest, Namespace, condition, serves
from tests.e2e.programs import kubectl
from tests.e2e.specs import ONE, standin

pytestmark = pytest.mark.e2e


def routed(ns: Namespace, version: str, **more: Any) -> dict[str, Any]:
    """A spec behind the gateway."""
    return standin(version, **{"traffic": {"hostnames": [ns.host]}, **more})


async def test_s34_s37_what_is_edited_or_deleted_by_hand_is_restored(ns: Namespace) -> None:
    """Given a model, when its children are edited and deleted by hand, then they come back as they were."""
    await ns.apply(routed(ns, "1.0.0"))
    status = await ns.healthy("1.0.0")
    child = f"churn-{status['stable']['revision']}"
    meant = (await ns.get("service", child))["spec"]["selector"]
    await kubectl("-n", ns.name, "scale", f"deployment/{child}", "--replicas=1")
    await kubectl("-n", ns.name, "delete", "httproute/churn", "service/churn", f"pdb/{child}", "--wait=false")
    backend = {"spec": {"selector": {"app": "stolen"}}}
    await kubectl("-n", ns.name, "patch", f"service/{child}", "-p", json.dumps(backend))
    await _until(ns, "deployment", child, lambda o: o["spec"]["replicas"] == 2)
    await _until(ns, "httproute", "churn", lambda o: o["spec"]["hostnames"] == [ns.host])
    await _until(ns, "service", "churn", lambda o: "fairway.dev/revision" in o["spec"]["selector"])
    await _until(ns, "service", child, lambda o: o["spec"]["selector"] == meant)
    route = (await ns.get("httproute"))["spec"]
    by_hand = {
        "type": "RequestHeaderModifier",
        "requestHeaderModifier": {"set": [{"name": "x-by", "value": "hand"}]},
    }
    bent = {"spec": {"rules": [{**route["rules"][0], "filters": [by_hand]}]}}
    await kubectl("-n", ns.name, "patch", "httproute/churn", "--type=merge", "-p", json.dumps(bent))
    await _until(ns, "httproute", "churn", lambda o: o["spec"] == route)
    await kubectl("-n", ns.name, "delete", f"deployment/{child}")
    await _until(ns, "deployment", child, lambda o: o["spec"]["replicas"] == 2)
    await ns.healthy("1.0.0")


async def test_s33_s34_the_autoscaler_owns_the_size_and_both_tracks_have_one(ns: Namespace) -> None:
    """Given stable at 4 by load, when 1.1.0 comes, then it starts with its share and promotion does not shrink."""
    scaling = {"minReplicas": 1, "maxReplicas": 5, "behavior": {"scaleDown": {"selectPolicy": "Disabled"}}}
    await ns.apply(routed(ns, "1.0.0", scaling=scaling))
    status = await ns.healthy("1.0.0")
    stable = f"churn-{status['stable']['revision']}"
    await kubectl("-n", ns.name, "scale", f"deployment/{stable}", "--replicas=4")
    await ns.until("4 ready", lambda s: s["stable"]["ready"] == 4)
    steps = {"steps": [{"weight": 50, "for": "2s"}]}
    await ns.apply(routed(ns, "1.1.0", scaling=scaling, rollout=steps))
    status = await ns.until("50 %", lambda s: s.get("candidate", {}).get("weight") == 50)
    assert status["candidate"]["ready"] >= 2
    assert (await ns.get("hpa", stable))["spec"]["minReplicas"] == 4
    status = await ns.healthy("1.1.0")
    assert status["stable"]["ready"] >= 4
    assert status["hold"]["replicas"] >= 4


async def test_s34_kubectl_scale_is_followed_or_refused(ns: Namespace) -> None:
    """Given a size that people set, then `kubectl scale` sets it; given an autoscaler, it is refused with why."""
    await ns.apply(routed(ns, "1.0.0"))
    await ns.healthy("1.0.0")
    await kubectl("-n", ns.name, "scale", "md/churn", "--replicas=3")
    await ns.until("3 ready", lambda s: s["stable"]["ready"] == 3)
    scaling = {"scaling": {"replicas": 1, "external": True}}
    await ns.apply(routed(ns, "1.0.0", **scaling))
    await ns.until("1 left", lambda s: s["stable"]["replicas"] == 1)
    await kubectl("-n", ns.name, "scale", "md/churn", "--replicas=2")
    await ns.until("2 ready", lambda s: s["stable"]["ready"] == 2)
    await ns.apply(standin("1.0.0", scaling={"minReplicas": 1, "maxReplicas": 3}), name="auto")
    said = await kubectl("-n", ns.name, "scale", "md/auto", "--replicas=3", check=False)
    assert "minReplicas" in said


async def test_s38_a_stranger_of_our_name_is_not_adopted(ns: Namespace) -> None:
    """Given somebody's Service named churn, when the model is created, then it says so and the Service is untouched."""
    await kubectl("-n", ns.name, "create", "service", "clusterip", "churn", "--tcp=80")
    before = await ns.get("service")
    await ns.apply(standin("1.0.0"))
    status = await ns.until("refused", lambda s: "not ours" in s.get("message", ""))
    assert condition(status, "Stalled") == ("True", "WriteRefused")
    assert (await ns.get("service"))["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
    await kubectl("-n", ns.name, "delete", "service", "churn")
    await ns.healthy("1.0.0")


async def test_s39_the_first_claim_keeps_the_hostname(ns: Namespace) -> None:
    """Given a model with a hostname, when a second one claims it, then the first keeps it and the second says so."""
    await ns.apply(routed(ns, "1.0.0"))
    await ns.healthy("1.0.0")
    await asyncio.sleep(1.1)  # creation times have seconds
    await ns.apply(routed(ns, "1.0.0"), name="second")
    status = await ns.until(
        "the conflict", lambda s: condition(s, "RouteReady") == ("False", "HostnameConflict"), name="second"
    )
    assert f"{ns.name}/churn already serves {ns.host}/" in json.dumps(status["conditions"])
    assert [route["metadata"]["name"] for route in await ns.items("httproutes")] == ["churn"]
    await kubectl("-n", ns.name, "delete", "md", "churn")
    await ns.until("it is free", lambda s: condition(s, "RouteReady") == ("True", "Accepted"), name="second")


async def test_s40_s41_a_gateway_that_is_not_there_holds_runs_and_is_picked_up(ns: Namespace) -> None:
    """Given a gateway that does not exist, then the first version serves by its Service; when it comes, runs go on."""
    traffic = {"hostnames": [ns.host], "gateway": {"name": "later", "namespace": ns.name}}
    steps = {"steps": [{"weight": 20, "for": "1s"}]}
    await ns.apply(routed(ns, "1.0.0", traffic=traffic))
    status = await ns.healthy("1.0.0")
    assert condition(status, "RouteReady") == ("False", "NoGateway")
    await ns.apply(routed(ns, "1.1.0", traffic=traffic, rollout=steps))
    await ns.until("the run holds", lambda s: "NoGateway" in s["message"] and s["phase"] == "Progressing")
    await asyncio.sleep(3)  # not a hope: the time in which nothing may happen
    assert serves(await ns.status()) == "1.0.0"
    gateway: Manifest = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "Gateway",
        "metadata": {"name": "later", "namespace": ns.name},
        "spec": {
            "gatewayClassName": "traefik",
            "listeners": [{"name": "web", "protocol": "HTTP", "port": 8000}],
        },
    }
    await kubectl("apply", "-f", "-", stdin=json.dumps(gateway))
    await ns.healthy("1.1.0")


async def test_s41_a_route_that_the_gateway_refuses_holds_with_its_words(ns: Namespace) -> None:
    """Given a listener that takes other hostnames only, when a run opens, then it holds and quotes the gateway."""
    gateway: Manifest = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "Gateway",
        "metadata": {"name": "narrow", "namespace": ns.name},
        "spec": {
            "gatewayClassName": "traefik",
            "listeners": [{"name": "web", "protocol": "HTTP", "port": 8000, "hostname": "only.example"}],
        },
    }
    await kubectl("apply", "-f", "-", stdin=json.dumps(gateway))
    traffic = {"hostnames": [ns.host], "gateway": {"name": "narrow", "namespace": ns.name}}
    steps = {"steps": [{"weight": 20, "for": "1s"}]}
    await ns.apply(routed(ns, "1.0.0", traffic=traffic))
    status = await ns.until("refused", lambda s: (condition(s, "RouteReady") or ("", ""))[0] == "False")
    await ns.healthy("1.0.0")
    await ns.apply(routed(ns, "1.1.0", traffic=traffic, rollout=steps))
    await ns.until("it holds", lambda s: "the route" in s["message"] and s["phase"] == "Progressing")
    status = await ns.status()
    assert serves(status) == "1.0.0"
    assert status["run"]["unconfirmed"]


async def test_s50_metrics_that_cannot_be_seen_are_said_before_any_canary(ns: Namespace) -> None:
    """Given objectives on series that do not exist, when 1.0.0 is ready, then MetricsReady says so at once."""
    spec = routed(ns, "1.0.0", objectives=[{"name": "errors", "errors": {"below": "1%"}}])
    spec["runtime"]["metrics"] = {
        "series": {"requests": {"metric": "no_such_requests_total", "failure": [{"label": "status", "value": "500"}]}}
    }
    await ns.apply(spec)
    status = await ns.until("NoData", lambda s: condition(s, "MetricsReady") == ("False", "NoData"))
    assert "no_such_requests_total" in json.dumps(status["conditions"])
    assert serves(status) == "1.0.0"


async def test_pods_that_the_namespace_refuses_are_waited_for_and_say_why(ns: Namespace) -> None:
    """Given Pod Security, then a quota that is full, then both are named; with a user, and with room, it goes on."""
    await kubectl("label", "namespace", ns.name, "pod-security.kubernetes.io/enforce=restricted")
    await ns.apply(standin("1.0.0", **ONE))
    await ns.until("its words", lambda s: 'violates PodSecurity "restricted' in s.get("message", ""))

    def named(version: str, **more: Any) -> dict[str, Any]:
        made = standin(version, **ONE, **more)
        return {**made, "runtime": {**made["runtime"], "securityContext": {"runAsNonRoot": True, "runAsUser": 65532}}}

    await ns.apply(named("1.0.0"))
    await ns.healthy("1.0.0")
    await kubectl("-n", ns.name, "create", "quota", "one", "--hard=pods=1")
    await ns.apply(named("1.1.0", rollout={"steps": [], "watch": {"for": "0s"}, "deadlines": {"schedule": "5s"}}))
    status = await ns.until("it waits", lambda s: condition(s, "Paused") == ("True", "PodsRefused"))
    assert "quota" in status["message"]
    assert serves(status) == "1.0.0"
    assert "quota" in await ns.told("Paused")
    await kubectl("-n", ns.name, "delete", "quota", "one")
    await ns.healthy("1.1.0")


@pytest.mark.alone
async def test_s5_deletion_while_the_operator_is_down(ns: Namespace) -> None:
    """Given no operator, when the model and then its namespace are deleted, then nothing hangs."""
    await ns.apply(routed(ns, "1.0.0"))
    await ns.healthy("1.0.0")
    await kubectl("-n", "fairway-system", "scale", "deployment/fairway", "--replicas=0")
    try:
        await kubectl("-n", ns.name, "delete", "md", "churn", "--timeout=90s")
        for kind in ("deployments", "services", "httproutes"):
            await kubectl("-n", ns.name, "wait", kind, "--all", "--for=delete", "--timeout=180s")
    finally:
        await kubectl("-n", "fairway-system", "scale", "deployment/fairway", "--replicas=2")
        await kubectl("-n", "fairway-system", "rollout", "status", "deployment/fairway", "--timeout=180s")


async def _until(ns: Namespace, kind: str, name: str, holds: Any, seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if any(holds(item) for item in await ns.items(kind) if item["metadata"]["name"] == name):
            return
        await asyncio.sleep(0.3)
    raise AssertionError(f"{kind} {name} was not restored\n{await ns.story()}")
