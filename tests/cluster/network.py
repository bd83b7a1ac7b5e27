"""The pods' network: one bridge that is also the node's address, a CNI configuration, one masquerading rule."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from . import settings
from .shell import run, write_file

_COMMENT = "fairway-cluster"
_SYSCTL = Path("/proc/sys")
_SAVED_SETTINGS = settings.STATE / "sysctl-before.json"
_WANTED_SETTINGS = {
    "net/ipv4/ip_forward": "1",
    # Lets Service rules see traffic between two pods of the same bridge; built in, a module, or missing.
    "net/bridge/bridge-nf-call-iptables": "1",
    # A refused DNS query is an ICMP message: at the default of one per second a failing look-up takes 20 s.
    "net/ipv4/icmp_ratelimit": "0",
}
_OUTBOUND = (
    *("-s", settings.POD_CIDR, "!", "-d", settings.POD_CIDR),
    *("-m", "comment", "--comment", _COMMENT, "-j", "MASQUERADE"),
)
# The bridge's traffic must pass where a firewall drops forwarded packets by default.
_FORWARD = tuple(
    (direction, settings.BRIDGE, "-m", "comment", "--comment", _COMMENT, "-j", "ACCEPT") for direction in ("-i", "-o")
)


def cni_configuration() -> dict[str, object]:
    """Build the CNI chain: pods join our bridge, addresses are kept below our state folder."""
    ipam = {
        "type": "host-local",
        "ranges": [[{"subnet": settings.POD_CIDR, "gateway": settings.POD_GATEWAY}]],
        "routes": [{"dst": "0.0.0.0/0"}],
        "dataDir": str(settings.STATE / "cni"),
    }
    bridge = {
        "type": "bridge",
        "bridge": settings.BRIDGE,
        "isGateway": True,
        "ipMasq": False,
        "hairpinMode": True,
        "ipam": ipam,
    }
    return {"cniVersion": "1.0.0", "name": "fairway", "plugins": [bridge]}


def ensure() -> None:
    """Create what is missing; every command may be repeated."""
    write_file(settings.CNI_CONFIG / "10-fairway.conflist", json.dumps(cni_configuration(), indent=1))
    if not _bridge_exists():
        run(["ip", "link", "add", settings.BRIDGE, "type", "bridge"])
    run(["ip", "address", "replace", settings.bridge_address(), "dev", settings.BRIDGE])
    run(["ip", "link", "set", settings.BRIDGE, "up"])
    # Host programs call Services from the bridge's address, also on a machine without a default route.
    run(["ip", "route", "replace", settings.SERVICE_CIDR, "dev", settings.BRIDGE, "src", settings.POD_GATEWAY])
    _kernel_settings()
    _ensure_rule("nat", "POSTROUTING", _OUTBOUND)
    for rule in _FORWARD:
        _ensure_rule("filter", "FORWARD", rule)


def _bridge_exists() -> bool:
    return run(["ip", "link", "show", settings.BRIDGE], check=False).returncode == 0


def _kernel_settings() -> None:
    if not (_SYSCTL / "net/bridge").exists() and shutil.which("modprobe"):
        run(["modprobe", "-q", "br_netfilter"], check=False)
    before = _saved_settings()
    for name, value in _WANTED_SETTINGS.items():
        path = _SYSCTL / name
        if path.exists() and (current := path.read_text().strip()) != value:
            before.setdefault(name, current)
            write_file(_SAVED_SETTINGS, json.dumps(before))
            path.write_text(value)


def _saved_settings() -> dict[str, str]:
    found: dict[str, str] = json.loads(_SAVED_SETTINGS.read_text()) if _SAVED_SETTINGS.exists() else {}
    return found


def _restore_kernel_settings() -> None:
    for name, value in _saved_settings().items():
        (_SYSCTL / name).write_text(value)
    _SAVED_SETTINGS.unlink(missing_ok=True)


def _ensure_rule(table: str, chain: str, rule: tuple[str, ...]) -> None:
    if run(["iptables", "-w", "-t", table, "-C", chain, *rule], check=False).returncode != 0:
        run(["iptables", "-w", "-t", table, "-A", chain, *rule])


def remove() -> None:
    """Take the bridge and every rule of ours and of our kube-proxy and kubelet away; give settings their old values."""
    _restore_kernel_settings()
    if _bridge_exists():
        run(["ip", "link", "delete", settings.BRIDGE])
    for family in ("iptables", "ip6tables"):
        for table in ("nat", "filter", "mangle"):
            saved = run([f"{family}-save", "-t", table], check=False).stdout
            script = removal_script(table, saved)
            if script:
                run([f"{family}-restore", "-w", "--noflush"], stdin=script)


def removal_script(table: str, saved: str) -> str:
    """Turn `iptables-save` output into the `iptables-restore` input that removes the cluster's chains and rules."""
    lines = saved.splitlines()
    chains = [line[1:].split()[0] for line in lines if line.startswith(":KUBE-")]
    rules = [line for line in lines if line.startswith("-A ") and not line.startswith("-A KUBE-")]
    deletions = [f"-D {rule[3:]}" for rule in rules if "-j KUBE-" in rule or _COMMENT in rule]
    if not chains and not deletions:
        return ""
    # Declaring a chain flushes it; only then nothing refers to the chains and they can go.
    declared = [f":{chain} - [0:0]" for chain in chains]
    dropped = [f"-X {chain}" for chain in chains]
    return "\n".join([f"*{table}", *declared, *deletions, *dropped, "COMMIT", ""])
