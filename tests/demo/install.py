"""Before the curtain: the operator from the chart of this repository, and an empty namespace."""

import hashlib
from pathlib import Path

from tests.demo import acts, manifest
from tests.demo.kube import DemoError, Kube

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "fairway"
RELEASE = "fairway"
SYSTEM = "fairway-system"
# What the image is made of (see the Dockerfile).
_SOURCES = ("Dockerfile", "pyproject.toml", "uv.lock", "operator")


async def operator(kube: Kube, prometheus: str) -> None:
    """Install the operator, or bring the one that is there up to date; returns once it is ready."""
    settings = {
        "image.repository": "localhost/fairway",
        "image.tag": "dev",
        # The tag never changes, so something else has to, or pods of an older image would go on.
        r"podAnnotations.fairway\.dev/source": fingerprint(ROOT),
        "prometheus.url": prometheus,
        "prometheus.scrapeInterval": "5s",
        "gateway.name": "models",
        "gateway.namespace": "gateways",
    }
    pairs = [word for key, value in settings.items() for word in ("--set-string", f"{key}={value}")]
    where = ("-n", SYSTEM, "--create-namespace")
    await kube.helm("upgrade", "--install", RELEASE, str(CHART), *where, *pairs, "--wait", "--timeout", "3m")


def fingerprint(root: Path) -> str:
    """Hash the operator's sources: other sources, other image."""
    digest = hashlib.sha256()
    files = [
        path for name in _SOURCES for path in ((root / name).rglob("*") if (root / name).is_dir() else [root / name])
    ]
    for path in sorted(files):
        if path.is_file() and "__pycache__" not in path.parts:
            digest.update(f"{path.relative_to(root)}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


async def empty_namespace(kube: Kube) -> None:
    """Make the namespace anew; raises DemoError if there is one that is not the demo's."""
    found = await kube.get("namespace", acts.NAMESPACE)
    if found and manifest.LABEL not in found["metadata"].get("labels", {}):
        raise DemoError(f"there is a namespace {acts.NAMESPACE!r} that the demo has not made: remove or rename it")
    await remove_namespace(kube)
    await kube.apply(manifest.namespace())


async def remove_namespace(kube: Kube) -> None:
    """Remove the namespace with everything in it, and wait until it is gone."""
    await kube.kubectl("delete", "namespace", acts.NAMESPACE, "--ignore-not-found", "--timeout=120s")
