"""A small terminal: what stands on it after everything that was written to it, in pieces of any size."""

import re

ESCAPE = re.compile(r"\x1b\[([?0-9;]*)([A-Za-z])")
PIECES = re.compile(rf"{ESCAPE.pattern}|\r|\n|[^\x1b\r\n]+")
UNFINISHED = re.compile(r"\x1b(\[[?0-9;]*)?$")


class Tube:
    """Knows the movements that the live view makes, and no colours."""

    def __init__(self) -> None:
        self._rows = [""]
        self._row = 0
        self._column = 0
        self._rest = ""

    @property
    def rows(self) -> list[str]:
        """Its lines, down to where the cursor is or has been; without the blanks at their ends."""
        return [row.rstrip() for row in self._rows]

    def feed(self, text: str) -> None:
        """Write to it; an escape whose end has not come yet waits for that."""
        text = self._rest + text
        unfinished = UNFINISHED.search(text)
        self._rest = unfinished.group(0) if unfinished else ""
        for piece in PIECES.finditer(text.removesuffix(self._rest)):
            self._take(piece.group(0), piece.group(1), piece.group(2))

    def _take(self, word: str, number: str | None, action: str | None) -> None:
        if action:
            self._move(number or "", action)
        elif word == "\r":
            self._column = 0
        elif word == "\n":
            self._row, self._column = self._row + 1, 0
            self._rows += [""] * (self._row >= len(self._rows))
        else:
            row = self._rows[self._row].ljust(self._column)
            self._rows[self._row] = row[: self._column] + word + row[self._column + len(word) :]
            self._column += len(word)

    def _move(self, number: str, action: str) -> None:
        if action == "A":
            self._row = max(0, self._row - int(number or 1))
        elif action == "J":
            del self._rows[self._row + 1 :]
            self._rows[self._row] = self._rows[self._row][: self._column]
        elif action == "K":
            self._rows[self._row] = ""
