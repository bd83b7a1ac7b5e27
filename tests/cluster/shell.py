"""Run commands, wait for conditions, write files: the few primitives everything else is made of."""

from __future__ import annotations

import os
import subprocess
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path


class ClusterError(Exception):
    """Something the user can act on; shown as one message without a traceback."""


def run(
    argv: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: str | None = None,
    check: bool = True,
    log: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run to the end with its output captured; a failure carries the last lines of it.

    With `log`, the whole output is kept there as well, for commands whose output is too long for a message.
    """
    words = [str(word) for word in argv]
    try:
        done = subprocess.run(
            words,
            env={**os.environ, **env} if env else None,
            cwd=cwd,
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError as missing:
        raise ClusterError(f"{words[0]} is not installed") from missing
    if log is not None:
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(f"$ {' '.join(words)}\n{done.stdout}{done.stderr}")
    if check and done.returncode != 0:
        tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-15:])
        raise ClusterError(f"`{' '.join(words)[:300]}` ended with {done.returncode}:\n{tail}")
    return done


def wait_for(condition: Callable[[], bool], what: str, *, seconds: float, every: float = 0.1) -> None:
    """Poll until true; past the deadline say what did not happen."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise ClusterError(f"{what}: not within {seconds:.0f} s")
        time.sleep(every)


def write_file(path: Path, text: str, *, mode: int = 0o644) -> None:
    """Write by rename, so that a tool killed half-way never leaves half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.touch(mode=mode)
    temporary.chmod(mode)
    temporary.write_text(text)
    temporary.replace(path)
