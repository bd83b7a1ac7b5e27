"""The `kind` provider."""

from pathlib import Path

from .build import Request


def up() -> None:
    raise NotImplementedError


def down(*, purge: bool) -> None: ...
def build_image(request: Request) -> None: ...
def load_image(archive: Path) -> None: ...
