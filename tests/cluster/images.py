"""Images without a registry: brought into containerd's `k8s.io` namespace, under the names pods will use."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from . import buildah, settings
from .progress import step
from .shell import ClusterError, run

if TYPE_CHECKING:
    import subprocess


def normalise(reference: str) -> str:
    """Write an image name in full, as the kubelet will look it up: `churn:1.0.0` is `docker.io/library/churn:1.0.0`."""
    name = reference if ":" in reference.rpartition("/")[2] else f"{reference}:latest"
    first, slash, _ = name.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return name
    return f"docker.io/{name}" if slash else f"docker.io/library/{name}"


def ctr(*words: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run containerd's own client in the namespace of the kubelet."""
    return run([settings.BIN / "ctr", f"--address={settings.CONTAINERD_SOCKET}", "-n", "k8s.io", *words], check=check)


def present() -> dict[str, str]:
    """Return the images containerd has: name -> digest."""
    lines = ctr("images", "ls").stdout.splitlines()[1:]
    return {words[0]: words[2] for words in map(str.split, lines) if len(words) > 2 and ":" in words[2]}


def load(archive: Path) -> None:
    """Import an image archive as it is."""
    ctr("images", "import", "--local", "--all-platforms", archive)


def tag(existing: str, wanted: str) -> None:
    """Give an image one more name, which costs nothing."""
    ctr("images", "tag", "--force", existing, wanted)


def load_from_buildah(image: str, name: str) -> str:
    """Bring an image from buildah's storage into containerd; return its digest there."""
    with tempfile.TemporaryDirectory(dir=settings.CACHE) as folder:
        archive = Path(folder, "image.tar")
        buildah.run_buildah("push", "--quiet", image, f"docker-archive:{archive}:{name}")
        load(archive)
    digest = present().get(name)
    if digest is None:
        raise ClusterError(f"containerd did not take {name} out of its archive")
    return digest


def ensure_pause() -> None:
    """Make the image that holds a pod's namespaces: one static program, nothing else."""
    if settings.PAUSE_IMAGE in present():
        return
    with step("pause image"), tempfile.TemporaryDirectory(dir=settings.CACHE) as folder:
        program = Path(folder, "pause")
        program.write_bytes((settings.BIN / "pause").read_bytes())
        program.chmod(0o755)
        dockerfile = Path(folder, "Dockerfile")
        dockerfile.write_text('FROM scratch\nCOPY pause /pause\nUSER 65535:65535\nENTRYPOINT ["/pause"]\n')
        buildah.run_buildah("build", "--quiet", "-t", settings.PAUSE_IMAGE, "-f", dockerfile, folder)
        load_from_buildah(settings.PAUSE_IMAGE, settings.PAUSE_IMAGE)
