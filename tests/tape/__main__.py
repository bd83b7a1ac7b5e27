"""Record a canary and a rollback from a running cluster into docs/: run it beside `make demo`.

    python -m tests.tape --namespace demo --name churn

It watches until a version has been rolled back. ``docs/tape.cast`` is for `asciinema play docs/tape.cast`;
``docs/tape.md`` shows the moments at which the phase or the weight changed.
"""

import argparse
import asyncio
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.tape.cast import frames, record, save

ROOT = Path(__file__).resolve().parents[2]
SIZE = (100, 40)
HEAD = """# A tape

A canary that is promoted and one that takes itself out, as `kubectl fairway status {name} --watch` showed them: the
moments at which the phase or the weight changed. `asciinema play docs/tape.cast` plays all of it.
"""


async def tape(words: list[str], environment: Mapping[str, str], folder: Path, seconds: float) -> list[str]:
    """Record into a folder; return what was told."""
    plugin = str(Path(sys.executable).with_name("fairway"))
    command = [plugin, "status", *words, "--watch"]
    terminal = {**environment, "TERM": "xterm-256color", "COLUMNS": str(SIZE[0]), "LINES": str(SIZE[1])}
    written = await record(command, terminal, size=SIZE, until=_is_over, seconds=seconds)
    save(folder / "tape.cast", written, SIZE, f"kubectl fairway status {words[0]} --watch")
    moments = _moments(frames(written))
    shown = "\n".join(f"After {at:.0f} s:\n\n```text\n{chr(10).join(lines)}\n```\n" for at, lines in moments)
    (folder / "tape.md").write_text(f"{HEAD.format(name=words[0])}\n{shown}", encoding="utf-8")
    return [lines[1] for _, lines in moments]


def _is_over(text: str) -> bool:
    return " RolledBack" in text.rpartition("Next:")[0]


def _moments(found: list[tuple[float, list[str]]]) -> list[tuple[float, list[str]]]:
    """Keep the first whole picture after each change of what the second line says."""
    kept: list[tuple[float, list[str]]] = []
    for when, lines in found:
        if len(lines) > 1 and (not kept or _gist(lines) != _gist(kept[-1][1])):
            kept.append((when, lines))
        elif kept and len(lines) > 1 and when - kept[-1][0] < 1:
            kept[-1] = (kept[-1][0], lines)
    return kept


def _gist(lines: list[str]) -> tuple[str, ...]:
    """Phase, and version with its weight."""
    return tuple(lines[1].split(",")[0].split(";")[0].split())[:5]


def main() -> int:
    """Read the command line, and record."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.tape", description=__doc__.splitlines()[0] if __doc__ else ""
    )
    parser.add_argument("--namespace", default="demo")
    parser.add_argument("--name", default="churn")
    parser.add_argument("--seconds", type=float, default=900.0)
    options = parser.parse_args()
    words = [options.name, "-n", options.namespace]
    for line in asyncio.run(tape(words, os.environ, ROOT / "docs", options.seconds)):
        print(line)
    return 0


if __name__ == "__main__":
    sys.exit(main())
