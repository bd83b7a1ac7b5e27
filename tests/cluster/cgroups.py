"""One cgroup of our own above all pods: what is left below it after a crash is ours to end."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

from . import settings
from .shell import wait_for

_MOUNT = Path("/sys/fs/cgroup")
# `unified` is where runc keeps cgroup v2 beside v1.
_V1 = ("cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids", "hugetlb", "systemd", "unified")
_WORTH = 4


def _unified() -> bool:
    return (_MOUNT / "cgroup.controllers").exists()


def roots() -> list[Path]:
    """Return our folder in each hierarchy of this machine, without links (`cpu` may be one to `cpu,cpuacct`)."""
    if _unified():
        return [_MOUNT / settings.CGROUP]
    present = {(_MOUNT / name).resolve() for name in _V1 if (_MOUNT / name).is_dir()}
    return sorted(folder / settings.CGROUP for folder in present)


def _prefer() -> None:
    """Give the pods together as much of the processors as some processes beside them, instead of as much as one.

    The cluster's daemons and what tests it compete as processes, each with the weight that this cgroup has by default:
    dozens of pods would share what is left, and those that serve would be unready for seconds.
    """
    for folder, name, default in (
        (roots()[0], "cpu.weight", 100),
        (_MOUNT / "cpu" / settings.CGROUP, "cpu.shares", 1024),
    ):
        if (folder / name).exists():
            (folder / name).write_text(str(default * _WORTH))


def ensure() -> None:
    """Create the cgroup; the kubelet refuses a root that is not there."""
    for folder in roots():
        folder.mkdir(exist_ok=True)
        if _unified():
            available = (_MOUNT / "cgroup.controllers").read_text().split()
            (_MOUNT / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in available))
        for name in ("cpuset.cpus", "cpuset.mems"):
            # On cgroup v1 an empty cpuset takes no process.
            if not _unified() and (folder / name).exists() and not (folder / name).read_text().strip():
                (folder / name).write_text((folder.parent / name).read_text())
    _prefer()


def _folders(top: Path) -> list[Path]:
    """List the tree, the leaves first; runc may be removing parts of it at this very moment, which os.walk takes."""
    return [Path(folder) for folder, _, _ in os.walk(top, topdown=False)]


def members() -> set[int]:
    """Return the pids of every process in our pods."""
    found: set[int] = set()
    for root in roots():
        for folder in _folders(root):
            with contextlib.suppress(OSError):
                found.update(int(line) for line in (folder / "cgroup.procs").read_text().split())
    return found


def remove() -> None:
    """End what still runs in it and remove the tree, the leaves first."""

    def emptied() -> bool:
        for pid in members():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return not members()

    wait_for(emptied, "processes of pods ended", seconds=20)
    for root in roots():
        for folder in _folders(root):
            with contextlib.suppress(OSError):
                folder.rmdir()
