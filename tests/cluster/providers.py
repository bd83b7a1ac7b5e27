"""Choose the provider by what the machine has, and stay with it once a cluster exists."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Protocol, cast

from . import kind, local, settings
from .shell import ClusterError, write_file

if TYPE_CHECKING:
    from pathlib import Path

    from .build import Request


class Provider(Protocol):
    """What a provider (a module) offers."""

    def up(self) -> None:
        """Bring up whatever is not up."""

    def down(self, *, purge: bool) -> None:
        """Take it away."""

    def build_image(self, request: Request) -> None:
        """Build an image where pods can use it."""

    def load_image(self, archive: Path) -> None:
        """Import an image archive."""


_PROVIDERS = {"local": cast("Provider", local), "kind": cast("Provider", kind)}


def name() -> str:
    """Decide: what is asked for, what there is already, what the machine can do."""
    wanted = os.environ.get("FAIRWAY_CLUSTER_PROVIDER")
    if wanted:
        return wanted
    if settings.PROVIDER_FILE.exists():
        return settings.PROVIDER_FILE.read_text().strip()
    return "kind" if shutil.which("kind") and kind.engine() else "local"


def chosen() -> Provider:
    """Return the provider to use."""
    wanted = name()
    if wanted not in _PROVIDERS:
        raise ClusterError(f"FAIRWAY_CLUSTER_PROVIDER={wanted}: there are {', '.join(_PROVIDERS)}")
    return _PROVIDERS[wanted]


def remember(provider: Provider) -> None:
    """Keep the choice, so that `down` and `build-image` mean the same cluster."""
    write_file(settings.PROVIDER_FILE, next(key for key, value in _PROVIDERS.items() if value is provider))
