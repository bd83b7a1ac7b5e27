"""The live block: what a terminal shows after the updates, and that nothing is written twice."""

import io
import re

import pytest

from fairway.cli.screen import CLEAR_LINE, Screen, update

PIECES = re.compile(r"\x1b\[(\d*)([AJK])|\x1b\[\?25[lh]|\r|\n|[^\x1b\r\n]+")


def play(text: str) -> list[str]:
    """A small terminal: what stands on it after this text."""
    rows, at = [""], 0
    for piece in PIECES.finditer(text):
        word, number, action = piece.group(0), piece.group(1), piece.group(2)
        if action == "A":
            at -= int(number)
        elif action == "J":
            del rows[at + 1 :]
            rows[at] = ""
        elif action == "K":
            rows[at] = ""
        elif word == "\n":
            at += 1
            rows += [""] * (at >= len(rows))
        elif word[0] not in "\r\x1b":
            rows[at] = word
    return rows[:-1]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ([], ["a"]),
        (["a", "b", "c"], ["a", "x", "c"]),
        (["a"], ["a", "b", "c"]),
        (["a", "b", "c"], ["a"]),
        (["a", "b"], ["x", "y", "z"]),
        (["a", "b"], []),
    ],
)
def test_the_terminal_shows_the_new_lines(old, new):
    assert play(update([], old) + update(old, new)) == new


def test_only_what_changed_is_written():
    assert update(["a", "b", "c"], ["a", "b", "c"]) == ""
    sent = update(["same", "old", "same too"], ["same", "new", "same too"])
    assert sent.count(CLEAR_LINE) == 1
    assert "same" not in sent


def test_what_does_not_fit_is_left_out_with_a_word():
    out = io.StringIO()
    with Screen(out) as screen:
        screen.show([str(n) for n in range(10)], (80, 5))
    assert play(out.getvalue()) == ["0", "1", "2", "(7 more lines)"]


def test_the_cursor_comes_back_even_when_interrupted():
    out = io.StringIO()
    with pytest.raises(KeyboardInterrupt), Screen(out):
        raise KeyboardInterrupt
    assert out.getvalue().endswith("\x1b[?25h")
