"""What the machine must have, and what is installed when it does not."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from . import settings
from .processes import command_lines, is_ours
from .progress import step
from .shell import ClusterError, run

# Something each package puts on the machine -> the package.
_PACKAGES = {
    "runc": "runc",
    "iptables": "iptables",
    "conntrack": "conntrack",
    "ip": "iproute2",
    "socat": "socat",
    "openssl": "openssl",
    "buildah": "buildah",
    "mmdebstrap": "mmdebstrap",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
    "/usr/share/keyrings/debian-archive-keyring.gpg": "debian-archive-keyring",
}
_MINIMUM_GO = (1, 26)
_SYSTEM_PATH = "/usr/sbin:/sbin:/usr/bin:/bin"


def missing_packages() -> list[str]:
    """Return the Debian packages that are not there yet."""
    path = f"{os.environ.get('PATH', '')}:{_SYSTEM_PATH}"
    return [
        package
        for item, package in _PACKAGES.items()
        if not (Path(item).exists() if item.startswith("/") else shutil.which(item, path=path))
    ]


def _check_go() -> None:
    if shutil.which("go") is None:
        raise ClusterError("the local provider builds Kubernetes from source: install Go >= 1.26 (https://go.dev/dl)")
    version = run(["go", "env", "GOVERSION"]).stdout.strip()
    numbers = tuple(int(part) for part in version.removeprefix("go").split("-")[0].split(".")[:2] if part.isdigit())
    if numbers < _MINIMUM_GO:
        raise ClusterError(f"Go >= 1.26 is needed, this is {version}")


def foreign_runtimes() -> list[str]:
    """Name kubelets and Docker engines of somebody else that run here."""
    wanted = {"kubelet", "dockerd"}
    found = []
    for pid, words in command_lines():
        program = words[0].rpartition("/")[2]
        if program in wanted and not is_ours(words):
            found.append(f"{program} (pid {pid})")
    return found


def check() -> None:
    """Refuse early and clearly what cannot work."""
    if os.geteuid() != 0:
        raise ClusterError(
            "the local provider needs root (it runs a kubelet); as a normal user install Docker and kind and use those"
        )
    if not Path("/etc/debian_version").exists():
        raise ClusterError("the local provider needs Debian or Ubuntu; elsewhere install Docker and kind")
    _check_go()
    foreign = foreign_runtimes()
    if foreign and os.environ.get("FAIRWAY_CLUSTER_FORCE") != "1":
        raise ClusterError(
            f"this machine already runs {', '.join(foreign)}: a second kubelet and its iptables rules may disturb it. "
            "Set FAIRWAY_CLUSTER_FORCE=1 to go on anyway."
        )


def install_packages() -> None:
    """Install what is missing, and say so."""
    missing = missing_packages()
    if not missing:
        return
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    with step(f"apt-get install {' '.join(missing)}"):
        run(["apt-get", "update", "-qq"], env=quiet, check=False)
        log = settings.LOGS / "apt.log"
        run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing], env=quiet, log=log)
