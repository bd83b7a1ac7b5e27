"""The operator as an admin has it: installed with the chart, as pods, one of which leads."""

import asyncio
import contextlib
import fcntl
import json
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.e2e.programs import environment, kubectl, run

OPERATOR = "fairway-system"
PROXY = "system:serviceaccount:argocd:argocd-server"
"""Speaks for others: the account that the approvals policy trusts in the tests."""
NOTE = "fairway-e2e-values"


@contextlib.contextmanager
def lock() -> Iterator[None]:
    """One installation at a time on this machine."""
    with (Path(tempfile.gettempdir()) / "fairway-install.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


async def helm_install(*more: str) -> None:
    """Install or upgrade the release with the chart; ``more`` values win over those of the tests."""
    prometheus = environment()["FAIRWAY_PROMETHEUS_CLUSTER_URL"]
    values = (
        "image.repository=localhost/fairway,image.tag=dev",
        f"prometheus.url={prometheus},prometheus.scrapeInterval=5s",
        "gateway.name=models,gateway.namespace=gateways",
        f"policy.approvals.trustedProxies={{{PROXY}}}",
        *more,
    )
    sets = [word for value in values for word in ("--set", value)]
    await run(
        "helm", "upgrade", "--install", "fairway", "charts/fairway", "--namespace", OPERATOR, "--create-namespace",
        "--values", "-", *sets, "--wait", "--timeout", "240s", stdin=await _surroundings(), seconds=300.0,
    )  # fmt: skip


async def remember(values: dict[str, Any]) -> None:
    """Note what else every installation of the tests has: in the cluster, which alone knows what stands in it."""
    data = {"values.json": json.dumps(values)}
    noted = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": NOTE, "namespace": OPERATOR}, "data": data}
    await kubectl("apply", "-f", "-", stdin=json.dumps(noted))


async def _surroundings() -> str:
    note = await kubectl("-n", OPERATOR, "get", "configmap", NOTE, "--ignore-not-found", "-o", "json")
    return str(json.loads(note)["data"]["values.json"]) if note else "{}"


async def install() -> None:
    """Install the operator the way an admin does: with the chart, as pods, with its own rights."""
    if os.environ.get("FAIRWAY_INSTALLED"):
        return  # `make e2e` has done it before it started several processes
    await helm_install()
    # The tag of a development image stays the same: pods of an older build must go.
    await kubectl("-n", OPERATOR, "rollout", "restart", "deployment/fairway")
    await kubectl("-n", OPERATOR, "rollout", "status", "deployment/fairway", "--timeout=240s")


async def operators() -> set[str]:
    """Names of the operator's pods that are ready and not going away."""
    shown = await kubectl("-n", OPERATOR, "get", "pods", "-l", "app.kubernetes.io/name=fairway", "-o", "json")
    return {
        pod["metadata"]["name"]
        for pod in json.loads(shown)["items"]
        if "deletionTimestamp" not in pod["metadata"]
        and any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", ()))
    }


async def leader(but: str = "", seconds: float = 240.0) -> str:
    """Wait until a ready pod holds the lease, and not this one; return its name."""
    end = time.monotonic() + seconds
    while True:
        lease = json.loads(await kubectl("-n", OPERATOR, "get", "lease", "fairway", "-o", "json"))["spec"]
        holder = str(lease.get("holderIdentity") or "")
        if holder != but and holder in await operators():
            return holder
        assert time.monotonic() < end, f"no ready pod of the operator holds the lease: {lease}"
        await asyncio.sleep(0.3)
