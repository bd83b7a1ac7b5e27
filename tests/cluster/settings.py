"""Where the cluster keeps things, which addresses it uses, which versions it is made of."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path


def _default_state() -> Path:
    if os.geteuid() == 0:
        return Path("/var/lib/fairway-cluster")
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "fairway-cluster"


REPOSITORY = Path(__file__).resolve().parents[2]
GO_MODULES = Path(__file__).resolve().parent / "go"
GO_WORKSPACE = REPOSITORY / "tests"

# Everything that must go away with the cluster is below STATE; what is only expensive to make again is below CACHE.
STATE = Path(os.environ.get("FAIRWAY_CLUSTER_DIR") or _default_state()).absolute()
CACHE = Path(os.environ.get("FAIRWAY_CACHE") or Path.home() / ".cache/fairway").absolute()

BIN = STATE / "bin"
CERTS = STATE / "certs"
CONFIG = STATE / "config"
KUBECONFIGS = STATE / "kubeconfigs"
LOGS = STATE / "logs"
PIDS = STATE / "pids"
TOKENS = STATE / "tokens"
KUBECONFIG = STATE / "kubeconfig"
AUDIT_LOG = STATE / "audit" / "audit.log"
POD_LOGS = LOGS / "pods"
PROVIDER_FILE = STATE / "provider"
IMAGE_RECORDS = STATE / "images.json"

CONTAINERD_ROOT = STATE / "containerd" / "root"
CONTAINERD_STATE = STATE / "containerd" / "state"
CONTAINERD_SOCKET = STATE / "containerd" / "containerd.sock"
CNI_CONFIG = CONFIG / "cni"
CNI_PLUGINS = Path("/usr/lib/cni")
KUBELET_ROOT = STATE / "kubelet"

NODE_NAME = "fairway-node"
BRIDGE = "fairway0"
# Pods below it are ended by `down`, so it must never be that of a cluster with another state folder.
CGROUP = f"fairway-{hashlib.sha256(bytes(STATE)).hexdigest()[:8]}"
POD_CIDR = "10.244.0.0/22"
POD_GATEWAY = "10.244.0.1"
SERVICE_CIDR = "10.96.0.0/16"
# Fixed addresses come from the low band of the range, which the API server keeps free for them.
KUBERNETES_SERVICE_IP = "10.96.0.1"
DNS_SERVICE_IP = "10.96.0.10"
PROMETHEUS_SERVICE_IP = "10.96.0.90"

API_PORT = 6443
ETCD_PORT = 23790
ETCD_PEER_PORT = 23800
GATEWAY_PORT = 8000
TRAEFIK_ADMIN_PORT = 8099
PROMETHEUS_PORT = 9090
METRICS_SERVER_PORT = 4443

API_URL = f"https://{POD_GATEWAY}:{API_PORT}"
GATEWAY_URL = f"http://127.0.0.1:{GATEWAY_PORT}"
PROMETHEUS_URL = f"http://127.0.0.1:{PROMETHEUS_PORT}"
PROMETHEUS_CLUSTER_URL = f"http://{PROMETHEUS_SERVICE_IP}:{PROMETHEUS_PORT}"

KUBERNETES_VERSION = "v1.35.4"
CONTAINERD_VERSION = "v2.4.2"
GATEWAY_API_VERSION = "v1.7.0"
# Only for the kind provider, where these run as images; keep in step with go/*/go.mod and pyproject.toml.
TRAEFIK_IMAGE = "docker.io/library/traefik:v3.7"
PROMETHEUS_IMAGE = "quay.io/prometheus/prometheus:v3.15.0"
METRICS_SERVER_IMAGE = "registry.k8s.io/metrics-server/metrics-server:v0.9.0"
PROMETHEUS_OPERATOR_VERSION = "v0.85.0"
KIND_CLUSTER = "fairway"

PAUSE_IMAGE = "localhost/fairway-pause:1"
BASE_IMAGE_NAME = "localhost/fairway-base"


def bridge_address() -> str:
    """Return the bridge's own address with its prefix, as `ip addr` wants it."""
    return f"{POD_GATEWAY}/{POD_CIDR.partition('/')[2]}"


def make_directories() -> None:
    """Create the tree; private, because keys and tokens live in it."""
    STATE.mkdir(parents=True, exist_ok=True)
    STATE.chmod(0o711)
    for folder in (BIN, CERTS, CONFIG, KUBECONFIGS, LOGS, PIDS, TOKENS, AUDIT_LOG.parent, CACHE):
        folder.mkdir(parents=True, exist_ok=True)
    for folder in (CERTS, KUBECONFIGS, TOKENS):
        folder.chmod(0o700)
