"""A program at a terminal of its own, recorded as an asciicast (version 2): what it wrote, and when."""

import asyncio
import codecs
import contextlib
import fcntl
import json
import os
import pty
import signal
import struct
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.fakes.tube import Tube

LOOK = 0.02
"""Seconds between two looks for something new, a picture's most."""
PATIENCE = 5.0
"""Seconds in which a program should heed a signal."""


async def record(
    command: Sequence[str],
    environment: Mapping[str, str],
    *,
    size: tuple[int, int],
    until: Callable[[str], bool],
    seconds: float,
) -> list[tuple[float, str]]:
    """Run a command at a terminal of (columns, lines); return (seconds since the start, text) of all that it wrote.

    It is interrupted as soon as ``until`` says so of everything written so far, or after so many seconds.
    """
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
    process = await asyncio.create_subprocess_exec(
        *command, env=dict(environment), stdin=slave, stdout=slave, stderr=slave, start_new_session=True
    )
    os.close(slave)
    os.set_blocking(master, False)
    written: list[tuple[float, str]] = []
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    begun = time.monotonic()
    while time.monotonic() - begun < seconds:
        try:
            piece = os.read(master, 1 << 16)
        except BlockingIOError:
            await asyncio.sleep(LOOK)
            continue
        except OSError:
            break  # the program has ended
        # A piece may end in the middle of a character.
        written.append((time.monotonic() - begun, decoder.decode(piece)))
        if until("".join(text for _, text in written)):
            break
    await _end(process)
    os.close(master)
    return written


async def _end(process: asyncio.subprocess.Process) -> None:
    """Interrupt it; a program that ignores that, as one does which was started in the background, is terminated."""
    for word in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(word)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), PATIENCE)
            return


def save(path: Path, written: Sequence[tuple[float, str]], size: tuple[int, int], title: str) -> None:
    """Write a recording where ``asciinema play`` takes it."""
    head = {"version": 2, "width": size[0], "height": size[1], "title": title, "env": {"TERM": "xterm-256color"}}
    lines = [json.dumps(head), *(json.dumps([round(at, 3), "o", text], ensure_ascii=False) for at, text in written)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def frames(written: Sequence[tuple[float, str]]) -> list[tuple[float, list[str]]]:
    """Play a recording of the live view; return (seconds, lines) of every state of its block, without colours."""
    tube, found = Tube(), []
    for when, text in written:
        tube.feed(text)
        found.append((when, [row for row in tube.rows if row]))
    return found
