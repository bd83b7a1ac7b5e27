"""A block of lines that is kept up to date in place: only lines that changed are written."""

from typing import Self, TextIO

CLEAR_LINE = "\x1b[2K"
CLEAR_BELOW = "\x1b[J"
HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"


class Screen:
    """Where the block is, and what stands there. Use as a context, so that the cursor comes back."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._shown: list[str] = []
        self._size = (0, 0)

    def __enter__(self) -> Self:
        self._write(HIDE)
        return self

    def __exit__(self, *_: object) -> None:
        self._write(SHOW)

    def show(self, lines: list[str], size: tuple[int, int]) -> None:
        """Show these lines on a terminal of (columns, lines); what does not fit is left out at the end."""
        _, height = size
        fitting = (
            lines if len(lines) < height else [*lines[: max(1, height - 2)], f"({len(lines) - height + 2} more lines)"]
        )
        if size != self._size and self._shown:
            # Lines may have been broken anew: nobody knows where the block begins, so it begins again below.
            self._shown = []
            self._write("\r" + CLEAR_BELOW)
        self._size = size
        self._write(update(self._shown, fitting))
        self._shown = fitting

    def _write(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()


def update(old: list[str], new: list[str]) -> str:
    """Return what to send so that the lines below which the cursor stands become the new ones."""
    if old == new:
        return ""
    out = [f"\x1b[{len(old)}A"] if old else []
    for i, line in enumerate(new):
        if i >= len(old):
            out.append(f"{line}\n")
        elif line == old[i]:
            out.append("\n")
        else:
            out.append(f"\r{CLEAR_LINE}{line}\n")
    if len(new) < len(old):
        out.append(CLEAR_BELOW)
    return "".join(out)
