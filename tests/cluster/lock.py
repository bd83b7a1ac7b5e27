"""One machine has one bridge, one set of ports, one cluster: two `up` at once must not race."""

from __future__ import annotations

import fcntl
import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from .progress import say

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def machine_lock(name: str) -> Iterator[None]:
    """Hold a lock that the kernel drops with the process, however it ends."""
    folder = Path("/run/lock") if os.access("/run/lock", os.W_OK) else Path(tempfile.gettempdir())
    with (folder / f"fairway-{name}.lock").open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"another `{name}` is running on this machine, waiting for it to end ...")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
