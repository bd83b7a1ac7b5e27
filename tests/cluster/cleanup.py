"""Take away from the machine what the cluster put there, also what a killed run left behind."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

from . import cgroups, network, settings
from .processes import end_process, process_start, stop, strays
from .progress import step
from .shell import ClusterError, run

# Users of the API server first, so that nothing fights what disappears; containerd after the pods have ended.
_BEFORE_PODS = ("traefik", "prometheus", "metrics-server", "kube-proxy", "kubelet")
_AFTER_PODS = ("containerd", "kube-scheduler", "kube-controller-manager", "kube-apiserver", "etcd")


def own_mounts() -> list[str]:
    """Return mount points below our state folder, the deepest first."""
    state = f"{settings.STATE}/"
    with open("/proc/self/mountinfo", encoding="utf-8") as handle:  # noqa: PTH123
        points = [line.split()[4].encode().decode("unicode_escape") for line in handle]
    return sorted((point for point in points if point.startswith(state)), key=len, reverse=True)


def _unmount_all() -> None:
    # Several mounts may lie on one point, and some go with their parents: repeat until none is seen.
    for _ in range(20):
        mounts = own_mounts()
        if not mounts:
            return
        for point in mounts:
            run(["umount", "--lazy", point], check=False)
    raise ClusterError(f"cannot unmount {', '.join(own_mounts()[:5])}")


def _end_strays() -> None:
    for pid, _words in strays():
        begun = process_start(pid)
        if begun is not None:
            end_process(pid, begun, seconds=2)


def take_down() -> None:
    """Stop everything; state on disk stays, so that the next `up` goes on as after a reboot."""
    with step("stopping"):
        for name in _BEFORE_PODS:
            stop(name)
        cgroups.remove()
        for name in _AFTER_PODS:
            stop(name)
        # The shims of our pods and whatever was started without being noted.
        _end_strays()
        _unmount_all()
        network.remove()
        _remove_links()


def _remove_links() -> None:
    """Remove what kubelet and CNI write to fixed places, as far as it is ours."""
    folder = Path("/var/log/containers")
    for link in folder.iterdir() if folder.is_dir() else ():
        if link.is_symlink() and str(link.readlink()).startswith(f"{settings.STATE}/"):
            link.unlink()
    results = Path("/var/lib/cni/results")
    for path in results.iterdir() if results.is_dir() else ():
        with contextlib.suppress(OSError):
            if f"{settings.STATE}/" in path.read_text():
                path.unlink()


def purge() -> None:
    """Remove the state, after making sure that no mount would be emptied through it."""
    if own_mounts():
        raise ClusterError(f"still mounted: {', '.join(own_mounts())}")
    shutil.rmtree(settings.STATE, ignore_errors=True)
