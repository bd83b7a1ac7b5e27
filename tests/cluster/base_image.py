"""The base image of every build: a minimal Debian with Python, from Debian's own packages, made once."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

from . import buildah, settings
from .progress import step
from .shell import run

PACKAGES = ("python3", "python3-venv", "ca-certificates")
_KEYRINGS = Path("/usr/share/keyrings")
_MIRROR = "http://deb.debian.org/debian"
# Nobody reads documentation in a container, and apt's lists go stale.
_SLIM = ("--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-exclude=/usr/share/man/*")


def suite() -> str:
    """Choose the newest Debian whose keys this machine has."""
    return "trixie" if list(_KEYRINGS.glob("debian-archive-trixie-*.gpg")) else "bookworm"


def reference() -> str:
    """Name the image after what it is made of."""
    digest = hashlib.sha256("\n".join((suite(), *PACKAGES, *_SLIM)).encode()).hexdigest()[:12]
    return f"{settings.BASE_IMAGE_NAME}:{suite()}-{digest}"


def ensure() -> str:
    """Make the base image unless buildah's storage or the cache has it; return its name."""
    name = reference()
    if buildah.has(name):
        return name
    archive = settings.CACHE / "images" / f"base-{name.rpartition(':')[2]}.oci.tar"
    if not archive.exists():
        with step(f"base image ({suite()})"):
            _make(archive, name)
    if not buildah.has(name):
        buildah.run_buildah("pull", "--quiet", f"oci-archive:{archive}:{name}")
    return name


def _make(archive: Path, name: str) -> None:
    archive.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=archive.parent) as folder:
        tree, scratch = Path(folder, "root.tar"), Path(folder, "image.tar")
        variant = ["--variant=minbase", f"--include={','.join(PACKAGES)}", *_SLIM]
        run(
            ["mmdebstrap", "--mode=root", "--quiet", *variant, suite(), tree, _MIRROR],
            log=settings.LOGS / "base-image.log",
        )
        dockerfile = Path(folder, "Dockerfile")
        dockerfile.write_text("FROM scratch\nADD root.tar /\nENV PATH=/usr/local/bin:/usr/bin:/bin LANG=C.UTF-8\n")
        buildah.run_buildah("build", "--quiet", "-t", name, "-f", dockerfile, folder)
        buildah.run_buildah("push", "--quiet", name, f"oci-archive:{scratch}:{name}")
        scratch.replace(archive)
