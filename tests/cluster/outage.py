"""Take one part of the local cluster away for a while: what a test of failures needs."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from . import local, processes
from .shell import ClusterError

if TYPE_CHECKING:
    from collections.abc import Iterator


def _known(part: str) -> str:
    if part not in local.DAEMONS:
        raise ClusterError(f"the parts of the local cluster are: {', '.join(local.DAEMONS)}")
    return part


def stop(part: str) -> None:
    """Stop a part; the next `up` or `start` brings it back."""
    processes.stop(_known(part))


def start(part: str) -> None:
    """Start a part as `up` left it, and wait until it serves."""
    processes.ensure(local.DAEMONS[_known(part)]())


@contextmanager
def without(part: str) -> Iterator[None]:
    """Run a block while a part is gone, for example `with without("prometheus"):`."""
    stop(part)
    try:
        yield
    finally:
        start(part)
