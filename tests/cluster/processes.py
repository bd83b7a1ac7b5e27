"""Daemons of the cluster: started once, found again by a later run, stopped only if they are ours."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import time
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING

from . import settings
from .shell import ClusterError, wait_for, write_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@dataclass(frozen=True)
class Daemon:
    """A program to keep running; `inputs` are files it reads only when it starts."""

    name: str
    argv: tuple[str, ...]
    ready: Callable[[], bool]
    env: dict[str, str] = field(default_factory=dict)
    inputs: tuple[Path, ...] = ()
    seconds: float = 60.0

    @property
    def log(self) -> Path:
        return settings.LOGS / f"{self.name}.log"

    def fingerprint(self) -> str:
        """Change when a restart is needed to take effect."""
        digest = hashlib.sha256(json.dumps([self.argv, sorted(self.env.items())]).encode())
        # The program is a link into the cache: where it points to is its version.
        digest.update(os.path.realpath(self.argv[0]).encode())
        for path in self.inputs:
            digest.update(path.read_bytes())
        return digest.hexdigest()


def process_start(pid: int) -> int | None:
    """Return the start time in clock ticks since boot, None for a dead process or a zombie.

    A pid alone may be reused by a stranger; a pid with its start time never is.
    """
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as handle:  # noqa: PTH123
            fields = handle.read().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])


@dataclass(frozen=True)
class Running:
    """A live process of ours."""

    name: str
    pid: int
    start: int
    fingerprint: str

    def age(self) -> float:
        """Return for how many seconds it has been running."""
        with open("/proc/uptime", encoding="ascii") as handle:  # noqa: PTH123
            uptime = float(handle.read().split()[0])
        return uptime - self.start / os.sysconf("SC_CLK_TCK")


def _pid_file(name: str) -> Path:
    return settings.PIDS / f"{name}.json"


def _note(process: Running) -> None:
    write_file(_pid_file(process.name), json.dumps(asdict(process)))


def running(name: str) -> Running | None:
    """Find a daemon by its pid file, if that very process still lives."""
    try:
        record = Running(**json.loads(_pid_file(name).read_text()))
    except (OSError, ValueError, TypeError):
        return None
    return record if process_start(record.pid) == record.start else None


def start(daemon: Daemon) -> bool:
    """Make sure it runs as described, without waiting; False if it already does."""
    current = running(daemon.name)
    wanted = daemon.fingerprint()
    if current is not None:
        if current.fingerprint == wanted:
            return False
        stop(daemon.name)
    _keep_one_old_log(daemon.log)
    with daemon.log.open("ab") as log:
        child = subprocess.Popen(
            daemon.argv,
            env={**os.environ, **daemon.env},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            # Own session: a Ctrl-C or a killed terminal must not take the cluster down.
            start_new_session=True,
        )
    begun = process_start(child.pid)
    if begun is not None:
        _note(Running(daemon.name, child.pid, begun, wanted))
    # The process outlives this tool; tell Popen not to complain about that.
    child.returncode = 0
    return True


def wait_ready(daemon: Daemon) -> None:
    """Wait until it serves; if it died instead, show why."""

    def serves() -> bool:
        if running(daemon.name) is None:
            raise ClusterError(f"{daemon.name} ended right after its start:\n{_tail(daemon.log)}")
        return daemon.ready()

    try:
        wait_for(serves, f"{daemon.name} ready", seconds=daemon.seconds)
    except ClusterError as error:
        raise ClusterError(f"{error}\nlog: {daemon.log}") from error


def ensure(daemon: Daemon) -> bool:
    """Start and wait; False if it was already there."""
    started = start(daemon)
    wait_ready(daemon)
    return started


def stop(name: str, *, seconds: float = 15.0) -> None:
    """Ask, then insist. The pid file goes last, so that a killed `stop` is repeated by the next one."""
    current = running(name)
    if current is not None:
        # If this run is killed while the process is still ending, the next one must not take it for a healthy one.
        _note(replace(current, fingerprint="stopping"))
        end_process(current.pid, current.start, seconds=seconds)
    _pid_file(name).unlink(missing_ok=True)


def end_process(pid: int, start_time: int, *, seconds: float) -> None:
    """Send SIGTERM, and SIGKILL if that has not helped in time."""

    def gone() -> bool:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
        return process_start(pid) != start_time

    for number, patience in ((signal.SIGTERM, seconds), (signal.SIGKILL, 10.0)):
        if gone():
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        deadline = time.monotonic() + patience
        while not gone() and time.monotonic() < deadline:
            time.sleep(0.05)
    if not gone():
        raise ClusterError(f"process {pid} survives SIGKILL")


def command_lines() -> Iterator[tuple[int, list[str]]]:
    """List every process of the machine with its arguments."""
    for entry in os.listdir("/proc"):  # noqa: PTH208
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/cmdline", "rb") as handle:  # noqa: PTH123
                words = handle.read().decode(errors="replace").split("\0")
        except OSError:
            continue
        if words[0]:
            yield int(entry), words[:-1]


def is_ours(words: list[str]) -> bool:
    """Tell a cluster process by its program or its arguments lying in our state folder."""
    state = f"{settings.STATE}/"
    program = words[0].rpartition("/")[2]
    known = {path.name for path in settings.BIN.glob("*")} | {"traefik"}
    return program in known and any(state in word for word in words)


def strays() -> list[tuple[int, list[str]]]:
    """Find our processes without a valid pid file, left by a tool killed between start and note."""
    noted = {current.pid for path in settings.PIDS.glob("*.json") if (current := running(path.stem))}
    return [(pid, words) for pid, words in command_lines() if pid not in noted and is_ours(words)]


def _keep_one_old_log(log: Path) -> None:
    limit = 50 * 1024 * 1024
    if log.exists() and log.stat().st_size > limit:
        log.replace(log.with_suffix(".old.log"))


def _tail(path: Path, lines: int = 12) -> str:
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
