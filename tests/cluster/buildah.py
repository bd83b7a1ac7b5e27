"""buildah, set up for machines where neither a container engine nor user namespaces can be counted on."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from . import settings
from .shell import run

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping

# What a package installer in a build may need to know of this machine; given to the build, never kept in the image.
_PASSED_PREFIXES = ("PIP_", "UV_")
_PASSED_NAMES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
# These name folders of this machine that a build cannot see.
_HOST_ONLY = ("PIP_FIND_LINKS", "PIP_CACHE_DIR", "UV_CACHE_DIR", "UV_PYTHON_INSTALL_DIR", "UV_PROJECT_ENVIRONMENT")
_CERTIFICATES = Path("/etc/ssl/certs")
_PIP_CONFIG = Path("/etc/pip.conf")


def run_buildah(
    *words: str | Path, log: Path | None = None, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run buildah with its storage below the cache, so that it shares nothing with the user's own."""
    storage = settings.CACHE / "buildah"
    storage.mkdir(parents=True, exist_ok=True)
    options = ["--root", storage / "root", "--runroot", storage / "run", "--storage-driver", "vfs"]
    environment = {"BUILDAH_ISOLATION": "chroot", "STORAGE_DRIVER": "vfs", **(env or {})}
    return run(["buildah", *options, *words], env=environment, log=log)


def passed_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Pick the installer settings of this machine that make sense within a build."""
    return {
        name: value
        for name, value in sorted(environment.items())
        if name not in _HOST_ONLY and (name.startswith(_PASSED_PREFIXES) or name in _PASSED_NAMES)
    }


def build_words(
    dockerfile: Path, context: Path, arguments: Mapping[str, str], environment: Mapping[str, str]
) -> list[str | Path]:
    """Compose a build that trusts what this machine trusts, and leaves no trace of it in the image."""
    words: list[str | Path] = ["build", "--quiet", "--layers", "--pull-never", "-f", dockerfile]
    for source in (_CERTIFICATES, _PIP_CONFIG):
        if source.exists():
            words += ["--volume", f"{source}:{source}:ro"]
    for name, value in passed_environment(environment).items():
        words += ["--env", f"{name}={value}", "--unsetenv", name]
    for name, value in arguments.items():
        words += ["--build-arg", f"{name}={value}"]
    return [*words, context]


def build(dockerfile: Path, context: Path, arguments: Mapping[str, str], tag: str, log: Path) -> None:
    """Build a Dockerfile and keep the result under a tag."""
    words = build_words(dockerfile, context, arguments, os.environ)
    run_buildah(*words[:1], "-t", tag, *words[1:], log=log)


def has(image: str) -> bool:
    """Tell whether the storage has an image."""
    return image in run_buildah("images", "--format", "{{.Name}}:{{.Tag}}").stdout.split()
