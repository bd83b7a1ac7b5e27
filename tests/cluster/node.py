"""The node: containerd with its shim, kubelet and kube-proxy, all on the host."""

from __future__ import annotations

import json
import os
from pathlib import Path

from . import cgroups, images, pki, settings
from .health import answers
from .processes import Daemon, ensure, start, wait_ready
from .shell import run, write_file

_CONTAINERD_CONFIG = settings.CONFIG / "containerd.toml"
_KUBELET_CONFIG = settings.CONFIG / "kubelet.json"
_KUBE_PROXY_CONFIG = settings.CONFIG / "kube-proxy.json"


def containerd_config() -> str:
    """Build containerd's configuration: own root, state and socket; no plugin that writes elsewhere."""
    return f"""\
version = 3
root = "{settings.CONTAINERD_ROOT}"
state = "{settings.CONTAINERD_STATE}"
disabled_plugins = ["io.containerd.nri.v1.nri", "io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.erofs"]

[grpc]
address = "{settings.CONTAINERD_SOCKET}"

[plugins."io.containerd.cri.v1.images"]
snapshotter = "overlayfs"

[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = "{settings.PAUSE_IMAGE}"

[plugins."io.containerd.cri.v1.runtime"]
disable_apparmor = true
restrict_oom_score_adj = true
# Network namespaces below the state folder: a leftover is then recognizably ours.
netns_mounts_under_state_dir = true

[plugins."io.containerd.cri.v1.runtime".cni]
bin_dirs = ["{settings.CNI_PLUGINS}"]
conf_dir = "{settings.CNI_CONFIG}"

[plugins."io.containerd.cri.v1.runtime".containerd]
default_runtime_name = "runc"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
SystemdCgroup = false
"""


def kubelet_config() -> dict[str, object]:
    """Build the kubelet's configuration that cgroup v1, swap or a full disk of a CI machine does not stop."""
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": settings.POD_GATEWAY,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(pki.certificate("ca"))},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(pki.certificate("kubelet-serving")),
        "tlsPrivateKeyFile": str(pki.key("kubelet-serving")),
        "containerRuntimeEndpoint": f"unix://{settings.CONTAINERD_SOCKET}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{settings.CGROUP}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "evictionHard": {"memory.available": "100Mi"},
        # Images are imported, not pulled: the kubelet must never delete one to win space.
        "imageGCHighThresholdPercent": 100,
        "maxPods": 250,
        # No DNS server runs; its Service has no endpoint, so that a look-up fails at once instead of hanging.
        "clusterDNS": [settings.DNS_SERVICE_IP],
        "clusterDomain": "cluster.local",
        "resolvConf": "",
        "podLogsDir": str(settings.POD_LOGS),
        "volumePluginDir": str(settings.KUBELET_ROOT / "volume-plugins"),
        "healthzBindAddress": "127.0.0.1",
        "featureGates": {"ImageVolume": True},
    }


def kube_proxy_config() -> dict[str, object]:
    """Build kube-proxy's configuration; it leaves the host's conntrack limits alone."""
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "iptables",
        "clusterCIDR": settings.POD_CIDR,
        "hostnameOverride": settings.NODE_NAME,
        "bindAddress": settings.POD_GATEWAY,
        "healthzBindAddress": "127.0.0.1:10256",
        "metricsBindAddress": "127.0.0.1:10249",
        "clientConnection": {"kubeconfig": str(pki.kubeconfig("kube-proxy"))},
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
        # Without this, pods of one bridge answer each other past the Service rules where br_netfilter is missing.
        "iptables": {"masqueradeAll": not Path("/proc/sys/net/bridge/bridge-nf-call-iptables").exists()},
    }


def containerd() -> Daemon:
    """Describe containerd; our shim comes first in PATH, before one of the distribution."""

    def serves() -> bool:
        return images.ctr("version", check=False).returncode == 0

    argv = (str(settings.BIN / "containerd"), f"--config={_CONTAINERD_CONFIG}")
    path = f"{settings.BIN}:/usr/sbin:/usr/bin:/sbin:/bin:{os.environ.get('PATH', '')}"
    return Daemon("containerd", argv, ready=serves, env={"PATH": path}, inputs=(_CONTAINERD_CONFIG,))


def kubelet() -> Daemon:
    """Describe the kubelet; the node's address is the bridge's, which no other machine has."""
    argv = (
        str(settings.BIN / "kubelet"),
        f"--config={_KUBELET_CONFIG}",
        f"--kubeconfig={pki.kubeconfig('kubelet')}",
        f"--root-dir={settings.KUBELET_ROOT}",
        f"--cert-dir={settings.KUBELET_ROOT}/pki",
        f"--hostname-override={settings.NODE_NAME}",
        f"--node-ip={settings.POD_GATEWAY}",
    )
    inputs = (_KUBELET_CONFIG, pki.certificate("kubelet-serving"))
    return Daemon("kubelet", argv, ready=lambda: answers("http://127.0.0.1:10248/healthz"), inputs=inputs)


def kube_proxy() -> Daemon:
    """Describe kube-proxy."""
    argv = (str(settings.BIN / "kube-proxy"), f"--config={_KUBE_PROXY_CONFIG}")
    return Daemon(
        "kube-proxy", argv, ready=lambda: answers("http://127.0.0.1:10256/livez"), inputs=(_KUBE_PROXY_CONFIG,)
    )


def ensure_containerd() -> None:
    """Start containerd and give it the image every pod begins with."""
    write_file(_CONTAINERD_CONFIG, containerd_config())
    ensure(containerd())
    images.ensure_pause()


def ensure_kubelet() -> None:
    """Start kubelet and kube-proxy."""
    cgroups.ensure()
    run(["mount", "--make-rshared", "/"], check=False)
    write_file(_KUBELET_CONFIG, json.dumps(kubelet_config(), indent=1))
    write_file(_KUBE_PROXY_CONFIG, json.dumps(kube_proxy_config(), indent=1))
    for daemon in (kubelet(), kube_proxy()):
        start(daemon)
    for daemon in (kubelet(), kube_proxy()):
        wait_ready(daemon)
