"""Metrics providers beside the default one: some that can be broken, and one that takes free queries."""

import json
from pathlib import Path
from typing import Any

from tests.e2e.harness import empty_namespace
from tests.e2e.programs import environment, kubectl
from tests.e2e.specs import STANDIN

PLACE = "e2e-metrics"
PROXY = Path(__file__).with_name("fault_proxy.py")
FAULTY = {"unreachable": 9090, "refusing": 9091, "unreadable": 9092, "countless": 9093, "hanging": 9094}
"""Each breaks alone: tests beside each other need one each."""
FAILED = 'sum(rate(http_requests_total{$selector,status="500"}[$window]))'
SHARE = f"{FAILED} / sum(rate(http_requests_total{{$selector}}[$window]))"


async def make() -> list[dict[str, Any]]:
    """Start the proxies, anew; return the providers as the chart's values take them."""
    await empty_namespace(PLACE)
    manifests = [_pod(), *(_service(name, port) for name, port in FAULTY.items())]
    await kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests}))
    await kubectl("-n", PLACE, "wait", "--for=condition=Ready", "pod/proxies", "--timeout=180s")
    query = {"name": "error-share", "promql": SHARE}
    free = {"name": "free", "url": _prometheus(), "scrapeInterval": "5s", "freeQueries": True, "queries": [query]}
    return [*[await _provider(name, port) for name, port in FAULTY.items()], free]


async def _provider(name: str, port: int) -> dict[str, Any]:
    # By its address: the development cluster has no DNS.
    address = await kubectl("-n", PLACE, "get", "service", name, "-o", "jsonpath={.spec.clusterIP}")
    return {"name": name, "url": f"http://{address}:{port}", "scrapeInterval": "5s"}


def _prometheus() -> str:
    return environment()["FAIRWAY_PROMETHEUS_CLUSTER_URL"]


def _meta(name: str) -> dict[str, Any]:
    return {"name": name, "namespace": PLACE, "labels": {"app": "proxies"}}


def _pod() -> dict[str, Any]:
    """A container for each provider that can be broken."""
    source = PROXY.read_text(encoding="utf-8")
    containers = [
        {
            "name": name,
            "image": f"{STANDIN}:1.0.0",
            "imagePullPolicy": "IfNotPresent",
            "command": ["python3", "-c", source, _prometheus(), "/tmp/fault", "0.0.0.0", str(port)],
            "readinessProbe": {"tcpSocket": {"port": port}, "periodSeconds": 1},
        }
        for name, port in FAULTY.items()
    ]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": _meta("proxies"), "spec": {"containers": containers}}


def _service(name: str, port: int) -> dict[str, Any]:
    spec = {"selector": {"app": "proxies"}, "ports": [{"port": port}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": _meta(name), "spec": spec}
