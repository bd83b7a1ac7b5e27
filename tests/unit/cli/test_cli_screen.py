"""The live block: what a terminal shows after the updates, and that nothing is written twice."""

import io

import pytest

from fairway.cli.screen import CLEAR_LINE, Screen, update
from tests.fakes.tube import Tube


def play(text: str, size: int | None = None) -> list[str]:
    """What stands on a terminal after this text, in pieces of so many characters."""
    tube = Tube()
    for i in range(0, len(text), size or len(text) or 1):
        tube.feed(text[i : i + (size or len(text))])
    return tube.rows[:-1]


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_a_terminal_shows_the_same_in_whatever_pieces_it_is_written(size):
    text = update([], ["\x1b[32mone\x1b[0m two", "three"]) + update(["one two", "three"], ["one", "four", "five"])
    assert play(text, size) == play(text) == ["one", "four", "five"]


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
