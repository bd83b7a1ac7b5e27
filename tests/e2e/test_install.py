"""Install, upgrade, go back, remove: what the admin does to the operator, and what models must not notice (P9)."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.e2e.harness import Manifest, Namespace, serves
from tests.e2e.programs import kubectl, run
from tests.e2e.release import OPERATOR, helm_install, leader
from tests.e2e.specs import model, standin

pytestmark = [pytest.mark.e2e, pytest.mark.alone]

OTHER = ("image.tag=next", "settle=5s", "scaleDownDelay=45s", "workers=2", "resources.requests.cpu=60m")
"""What a newer release may bring: another build, other defaults."""


@pytest.fixture
async def release(ns: Namespace) -> AsyncIterator[Namespace]:
    """A namespace for a test that plays with the release; afterwards it is as `make e2e` installed it."""
    try:
        yield ns
    finally:
        await helm_install()
        await leader()


def routed(ns: Namespace, version: str, **more: Any) -> dict[str, Any]:
    """A spec behind the gateway."""
    return model(version, **{"traffic": {"hostnames": [ns.host]}, **more})


async def looked_at(ns: Namespace, name: str) -> None:
    """Wait until whoever leads now has made a pass over everything: a new model comes after those that were there."""
    await leader()
    await ns.apply(standin("1.0.0"), name=name)
    await ns.until("a first model of the new leader", lambda s: s.get("phase") == "Healthy", name=name)


async def picture(ns: Namespace) -> dict[str, Any]:
    """What an upgrade must not change: pods, templates, runs, records, weights."""
    names = ("churn", "held")

    def ours(found: Manifest) -> bool:
        return found["metadata"]["labels"].get("fairway.dev/name") in names

    pods = [pod for pod in await ns.items("pods") if ours(pod)]
    deployments = [each for each in await ns.items("deployments") if ours(each)]
    statuses = {name: await ns.status(name) for name in names}
    return {
        "pods": {
            pod["metadata"]["uid"]: [each["restartCount"] for each in pod["status"].get("containerStatuses", ())]
            for pod in pods
        },
        "templates": {each["metadata"]["name"]: each["spec"]["template"] for each in deployments},
        "generations": {each["metadata"]["name"]: each["metadata"]["generation"] for each in deployments},
        "records": sorted(each["metadata"]["uid"] for each in await ns.items("controllerrevisions") if ours(each)),
        "runs": {name: status["runs"] for name, status in statuses.items()},
        "open": {name: (status.get("run") or {}).get("id") for name, status in statuses.items()},
        "steps": {name: (status.get("run") or {}).get("step") for name, status in statuses.items()},
        "weights": {name: (status.get("candidate") or {}).get("weight") for name, status in statuses.items()},
    }


async def test_p9_an_upgrade_and_the_way_back_restart_no_model_and_open_no_run(release: Namespace) -> None:
    """Given a model under load and one in mid-run, when another build comes and goes, then nothing happens to them."""
    ns = release
    await ns.apply(routed(ns, "1.0.0"))
    await ns.apply(standin("1.0.0"), name="held")
    await ns.healthy("1.0.0")
    await ns.until("held serves", lambda s: s.get("phase") == "Healthy", name="held")
    await ns.apply(standin("1.1.0", rollout={"steps": [{"weight": 50, "for": "1h"}]}), name="held")
    await ns.until("held at 50", lambda s: s.get("candidate", {}).get("weight") == 50, name="held")
    await ns.answers()
    before = await picture(ns)
    old = await leader()
    async with ns.load() as load:
        await helm_install(*OTHER)
        await kubectl("-n", OPERATOR, "rollout", "status", "deployment/fairway", "--timeout=180s")
        await looked_at(ns, "after-upgrade")
        assert await leader() != old
        assert await picture(ns) == before
        await run("helm", "rollback", "fairway", "--namespace", OPERATOR, "--wait", "--timeout", "240s", seconds=300)
        await kubectl("-n", OPERATOR, "rollout", "status", "deployment/fairway", "--timeout=180s")
        await looked_at(ns, "after-rollback")
        assert await picture(ns) == before
        result = await load.stop()
    assert result.losses == []


async def test_models_serve_on_while_nothing_of_the_operator_is_there(release: Namespace) -> None:
    """Given a model under load, when the release is removed, then it serves on, heals, and is taken up again."""
    ns = release
    await ns.apply(routed(ns, "1.0.0"))
    await ns.healthy("1.0.0")
    await ns.answers()
    async with ns.load() as load:
        await run("helm", "uninstall", "fairway", "--namespace", OPERATOR, "--wait", "--timeout", "240s", seconds=300)
        kinds = "clusterroles,clusterrolebindings,validatingadmissionpolicies,validatingadmissionpolicybindings"
        assert await kubectl("get", kinds, "-l", "app.kubernetes.io/instance=fairway", "-o", "name") == ""
        assert serves(await ns.status()) == "1.0.0"
        (gone, _) = await ns.pods("1.0.0")
        await kubectl("-n", ns.name, "delete", "pod", gone["metadata"]["name"], "--wait=false")
        await _ready(ns, 2, but=gone["metadata"]["uid"])
        await helm_install()
        await leader()
        await ns.apply(routed(ns, "1.1.0", rollout={"steps": [{"weight": 50, "for": "2s"}]}))
        await ns.healthy("1.1.0")
        result = await load.stop()
    assert result.losses == []
    assert [entry["version"] for entry in (await ns.status())["history"]] == ["1.1.0", "1.0.0"]


async def _ready(ns: Namespace, count: int, but: str, seconds: float = 120.0) -> None:
    def up(pod: Manifest) -> bool:
        conditions = pod["status"].get("conditions", ())
        return pod["metadata"]["uid"] != but and any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)

    end = time.monotonic() + seconds
    while sum(map(up, await ns.pods("1.0.0"))) < count:
        assert time.monotonic() < end, await ns.story()
        await asyncio.sleep(0.5)


async def test_in_namespaces_it_needs_no_more_than_its_roles_there(release: Namespace) -> None:
    """Given a release for one namespace, then a model there becomes Healthy, and one elsewhere is not seen."""
    ns = release
    await kubectl("-n", OPERATOR, "scale", "deployment/fairway", "--replicas=0")
    await kubectl(
        "-n", OPERATOR, "wait", "pod", "-l", "app.kubernetes.io/name=fairway", "--for=delete", "--timeout=180s"
    )
    narrow, elsewhere = f"{ns.name}-operator", f"{ns.name}-not"
    values = (
        f"namespaces={{{ns.name}}},crds.install=false,rbac.aggregate=false,fullnameOverride={narrow}",
        "image.repository=localhost/fairway,image.tag=dev,replicas=1",
    )
    sets = [word for value in values for word in ("--set", value)]
    try:
        await run(
            "helm", "install", "narrow", "charts/fairway", "--namespace", narrow, "--create-namespace", *sets,
            "--wait", "--timeout", "240s", seconds=300,
        )  # fmt: skip
        await kubectl("create", "namespace", elsewhere)
        await ns.apply(standin("1.0.0"))
        unseen = {"apiVersion": "fairway.dev/v1alpha1", "kind": "ModelDeployment"}
        unseen |= {"metadata": {"name": "churn", "namespace": elsewhere}, "spec": standin("1.0.0")}
        await kubectl("apply", "-f", "-", stdin=json.dumps(unseen))
        await ns.healthy("1.0.0")
        found = json.loads(await kubectl("-n", elsewhere, "get", "md", "churn", "-o", "json"))
        assert "status" not in found
        said = await kubectl("-n", narrow, "logs", "-l", "app.kubernetes.io/instance=narrow", "--tail=-1")
        assert "forbidden" not in said.lower()
    finally:
        with contextlib.suppress(AssertionError):
            await run("helm", "uninstall", "narrow", "--namespace", narrow, "--wait", seconds=300)
        await kubectl("delete", "namespace", narrow, elsewhere, "--wait=false", "--ignore-not-found")


async def test_the_operator_meets_the_restricted_standard(operator: None) -> None:
    """Given the pods that run, when their namespace asks for the restricted standard, then none is against it."""
    word = "pod-security.kubernetes.io/enforce=restricted"
    said = await run("sh", "-c", f"kubectl label --dry-run=server --overwrite namespace {OPERATOR} {word} 2>&1")
    assert "labeled" in said
    assert "Warning" not in said, said


async def test_kubectl_applies_the_manifests(operator: None) -> None:
    """Given the manifests, when kubectl applies them, then the API server takes every object and warns of nothing."""
    there = "ml" in (await kubectl("get", "namespaces", "-o", "name")).replace("namespace/", "").split()
    if not there:
        await kubectl("create", "namespace", "ml")
    try:
        how = "--server-side --force-conflicts --field-manager=manifests --dry-run=server --validate=strict"
        for folder in ("base", "namespaced", "example", "samples"):
            said = await run("sh", "-c", f"kubectl apply {how} -k manifests/{folder} 2>&1", check=False)
            lines = said.strip().splitlines()
            assert [line for line in lines if not line.endswith("serverside-applied (server dry run)")] == []
            assert lines
    finally:
        if not there:
            await kubectl("delete", "namespace", "ml", "--timeout=180s")
