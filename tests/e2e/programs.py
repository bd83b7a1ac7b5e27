"""kubectl, helm and others, as a user has them."""

import asyncio
import os
from pathlib import Path

from tests.cluster.environment import cluster_env

ROOT = Path(__file__).resolve().parents[2]


def environment() -> dict[str, str]:
    """Everything that kubectl and helm need."""
    found = cluster_env()
    path = found.pop("PATH_PREPEND")
    return {**os.environ, **found, "PATH": f"{path}:{os.environ['PATH']}"}


async def run(*command: str, stdin: str | None = None, check: bool = True, seconds: float = 300.0) -> str:
    """Run a program; fail with what it said."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=ROOT,
        env=environment(),
        stdin=asyncio.subprocess.PIPE if stdin is not None else asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(seconds):
            out, err = await process.communicate(stdin.encode() if stdin is not None else None)
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    if check and process.returncode:
        raise AssertionError(f"{' '.join(command)}: {err.decode().strip()}")
    return out.decode() if not process.returncode else out.decode() + err.decode()


async def kubectl(*arguments: str, stdin: str | None = None, check: bool = True) -> str:
    """kubectl, against the development cluster."""
    return await run("kubectl", *arguments, stdin=stdin, check=check)
