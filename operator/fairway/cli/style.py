"""How it looks: the terminal's own colours only, and a sign beside each, so that nothing is told by colour alone."""

import os
from typing import TextIO

from rich.console import Console, RenderableType
from rich.text import Text

GOOD, BAD, OPEN, QUIET, STRONG = "green", "red", "yellow", "dim", "bold"
"""None of them is black or white: they read on dark and on light."""
_PHASES = {
    "Healthy": GOOD,
    "Ready": GOOD,
    "ready": GOOD,
    "Promoted": GOOD,
    "Progressing": "cyan",
    "Undecided": "cyan",
    "RolledBack": BAD,
    "RollingBack": BAD,
    "Degraded": BAD,
    "Regressed": BAD,
    "Crash": BAD,
    "Pull": BAD,
    "Fetch": BAD,
    "Config": BAD,
    "Warning": BAD,
    "error": BAD,
    "Paused": OPEN,
    "Unschedulable": OPEN,
    "NoTraffic": OPEN,
    "NoData": OPEN,
    "ProviderError": OPEN,
    "SharedDegradation": OPEN,
    "SampleRatioMismatch": OPEN,
    "warning": OPEN,
    "Suspended": QUIET,
    "Superseded": QUIET,
    "going": QUIET,
}
_SIGNS = {GOOD: ("✓", "+"), BAD: ("✗", "x"), OPEN: ("!", "!"), "cyan": ("…", "~"), QUIET: ("·", "-"), "": ("·", "-")}
BARS = "▁▂▃▄▅▆▇█"
PLAIN_BARS = "_.-~=+*#"


def console(out: TextIO, width: int | None = None) -> Console:
    """Return the terminal; colours obey NO_COLOR and the terminal's own abilities, and are off in a pipe.

    A pipe is as wide as COLUMNS says, else 160 characters: there is no edge to wrap at.
    """
    wide = width or (None if out.isatty() else int(os.environ.get("COLUMNS") or 160))
    return Console(file=out, width=wide, highlight=False, emoji=False, markup=False, soft_wrap=False)


def lines(target: Console, content: RenderableType) -> list[str]:
    """Render something as the terminal would show it, without the blanks at the ends of its lines."""
    with target.capture() as captured:
        target.print(content)
    return [line.rstrip() for line in captured.get().rstrip("\n").split("\n")]


def hanging(target: Console, text: Text, indent: int, *, first: int = 0) -> list[str]:
    """Wrap a text so that what follows its first line is indented by so many blanks."""
    wrapped = text.wrap(target, max(20, target.width - indent))
    blanks = [" " * (first if i == 0 else indent) for i in range(len(wrapped))]
    return [f"{blank}{line}" for blank, part in zip(blanks, wrapped, strict=True) for line in lines(target, part)]


def style_of(state: str) -> str:
    """Return the colour of a phase, verdict, outcome or pod's state."""
    return _PHASES.get(state, "")


def sign(state: str, target: Console) -> str:
    """Return the sign of a state, in ASCII where the terminal has no more."""
    fancy, plain = _SIGNS[style_of(state)]
    return plain if is_plain(target) else fancy


def is_plain(target: Console) -> bool:
    """Whether the terminal takes ASCII only."""
    return not target.encoding.lower().startswith("utf")


def word(state: str) -> Text:
    """Return a state in its colour."""
    return Text(state, style=style_of(state))


def sparkline(values: list[float], top: float, *, plain: bool) -> str:
    """Draw values in 0..top as one character each."""
    bars = PLAIN_BARS if plain else BARS
    highest = max([top, *values]) or 1.0
    return "".join(bars[min(len(bars) - 1, int(value / highest * (len(bars) - 1) + 0.5))] for value in values)
