"""The API server through kubernetes.aio with plain dictionaries: apply, scale, status, list, lease."""

import asyncio
import json
import os
import random
from collections.abc import Callable
from typing import Any

import aiohttp
from kubernetes.aio import config
from kubernetes.aio.client import ApiClient, Configuration

from fairway import __version__
from fairway.core import names
from fairway.ports import ClusterError, Manifest

TIMEOUT = 15.0
TRIES = 4
PAGE = 500

_PLURALS = {
    "Deployment": "deployments",
    "Service": "services",
    "ControllerRevision": "controllerrevisions",
    "HorizontalPodAutoscaler": "horizontalpodautoscalers",
    "PodDisruptionBudget": "poddisruptionbudgets",
    "HTTPRoute": "httproutes",
    "PrometheusRule": "prometheusrules",
    "ModelDeployment": "modeldeployments",
    "Event": "events",
    "Lease": "leases",
}

APPLY = "application/apply-patch+yaml"
JSON_PATCH = "application/json-patch+json"


Client = ApiClient
"""A connection, as the composition root hands it around."""


async def connect() -> Client:
    """Connect by the pod's service account, or else by the kubeconfig."""
    settings = Configuration()
    if "KUBERNETES_SERVICE_HOST" in os.environ:
        config.load_incluster_config(client_configuration=settings)
    else:
        await config.load_kube_config(client_configuration=settings, persist_config=False)
    settings.client_session_kwargs = {"trust_env": False}
    client = ApiClient(configuration=settings)
    client.user_agent = f"fairway/{__version__}"
    return client


class KubernetesCluster:
    """Implements the Cluster port."""

    def __init__(
        self,
        client: ApiClient,
        *,
        guard: Callable[[], None] = lambda: None,
        called: Callable[[str, int], None] = lambda _method, _status: None,
    ) -> None:
        """``guard`` raises when we may no longer write; ``called`` hears of every request."""
        self._client = client
        self._guard = guard
        self._called = called

    async def create(self, manifest: Manifest) -> Manifest:
        """Create a child. A stranger of the same name is an error; our own that is there is returned as it is."""
        url = collection(manifest)
        try:
            return await self._write("POST", url, manifest, query={"fieldManager": names.MANAGER})
        except ClusterError as error:
            if error.reason != "AlreadyExists":
                raise
        found = await self.request("GET", f"{url}/{manifest['metadata']['name']}")
        if _owner(found) == _owner(manifest):
            return found
        kind, name = manifest["kind"], manifest["metadata"]["name"]
        raise ClusterError(409, "NameTaken", f"{kind} {name} exists and is not ours: rename or delete it")

    async def apply(self, manifest: Manifest, live: Manifest) -> Manifest:
        """Server-side apply of our fields over the object that is there."""
        url = item(manifest)
        if _has_created(live):
            await self._own_by_apply(url, live)
        query = {"fieldManager": names.MANAGER, "force": "true"}
        # With the UID an object that has vanished meanwhile is a conflict, not created half.
        meant = {**manifest, "metadata": {**manifest["metadata"], "uid": live["metadata"]["uid"]}}
        return await self._write("PATCH", url, meant, content_type=APPLY, query=query)

    async def _own_by_apply(self, url: str, live: Manifest) -> None:
        """Turn the ownership that our create left into ownership by apply, so that dropped fields are removed."""
        found = await self.request("GET", url)
        managed = found["metadata"].get("managedFields", [])
        entries = [entry for entry in managed if not _created(entry)]
        entries += [_as_apply(entry) for entry in managed if _created(entry)]
        patch = [
            {"op": "replace", "path": "/metadata/managedFields", "value": entries},
            {"op": "replace", "path": "/metadata/resourceVersion", "value": found["metadata"]["resourceVersion"]},
        ]
        await self._write("PATCH", url, patch, content_type=JSON_PATCH)
        live["metadata"]["created-fields"] = False

    async def scale(self, manifest: Manifest, replicas: int) -> None:
        """Set a Deployment's replicas through its scale subresource, as the manager of replicas alone."""
        meta = {"name": manifest["metadata"]["name"], "namespace": manifest["metadata"]["namespace"]}
        body = {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": meta, "spec": {"replicas": replicas}}
        query = {"fieldManager": names.REPLICAS_MANAGER, "force": "true"}
        await self._write("PATCH", f"{item(manifest)}/scale", body, content_type=APPLY, query=query)

    async def delete(self, live: Manifest) -> None:
        """Delete exactly this object (by UID); gone already is fine."""
        body = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": "Background",
            "preconditions": {"uid": live["metadata"]["uid"]},
        }
        try:
            await self._write("DELETE", item(live), body)
        except ClusterError as error:
            if error.status != 404:  # noqa: PLR2004
                raise

    async def write_status(self, owner: Manifest, status: Manifest) -> Manifest:
        """Replace the status of a ModelDeployment if nobody has written it since ``owner`` was read."""
        # A patched resourceVersion is compared by the API server: a stale one is a 409.
        patch = [
            {"op": "replace", "path": "/metadata/resourceVersion", "value": owner["metadata"]["resourceVersion"]},
            {"op": "add", "path": "/status", "value": status},
        ]
        query = {"fieldManager": names.MANAGER}
        return await self._write("PATCH", f"{item(owner)}/status", patch, content_type=JSON_PATCH, query=query)

    async def list(self, plural: str, group_version: str, namespace: str | None, selector: str) -> list[Manifest]:
        """List one kind, paged."""
        url = prefix(group_version) + (f"/namespaces/{namespace}" if namespace else "") + f"/{plural}"
        found: list[Manifest] = []
        query = {"limit": str(PAGE)} | ({"labelSelector": selector} if selector else {})
        while True:
            page = await self.request("GET", url, query=query)
            found.extend(page["items"])
            more = page["metadata"].get("continue")
            if not more:
                return found
            query["continue"] = more

    async def _write(
        self,
        method: str,
        url: str,
        body: Any,
        *,
        content_type: str = "application/json",
        query: dict[str, str] | None = None,
    ) -> Manifest:
        self._guard()
        return await self.request(method, url, body=body, content_type=content_type, query=query)

    async def request(
        self,
        method: str,
        url: str,
        *,
        body: Any = None,
        content_type: str = "application/json",
        query: dict[str, str] | None = None,
    ) -> Manifest:
        """One request, tried again with jitter while the server is overloaded or unreachable."""
        for attempt in range(TRIES):
            try:
                return await self._once(method, url, body, content_type, query)
            except ClusterError as error:
                last = attempt == TRIES - 1
                if last or error.status not in (0, 429, 500, 502, 503, 504):
                    raise
                wait = error.retry_after or 0.2 * 2**attempt
                await asyncio.sleep(min(wait, 5.0) * random.uniform(0.8, 1.2))  # noqa: S311
                if method != "GET":
                    self._guard()
        raise AssertionError

    async def _once(
        self, method: str, url: str, body: Any, content_type: str, query: dict[str, str] | None
    ) -> Manifest:
        headers = {"Accept": "application/json", "Content-Type": content_type}
        try:
            method, full, headers, payload, _ = await self._client.param_serialize(
                method, url, query_params=list((query or {}).items()), header_params=headers, body=body,
                auth_settings=["BearerToken"],
            )  # fmt: skip
            timeout = aiohttp.ClientTimeout(total=TIMEOUT, connect=5.0)
            response = await self._client.call_api(method, full, headers, payload, _request_timeout=timeout)
            text = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self._called(method, 0)
            raise ClusterError(0, "Unreachable", f"{method} {url}: {type(error).__name__}") from error
        self._called(method, response.status)
        return _parse(method, url, response.status, response.headers, text)


def _parse(method: str, url: str, status: int, headers: Any, text: bytes) -> Manifest:
    try:
        answer = json.loads(text)
    except ValueError:
        answer = None
    if status < 300 and isinstance(answer, dict):  # noqa: PLR2004
        return answer
    said = answer if isinstance(answer, dict) else {}
    reason = _ending(said) or said.get("reason") or ("NotJSON" if status < 300 else "Error")  # noqa: PLR2004
    error = ClusterError(status if status >= 300 else 0, reason, said.get("message") or f"{method} {url}")  # noqa: PLR2004
    after = headers.get("Retry-After", "")
    error.retry_after = float(after) if after.isdecimal() and after.isascii() else None
    raise error


def _ending(said: Manifest) -> str | None:
    """Return the word for a namespace that is being deleted: the API server says it as a cause of a mere Forbidden."""
    details = said.get("details")
    causes = details.get("causes") if isinstance(details, dict) else None
    reasons = [cause.get("reason") for cause in causes or () if isinstance(cause, dict)]
    return "NamespaceTerminating" if "NamespaceTerminating" in reasons else None


def prefix(group_version: str) -> str:
    """Path of an API group version."""
    return f"/apis/{group_version}" if "/" in group_version else f"/api/{group_version}"


def collection(manifest: Manifest) -> str:
    """Path of the collection that an object belongs to."""
    namespace, plural = manifest["metadata"]["namespace"], _PLURALS[manifest["kind"]]
    return f"{prefix(manifest['apiVersion'])}/namespaces/{namespace}/{plural}"


def item(manifest: Manifest) -> str:
    """Path of one object."""
    return f"{collection(manifest)}/{manifest['metadata']['name']}"


def _owner(manifest: Manifest) -> str | None:
    return next((ref["uid"] for ref in manifest["metadata"].get("ownerReferences", ()) if ref.get("controller")), None)


def _as_apply(entry: dict[str, Any]) -> dict[str, Any]:
    """Claim what we created, but for replicas: a field that we claimed and stop naming would fall to its default."""
    fields = dict(entry.get("fieldsV1", {}))
    if "f:spec" in fields:
        fields["f:spec"] = {name: value for name, value in fields["f:spec"].items() if name != "f:replicas"}
    return {**entry, "operation": "Apply", "fieldsV1": fields}


def _has_created(live: Manifest) -> bool:
    """Whether fields are owned by our create: as the store remembers it, or as the API server has told."""
    meta = live["metadata"]
    told = any(_created(entry) for entry in meta.get("managedFields", ()))
    return bool(meta.get("created-fields", told))


def _created(entry: dict[str, Any]) -> bool:
    return entry.get("manager") == names.MANAGER and entry.get("operation") == "Update" and not entry.get("subresource")
