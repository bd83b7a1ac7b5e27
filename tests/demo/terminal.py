"""Lines with the time in front; colours where somebody looks."""

import os
import time
from collections.abc import Callable
from typing import TextIO

from tests.demo.timeline import Kind, Line

_COLOURS: dict[Kind, str] = {
    "weight": "36",
    "good": "32",
    "bad": "31;1",
    "open": "33",
    "event": "0",
    "warning": "31",
    "wait": "2",
}
_LABEL = 13
_INDENT = " " * (8 + _LABEL)


class Terminal:
    """Where the story is told. Times are minutes and seconds since its beginning."""

    def __init__(self, stream: TextIO, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._begun = clock()
        self._colour = stream.isatty() and "NO_COLOR" not in os.environ

    def heading(self, text: str) -> None:
        """Open an act."""
        self._print("")
        self._print(self._paint("1", f"{self._time()}  {text}"))

    def note(self, text: str) -> None:
        """Say something in the demo's own name."""
        self._print(f"{self._time()}  {text}")

    def line(self, line: Line) -> None:
        """Tell something that the operator said."""
        label = f"{line.label:<{_LABEL}}"
        self._print(f"{self._time()}  {self._paint(_COLOURS[line.kind], f'{label}{line.text}')}")
        for detail in line.details:
            self._print(f"{_INDENT}{self._paint('2', detail)}")

    def plain(self, text: str) -> None:
        """Print as it is."""
        self._print(text.rstrip())

    def failure(self, text: str) -> None:
        """Say why this is no success."""
        self._print(self._paint("31;1", f"FAILED: {text}"))

    def success(self, text: str) -> None:
        """Say that all is as it should be."""
        self._print(self._paint("32;1", text))

    def _time(self) -> str:
        minutes, seconds = divmod(int(self._clock() - self._begun), 60)
        return f"{minutes:>3}:{seconds:02}"

    def _paint(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._colour else text

    def _print(self, text: str) -> None:
        print(text, file=self._stream, flush=True)
