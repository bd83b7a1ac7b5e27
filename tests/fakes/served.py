"""The small Kubernetes of ``world`` over HTTP, with the operator working in it: what a client program talks to."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass, field
from typing import Any, Self

import yaml
from aiohttp import web

from fairway.api.types import format_time
from fairway.ports import Manifest
from tests.fakes.apiserver import NAMESPACE
from tests.fakes.world import World

KINDS = {
    "modeldeployments": "ModelDeployment",
    "modelruntimes": "ModelRuntime",
    "pods": "Pod",
    "services": "Service",
    "events": "Event",
    "controllerrevisions": "ControllerRevision",
    "deployments": "Deployment",
    "httproutes": "HTTPRoute",
    "gateways": "Gateway",
    "resourcequotas": "ResourceQuota",
    "nodes": "Node",
    "namespaces": "Namespace",
    "configmaps": "ConfigMap",
    "persistentvolumeclaims": "PersistentVolumeClaim",
    "horizontalpodautoscalers": "HorizontalPodAutoscaler",
    "poddisruptionbudgets": "PodDisruptionBudget",
}
PATH = re.compile(
    r"/apis?(/(?P<group>[a-z0-9.-]+))??/(?P<version>v\d\w*)(/namespaces/(?P<ns>[^/]+))?/(?P<plural>[a-z]+)(/(?P<name>[^/]+))?(/(?P<sub>log))?$"
)


@dataclass
class Served(World):
    """Add an HTTP server to the world; ``pace`` seconds pass in it with every real second while ``run`` goes on."""

    user: str = "ann"
    groups: tuple[str, ...] = ("risk-team", "system:authenticated")
    forbidden: set[tuple[str, str]] = field(default_factory=set)
    """(verb, plural) that the user may not."""
    logs: dict[str, str] = field(default_factory=dict)
    """Version to what its pods print."""
    cut_logs: bool = False
    """Logs break off."""
    kubernetes: str = "v1.35.4"
    routes: bool = True
    """The Gateway API is installed."""
    installed: bool = True
    """Our own kinds are."""
    requests: list[tuple[str, str]] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    watches: int = 0
    """Watches that were begun."""
    expired: bool = False
    """Watches are refused: what they begin at is too long ago."""
    broken: set[str] = field(default_factory=set)
    """Plurals that are answered with an error of the server's own."""
    watch_seconds: float = 5.0
    """How long a watch lasts at most."""
    port: int = 0
    pace: float = 0.0
    dry_run: Manifest | None = None
    """What the API server says to a dry run: a metav1.Status, or None for yes."""

    def event(self, owner: Manifest, *, type_: str, reason: str, message: str) -> None:
        super().event(owner, type_=type_, reason=reason, message=message)
        meta = owner["metadata"]
        self._keep(
            {
                "apiVersion": "v1",
                "kind": "Event",
                "metadata": {
                    "name": f"{meta['name']}.{len(self.events)}",
                    "namespace": NAMESPACE,
                    "uid": f"event-{len(self.events)}",
                },
                "involvedObject": {"kind": "ModelDeployment", "name": meta["name"], "uid": meta["uid"]},
                "type": type_,
                "reason": reason,
                "message": message,
                "lastTimestamp": format_time(self.time),
            }
        )

    # --- the server ------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        await self.open()
        self._changed = asyncio.Condition()
        self._turning = asyncio.create_task(self._turn()) if self.pace else None
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._turning:
            self._turning.cancel()
            await asyncio.gather(self._turning, return_exceptions=True)
        await self.shut()

    async def open(self) -> None:
        """Listen; at the same port as before."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        self.port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{self.port}"

    async def shut(self) -> None:
        """Be away: connections end, and new ones are refused."""
        await self._runner.cleanup()

    def kubeconfig(self) -> str:
        """A kubeconfig for this server."""
        return yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "dev",
                "clusters": [{"name": "fake", "cluster": {"server": self.url}}],
                "users": [{"name": "ann", "user": {"token": "secret"}}],
                "contexts": [{"name": "dev", "context": {"cluster": "fake", "user": "ann", "namespace": NAMESPACE}}],
            }
        )

    async def _turn(self) -> None:
        """Let time pass for as long as the server runs."""
        while True:
            await asyncio.sleep(0.05)
            for name in [name for kind, name in list(self.objects) if kind == "ModelDeployment"]:
                await self.live(self.pace * 0.05, name)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append((request.method, request.path))
        self.tokens.append(request.headers.get("Authorization", ""))
        if request.path.endswith("selfsubjectreviews"):
            return web.json_response({"status": {"userInfo": {"username": self.user, "groups": list(self.groups)}}})
        if request.path.endswith("selfsubjectaccessreviews"):
            asked = (await request.json())["spec"]["resourceAttributes"]
            allowed = (asked["verb"], asked["resource"]) not in self.forbidden
            return web.json_response({"status": {"allowed": allowed}})
        if request.path == "/version":
            return web.json_response({"gitVersion": self.kubernetes})
        if not self.installed and request.path.startswith("/apis/fairway.dev"):
            return _status(404, "NotFound", "the server could not find the requested resource")
        if request.path in ("/apis/gateway.networking.k8s.io/v1", "/apis/fairway.dev/v1alpha1"):
            there = self.routes or "fairway" in request.path
            return (
                web.json_response({"kind": "APIResourceList"}) if there else _status(404, "NotFound", "no such group")
            )
        found = PATH.fullmatch(request.path)
        if found is None or found["plural"] not in KINDS:
            return _status(404, "NotFound", "the server could not find the requested resource")
        return await self._object(request, KINDS[found["plural"]], found)

    async def _object(self, request: web.Request, kind: str, found: re.Match[str]) -> web.StreamResponse:
        plural, name = found["plural"], found["name"]
        verb = {"PATCH": "patch"}.get(request.method, "get" if name else "list")
        verb = "watch" if request.query.get("watch") else verb
        if (verb, plural) in self.forbidden or (found["sub"] and ("get", "pods/log") in self.forbidden):
            return _status(403, "Forbidden", f'{plural} is forbidden: User "{self.user}" cannot {verb} resource')
        if plural in self.broken:
            return _status(500, "InternalError", f"{plural} is broken")
        if request.method == "PATCH":
            return await self._patch(request, kind, name)
        if found["sub"] == "log":
            return await self._log(request, name)
        if name:
            item = self.objects.get((kind, name))
            return web.json_response(item) if item else _status(404, "NotFound", f'{plural} "{name}" not found')
        items = [each for (of, _), each in self.objects.items() if of == kind and _selected(each, request.query)]
        if found["ns"]:
            items = [each for each in items if each["metadata"].get("namespace") == found["ns"]]
        if request.query.get("watch"):
            return await self._watch(request, kind)
        return web.json_response(
            {"kind": f"{kind}List", "items": items, "metadata": {"resourceVersion": self._newest()}}
        )

    def _newest(self) -> str:
        return str(max((int(each["metadata"].get("resourceVersion", 0)) for each in self.objects.values()), default=0))

    async def _patch(self, request: web.Request, kind: str, name: str) -> web.StreamResponse:
        known = self.objects.get((kind, name))
        if request.query.get("dryRun"):
            if self.dry_run is not None:
                return web.json_response(self.dry_run, status=self.dry_run["code"])
            return web.json_response(known or {})
        if known is None:
            return _status(404, "NotFound", f'"{name}" not found')
        changed = merged(known, json.loads(await request.text()))
        if changed["spec"] != known["spec"]:
            changed["metadata"]["generation"] += 1
        return web.json_response(self._keep(changed))

    async def _log(self, request: web.Request, name: str) -> web.StreamResponse:
        pod = self.objects.get(("Pod", name))
        if pod is None:
            return _status(404, "NotFound", f'pods "{name}" not found')
        lines = self.logs.get(pod["metadata"]["labels"]["fairway.dev/version"], "").splitlines()
        tail = int(request.query.get("tailLines", len(lines)))
        text = "".join(f"{line}\n" for line in lines[max(0, len(lines) - tail) :])
        if not self.cut_logs:
            return web.Response(text=text)
        response = web.StreamResponse(headers={"Content-Length": "100000"})
        await response.prepare(request)
        await response.write(text.encode())
        assert request.transport is not None
        request.transport.close()
        return response

    async def _watch(self, request: web.Request, kind: str) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        self.watches += 1
        if self.expired:
            late = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"}
            await response.write(json.dumps({"type": "ERROR", "object": late}).encode() + b"\n")
            return response
        seen: dict[str, Manifest] = {}
        since = int(request.query.get("resourceVersion") or 0)
        loop = asyncio.get_running_loop()
        end = loop.time() + min(self.watch_seconds, float(request.query.get("timeoutSeconds", 60)))
        while loop.time() < end:
            now = {
                name: item for (of, name), item in self.objects.items() if of == kind and _selected(item, request.query)
            }
            for name, item in now.items():
                version = item["metadata"]["resourceVersion"]
                if seen.get(name) is not item and int(version) > since:
                    word = "MODIFIED" if name in seen else "ADDED"
                    await response.write(json.dumps({"type": word, "object": item}).encode() + b"\n")
            for name in seen.keys() - now.keys():
                await response.write(json.dumps({"type": "DELETED", "object": seen[name]}).encode() + b"\n")
            seen = now
            await asyncio.sleep(0.02)
        return response


def merged(known: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    result = dict(known) if isinstance(known, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


def _selected(item: Manifest, query: Any) -> bool:
    labels = item["metadata"].get("labels", {})
    for part in filter(None, query.get("labelSelector", "").split(",")):
        key, _, value = part.partition("=")
        if labels.get(key) != value:
            return False
    for part in filter(None, query.get("fieldSelector", "").split(",")):
        path, _, value = part.partition("=")
        here: Any = item
        for word in path.split("."):
            here = here.get(word, {}) if isinstance(here, dict) else {}
        if here != value:
            return False
    return True


def _status(code: int, reason: str, message: str) -> web.Response:
    return web.json_response({"kind": "Status", "code": code, "reason": reason, "message": message}, status=code)
