"""The command line run inside a test, against the served world."""

from __future__ import annotations

import asyncio
import contextlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairway.cli import program
from tests.fakes.served import Served


class Screen(io.StringIO):
    """An output that is a terminal, where asked."""

    def __init__(self, *, terminal: bool) -> None:
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


@dataclass(frozen=True)
class Ended:
    """How a call ended, and what it said."""

    code: int
    out: str
    err: str


@dataclass
class Shell:
    """Calls the program with the served world's kubeconfig and clock."""

    served: Served
    home: Path

    async def __call__(self, *words: str, terminal: bool = False, width: int = 80, **more: Any) -> Ended:
        config = self.home / "kubeconfig"
        config.write_text(self.served.kubeconfig())
        out, err = Screen(terminal=terminal), io.StringIO()

        def run() -> int:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                try:
                    environment = {"KUBECONFIG": str(config)}
                    return program.main(
                        [*words],
                        prog="fairway",
                        out=out,
                        err=err,
                        clock=self.served.now,
                        width=width,
                        environment=environment,
                        **more,
                    )
                except SystemExit as ended:
                    return int(ended.code or 0)

        code = await asyncio.to_thread(run)
        return Ended(code, out.getvalue(), err.getvalue())
