"""The cluster as a user sees it: kubectl, helm, requests through the gateway. Every wait has an end and says why."""

import asyncio
import contextlib
import json
import os
import time
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
from kubernetes.aio import config
from kubernetes.aio.client import ApiClient, Configuration

from tests.e2e.loading import plan, sample
from tests.e2e.programs import ROOT, environment, kubectl
from tests.e2e.release import OPERATOR
from tests.e2e.specs import model
from tests.load.generator import Load

STARTED = ROOT / "build/e2e-started"
"""When `make e2e` began: the audit log before it tells of other builds."""
IDLE = "e2e-idle"
"""Namespace of the model that nobody touches while the other tests run."""
Manifest = dict[str, Any]

_KINDS = {
    "modeldeployment": ("fairway.dev/v1alpha1", "modeldeployments"),
    "deployment": ("apps/v1", "deployments"),
    "controllerrevision": ("apps/v1", "controllerrevisions"),
    "service": ("v1", "services"),
    "pod": ("v1", "pods"),
    "event": ("v1", "events"),
    "hpa": ("autoscaling/v2", "horizontalpodautoscalers"),
    "poddisruptionbudget": ("policy/v1", "poddisruptionbudgets"),
    "httproute": ("gateway.networking.k8s.io/v1", "httproutes"),
    "prometheusrule": ("monitoring.coreos.com/v1", "prometheusrules"),
}


@dataclass
class Namespace:
    """One test's own namespace, with one ModelDeployment named churn unless said otherwise.

    It reads over one connection: a kubectl for every look would take more of the machine than the models.
    """

    name: str
    api: ApiClient
    seen: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """Every status of each model, in their order, as the witness sees them."""

    async def read(self, kind: str, name: str | None = None, selector: str = "") -> Manifest:
        """Read one object, or a list; raises AssertionError with what the API server says."""
        version, plural = _KINDS[kind.removesuffix("s")]
        root = f"/apis/{version}" if "/" in version else f"/api/{version}"
        url = f"{root}/namespaces/{self.name}/{plural}" + (f"/{name}" if name else "")
        call = await self.api.param_serialize(
            "GET", url, query_params=[("labelSelector", selector)] if selector else [], header_params={}
        )
        response = await self.api.call_api(*call[:3])
        found = dict(json.loads(await response.read()))
        assert response.status == 200, found.get("message")
        return found

    @property
    def host(self) -> str:
        """The hostname of this test's model."""
        return f"{self.name}.models.example"

    async def apply(self, spec: dict[str, Any], name: str = "churn") -> None:
        """kubectl apply --server-side, as Argo CD would."""
        manifest = {
            "apiVersion": "fairway.dev/v1alpha1",
            "kind": "ModelDeployment",
            "metadata": {"name": name, "namespace": self.name},
            "spec": spec,
        }
        await kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=json.dumps(manifest))

    async def get(self, kind: str, name: str = "churn") -> Manifest:
        """One object."""
        return await self.read(kind, name)

    async def items(self, kind: str, selector: str = "") -> list[Manifest]:
        """All objects of a kind."""
        return list((await self.read(kind, selector=selector))["items"])

    async def shows(self, kind: str, holds: Callable[[list[Manifest]], Any], seconds: float = 180.0) -> None:
        """Wait until the objects of a kind are so: children are written after the status, and others follow them."""
        end = time.monotonic() + seconds
        while not holds(found := await self.items(kind)):
            assert time.monotonic() < end, f"{kind}: {json.dumps(found, indent=1)}\n{await self.story()}"
            await asyncio.sleep(0.1)

    async def status(self, name: str = "churn") -> dict[str, Any]:
        """The status of the ModelDeployment."""
        return dict((await self.get("modeldeployment", name)).get("status", {}))

    async def until(
        self, what: str, holds: Callable[[dict[str, Any]], Any], seconds: float = 300.0, name: str = "churn"
    ) -> dict[str, Any]:
        """Wait until the status says so; fail with the status, the events and the pods."""
        end = time.monotonic() + seconds
        status: dict[str, Any] = {}
        while time.monotonic() < end:
            status = await self.status(name)
            if holds(status):
                return status
            await asyncio.sleep(0.25)
        raise AssertionError(f"{what}: not within {seconds:.0f} s\n{await self.story(name)}")

    async def story(self, name: str = "churn") -> str:
        """Everything a person would look at."""
        parts = [
            json.dumps(await self.status(name), indent=1),
            await kubectl("-n", self.name, "get", "pods,httproute,events", "-o", "wide", check=False),
            await kubectl("-n", OPERATOR, "logs", "-l", "app.kubernetes.io/name=fairway", "--tail=30", check=False),
        ]
        return "\n".join(parts)

    async def healthy(self, version: str, seconds: float = 300.0) -> dict[str, Any]:
        """Wait until this version serves and nothing is under way."""

        def there(status: dict[str, Any]) -> bool:
            return serves(status) == version and status["phase"] == "Healthy"

        return await self.until(f"{version} serves", there, seconds)

    async def weights(self) -> dict[str, int]:
        """Version -> weight, as the route says it."""
        route = await self.get("httproute")
        records = {r["metadata"]["name"]: r["data"]["version"] for r in await self.items("controllerrevisions")}
        return {records[b["name"]]: b["weight"] for b in route["spec"]["rules"][0]["backendRefs"]}

    async def weighs(self, expected: dict[str, int], seconds: float = 120.0) -> None:
        """Wait until the route has these weights: it is written right after the status that tells of them."""
        end = time.monotonic() + seconds
        while (found := await self.weights()) != expected:
            assert time.monotonic() < end, f"the route has {found}, not {expected}\n{await self.story()}"
            await asyncio.sleep(0.1)

    async def pods(self, version: str) -> list[Manifest]:
        """The pods of one version that are not going away."""
        pods = await self.items("pods", f"fairway.dev/version={version}")
        return [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]

    async def events(self) -> list[tuple[str, str]]:
        """(reason, message) of every event about the ModelDeployment."""
        events = await self.items("events")
        about = [e for e in events if e["involvedObject"]["kind"] == "ModelDeployment"]
        about.sort(key=lambda event: int(event["metadata"]["resourceVersion"]))
        return [(e["reason"], e["message"]) for e in about]

    async def told(self, reason: str, seconds: float = 120.0) -> str:
        """Wait until the last Event has this reason, as Events are written beside the passes; return its message."""
        end = time.monotonic() + seconds
        while not (events := await self.events()) or events[-1][0] != reason:
            assert time.monotonic() < end, f"the last Event is not {reason}: {events}"
            await asyncio.sleep(0.1)
        return events[-1][1]

    async def answers(self, seconds: float = 180.0, url: str | None = None) -> None:
        """Wait until the gateway serves this model, or what else is asked by its URL."""
        end = time.monotonic() + seconds
        headers = {"Host": self.host, "Content-Type": "application/json"}
        async with aiohttp.ClientSession() as session:
            while True:
                said = "nobody listens"
                with contextlib.suppress(aiohttp.ClientConnectorError):
                    async with session.post(url or self.url, headers=headers, data=sample()) as answer:
                        if answer.status == 200:
                            return
                        said = f"{answer.status}: {await answer.text()}"
                assert time.monotonic() < end, f"the model does not answer: {said}"
                await asyncio.sleep(0.2)

    @property
    def url(self) -> str:
        """Where the gateway takes predictions."""
        return f"{environment()['FAIRWAY_GATEWAY_URL']}/predict"

    def load(self, rate: float = 50.0) -> Load:
        """Constant load through the gateway until it is stopped; use as an async context."""
        return Load(plan(self.url, rate, host=self.host))


def taken_away() -> float:
    """Seconds that other machines have had of each processor of this one, since it started."""
    _, *ticks = Path("/proc/stat").read_text().partition("\n")[0].split()
    return int(ticks[7]) / os.sysconf("SC_CLK_TCK") / (os.cpu_count() or 1)


def epoch(time: str) -> float:
    """Seconds since the epoch of a time as Kubernetes writes it."""
    return datetime.fromisoformat(time).timestamp()


def serves(status: dict[str, Any]) -> str | None:
    """The stable version."""
    return status.get("stable", {}).get("version")


def condition(status: dict[str, Any], type_: str) -> tuple[str, str] | None:
    """(status, reason) of a condition."""
    return next(((c["status"], c["reason"]) for c in status.get("conditions", ()) if c["type"] == type_), None)


@contextlib.asynccontextmanager
async def fresh_namespace() -> AsyncIterator[Namespace]:
    """A namespace that goes away afterwards; nobody waits for it."""
    name = f"e2e-{uuid.uuid4().hex[:6]}"
    await kubectl("create", "namespace", name)
    try:
        async with named_namespace(name) as namespace:
            yield namespace
    finally:
        await kubectl("delete", "namespace", name, "--wait=false")


@contextlib.asynccontextmanager
async def named_namespace(name: str) -> AsyncIterator[Namespace]:
    """A namespace that is there, or will be."""
    settings = Configuration()
    await config.load_kube_config(environment()["KUBECONFIG"], client_configuration=settings, persist_config=False)
    api = ApiClient(configuration=settings)
    try:
        yield Namespace(name, api)
    finally:
        await api.close()


async def empty_namespace(name: str) -> None:
    """Make a namespace anew; what earlier tests left in it need not end well, so nobody waits for its requests."""
    if await kubectl("get", "namespace", name, "--ignore-not-found", "-o", "name"):
        await kubectl("delete", "namespace", name, "--wait=false")
        await kubectl("-n", name, "delete", "pods", "--all", "--force", "--grace-period=0")
        await kubectl("wait", "namespace", name, "--for=delete", "--timeout=180s")
    await kubectl("create", "namespace", name)


async def idle_model() -> None:
    """Make the model that idles, anew."""
    await empty_namespace(IDLE)
    async with named_namespace(IDLE) as ns:
        objectives = [{"name": "errors", "errors": {"below": "2%"}}]
        real = {"MODEL_FORMAT": "sklearn"}
        await ns.apply(model("1.0.0", env=real, objectives=objectives, traffic={"hostnames": [ns.host]}))
        await ns.healthy("1.0.0")
        await ns.answers()
