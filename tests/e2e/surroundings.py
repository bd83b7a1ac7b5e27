"""What stands beside the operator: metrics providers of which some can be broken, and a receiver of webhooks."""

import base64
import json
import secrets
from pathlib import Path
from typing import Any

from tests.e2e.harness import empty_namespace
from tests.e2e.programs import environment, kubectl
from tests.e2e.release import OPERATOR
from tests.e2e.specs import STANDIN

PLACE = "e2e-surroundings"
PROXY = Path(__file__).with_name("fault_proxy.py")
RECEIVER = Path(__file__).with_name("webhook_receiver.py")
FAULTY = {"unreachable": 9090, "refusing": 9091, "unreadable": 9092, "countless": 9093, "hanging": 9094}
"""Each breaks alone: tests beside each other need one each."""
FAILED = 'sum(rate(http_requests_total{$selector,status="500"}[$window]))'
SHARE = f"{FAILED} / sum(rate(http_requests_total{{$selector}}[$window]))"
TOLD = "e2e-told"
"""The namespace whose models' news the receiver gets."""
WEBHOOKS = ("webhooks", 9095)
KEY = ("fairway-e2e-webhooks", "signing-key")
"""The Secret beside the operator that signs them, and its key."""
_SECRETS = "/etc/fairway-secrets"


async def make() -> dict[str, Any]:
    """Start them, anew; return the values of the chart that tell the operator of them."""
    await empty_namespace(PLACE)
    names = [*FAULTY.items(), WEBHOOKS]
    manifests = [_pod(), *(_service(name, port) for name, port in names), *_signing_key()]
    await kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests}))
    await kubectl("-n", PLACE, "wait", "--for=condition=Ready", f"pod/{PLACE}", "--timeout=180s")
    urls = {name: await url(name, port) for name, port in names}
    faulty = [{"name": name, "url": urls[name], "scrapeInterval": "5s"} for name in FAULTY]
    query = {"name": "error-share", "promql": SHARE}
    free = {"name": "free", "url": _prometheus(), "scrapeInterval": "5s", "freeQueries": True, "queries": [query]}
    receiver = {
        "name": "tests",
        "url": urls[WEBHOOKS[0]],
        "signingKeyFile": f"{_SECRETS}/{KEY[1]}",
        "namespaces": [TOLD],
    }
    return {
        "metrics": {"providers": [*faulty, free]},
        "notifications": [receiver],
        "extraVolumes": [{"name": "secrets", "secret": {"secretName": KEY[0]}}],
        "extraVolumeMounts": [{"name": "secrets", "mountPath": _SECRETS, "readOnly": True}],
    }


async def url(name: str, port: int) -> str:
    """Where one of them is reached: by its address, as the development cluster has no DNS."""
    address = await kubectl("-n", PLACE, "get", "service", name, "-o", "jsonpath={.spec.clusterIP}")
    return f"http://{address}:{port}"


def _prometheus() -> str:
    return environment()["FAIRWAY_PROMETHEUS_CLUSTER_URL"]


def _meta(name: str) -> dict[str, Any]:
    return {"name": name, "namespace": PLACE, "labels": {"app": PLACE}}


def _pod() -> dict[str, Any]:
    """A container for each provider that can be broken, and for the receiver."""
    proxies = [
        _container(name, port, PROXY, _prometheus(), "/tmp/fault", "0.0.0.0", str(port))
        for name, port in FAULTY.items()
    ]
    receiver = _container(*WEBHOOKS, RECEIVER, "0.0.0.0", str(WEBHOOKS[1]))
    return {"apiVersion": "v1", "kind": "Pod", "metadata": _meta(PLACE), "spec": {"containers": [*proxies, receiver]}}


def _container(name: str, port: int, program: Path, *arguments: str) -> dict[str, Any]:
    return {
        "name": name,
        "image": f"{STANDIN}:1.0.0",
        "imagePullPolicy": "IfNotPresent",
        "command": ["python3", "-c", program.read_text(encoding="utf-8"), *arguments],
        "readinessProbe": {"tcpSocket": {"port": port}, "periodSeconds": 1},
    }


def _service(name: str, port: int) -> dict[str, Any]:
    spec = {"selector": {"app": PLACE}, "ports": [{"port": port}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": _meta(name), "spec": spec}


def _signing_key() -> list[dict[str, Any]]:
    """A new key, as Standard Webhooks writes it, where the operator can mount it."""
    key = f"whsec_{base64.b64encode(secrets.token_bytes(24)).decode()}"
    meta = {"name": KEY[0], "namespace": OPERATOR}
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": OPERATOR}},
        {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "stringData": {KEY[1]: key}},
    ]
