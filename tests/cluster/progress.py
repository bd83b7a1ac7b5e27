"""One line per step with its time; a step that takes long shows that it is alive."""

from __future__ import annotations

import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_WIDTH = 58
_PLAIN_INTERVAL = 15.0


class Step:
    """A running step; `note` replaces what is printed at its end."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.started = time.monotonic()
        self.result = ""
        self._done = threading.Event()
        self._ticker = threading.Thread(target=self._tick, daemon=True)

    def note(self, result: str) -> None:
        """Say how it ended, where "done" says too little."""
        self.result = result

    def start(self) -> None:
        self._ticker.start()

    def finish(self, *, failed: bool) -> None:
        """Print the one line that stays."""
        self._done.set()
        self._ticker.join()
        clear = "\r\033[K" if sys.stderr.isatty() else ""
        result = "FAILED" if failed else self.result
        print(f"{clear}{self._line()}  {result}".rstrip(), file=sys.stderr, flush=True)

    def _line(self) -> str:
        return f"{self.text:.<{_WIDTH}} {time.monotonic() - self.started:6.1f} s"

    def _tick(self) -> None:
        live = sys.stderr.isatty()
        while not self._done.wait(1.0 if live else _PLAIN_INTERVAL):
            if live:
                print(f"\r\033[K{self._line()}", end="", file=sys.stderr, flush=True)
            else:
                print(f"{self._line()}  still working", file=sys.stderr, flush=True)


@contextmanager
def step(text: str) -> Iterator[Step]:
    """Time a block and print it as one line."""
    current = Step(text + " ")
    current.start()
    try:
        yield current
    except BaseException:
        current.finish(failed=True)
        raise
    current.finish(failed=False)


def say(text: str) -> None:
    """Print one line for the human; standard output stays free for data."""
    print(text, file=sys.stderr, flush=True)
