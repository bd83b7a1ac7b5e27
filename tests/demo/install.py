"""Before the curtain: the operator from the chart of this repository, and an empty namespace."""

import asyncio
import time
from pathlib import Path

from tests.demo import acts, manifest
from tests.demo.kube import DemoError, Kube

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "fairway"
RELEASE = "fairway"
SYSTEM = "fairway-system"
PODS_END = 80  # looks
PAUSE = 0.5


async def operator(kube: Kube, prometheus: str) -> None:
    """Install the operator, or replace the one that is there; returns once it is ready."""
    settings = {
        "image.repository": "localhost/fairway",
        "image.tag": "dev",
        # The tag never changes, so something else has to, or pods of an older image would go on.
        r"podAnnotations.fairway\.dev/demo": f"{time.time():.0f}",
        "prometheus.url": prometheus,
        "prometheus.scrapeInterval": "5s",
        "gateway.name": "models",
        "gateway.namespace": "gateways",
    }
    pairs = [word for key, value in settings.items() for word in ("--set-string", f"{key}={value}")]
    where = ("-n", SYSTEM, "--create-namespace")
    await kube.helm("upgrade", "--install", RELEASE, str(CHART), *where, *pairs, "--wait", "--timeout", "3m")


async def empty_namespace(kube: Kube) -> None:
    """Make the namespace anew; raises DemoError if there is one that is not the demo's."""
    found = await kube.get("namespace", acts.NAMESPACE)
    if found and manifest.LABEL not in found["metadata"].get("labels", {}):
        raise DemoError(f"there is a namespace {acts.NAMESPACE!r} that the demo has not made: remove or rename it")
    await remove_namespace(kube)
    await kube.apply(manifest.namespace())


async def remove_namespace(kube: Kube) -> None:
    """Remove the namespace with everything in it, and wait until it is gone."""
    if await kube.get("namespace", acts.NAMESPACE) is None:
        return
    await kube.kubectl("delete", "modeldeployments.fairway.dev", "--all", "-n", acts.NAMESPACE)
    # A namespace in which pods still end looks again only after half of their grace period, which is 90 s.
    for _ in range(PODS_END):
        if not await kube.kubectl("get", "pods", "-n", acts.NAMESPACE, "-o", "name"):
            break
        await asyncio.sleep(PAUSE)
    await kube.kubectl("delete", "namespace", acts.NAMESPACE, "--ignore-not-found", "--timeout=120s")
