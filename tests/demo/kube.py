"""kubectl and helm as coroutines, and the one thing asked of them that has no end: a watch."""

import asyncio
import json
import os
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

Manifest = dict[str, Any]

LONGEST_LINE = 1 << 20
PAUSE = 0.3


class DemoError(Exception):
    """The demo cannot go on; the text is for the person who watches."""


class Kube:
    """The programs of the development cluster, as its administrator."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._folder = Path(env["PATH_PREPEND"])
        self._env = {**os.environ, "KUBECONFIG": env["KUBECONFIG"]}

    async def kubectl(self, *words: str, stdin: str = "") -> str:
        """Run kubectl and return what it prints; raises DemoError."""
        return await self._run("kubectl", *words, stdin=stdin)

    async def helm(self, *words: str) -> str:
        """Run helm and return what it prints; raises DemoError."""
        return await self._run("helm", *words)

    async def apply(self, manifest: Manifest) -> None:
        """Apply server-side, so that a field left out is a field taken back."""
        await self.kubectl("apply", "--server-side", "--field-manager=demo", "-f", "-", stdin=json.dumps(manifest))

    async def get(self, *words: str) -> Manifest | None:
        """Return one object, None if it is not there."""
        text = await self.kubectl("get", *words, "-o", "json", "--ignore-not-found")
        found: Manifest | None = json.loads(text) if text.strip() else None
        return found

    async def watch(self, *words: str) -> AsyncGenerator[Manifest, None]:
        """Yield objects, as they are and whenever they change, for ever: a watch that ends is begun again."""
        while True:
            command = ("get", *words, "--watch", "-o", "json")
            options = {"stdin": DEVNULL, "stderr": DEVNULL, "limit": LONGEST_LINE}
            async with self._started("kubectl", *command, **options) as process:
                assert process.stdout
                async for document in documents(process.stdout):
                    yield document
            await asyncio.sleep(PAUSE)

    async def _run(self, program: str, *words: str, stdin: str = "") -> str:
        async with self._started(program, *words, stdin=PIPE, stderr=PIPE) as process:
            out, err = await process.communicate(stdin.encode())
        if process.returncode:
            reason = err.decode(errors="replace").strip() or f"exit code {process.returncode}"
            raise DemoError(f"{program} {' '.join(words[:4])} ...: {reason}")
        return out.decode()

    @asynccontextmanager
    async def _started(self, program: str, *words: str, **options: Any) -> AsyncIterator[Process]:
        # In a session of its own: Ctrl-C is for us, and what cleans up must outlive it.
        process = await asyncio.create_subprocess_exec(
            self._folder / program, *words, stdout=PIPE, env=self._env, start_new_session=True, **options
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.terminate()
                await process.wait()


async def documents(stream: asyncio.StreamReader) -> AsyncIterator[Manifest]:
    """Cut what `kubectl get --watch -o json` prints, one indented object after the other, into objects."""
    lines: list[bytes] = []
    async for line in stream:
        lines.append(line)
        if line.rstrip() == b"}":
            yield json.loads(b"".join(lines))
            lines.clear()
