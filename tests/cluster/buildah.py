"""buildah, set up for machines where neither a container engine nor user namespaces can be counted on."""

from __future__ import annotations

import configparser
import os
from functools import cache
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


def _options(driver: str) -> list[str | Path]:
    storage = settings.CACHE / "buildah" / driver
    storage.mkdir(parents=True, exist_ok=True)
    return ["--root", storage / "root", "--runroot", storage / "run", "--storage-driver", driver]


@cache
def storage_driver() -> str:
    """Prefer overlay, which rebuilds in a second; vfs copies every layer, but works where overlay cannot be mounted."""
    probe = run(["buildah", *_options("overlay"), "images", "--quiet"], check=False)
    return "overlay" if probe.returncode == 0 else "vfs"


def run_buildah(*words: str | Path, log: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run buildah with its storage below the cache, so that it shares nothing with the user's own."""
    return run(["buildah", *_options(storage_driver()), *words], env={"BUILDAH_ISOLATION": "chroot"}, log=log)


def pip_settings(config: str) -> dict[str, str]:
    """Turn pip's configuration file into the variables that mean the same.

    Mounting the file instead would leave an empty one in the image.
    """
    parser = configparser.RawConfigParser()
    parser.read_string(config)
    options = parser.items("global") if parser.has_section("global") else []
    return {f"PIP_{name.upper().replace('-', '_')}": value for name, value in options}


def installer_environment() -> dict[str, str]:
    """Return what this machine tells package installers, by its environment or by pip's configuration."""
    configured = pip_settings(_PIP_CONFIG.read_text()) if _PIP_CONFIG.is_file() else {}
    return configured | dict(os.environ)


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
    if _CERTIFICATES.exists():
        words += ["--volume", f"{_CERTIFICATES}:{_CERTIFICATES}:ro"]
    for name, value in passed_environment(environment).items():
        words += ["--env", f"{name}={value}", "--unsetenv", name]
    for name, value in arguments.items():
        words += ["--build-arg", f"{name}={value}"]
    return [*words, context]


def build(dockerfile: Path, context: Path, arguments: Mapping[str, str], tag: str, log: Path) -> str:
    """Build a Dockerfile, keep the result under a tag, and return its id: same id, same image."""
    words = build_words(dockerfile, context, arguments, installer_environment())
    return run_buildah(*words[:1], "-t", tag, *words[1:], log=log).stdout.split()[-1]


def has(image: str) -> bool:
    """Tell whether the storage has an image."""
    return image in run_buildah("images", "--format", "{{.Name}}:{{.Tag}}").stdout.split()
