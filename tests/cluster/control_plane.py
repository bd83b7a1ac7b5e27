"""etcd, kube-apiserver, controller-manager and scheduler as plain processes on the host."""

from __future__ import annotations

import json

from . import pki, settings
from .health import answers
from .processes import Daemon, start, wait_ready
from .shell import write_file

# One line per request, without bodies: enough to count what a controller asks for.
AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata"}],
}
_AUDIT_POLICY_FILE = settings.CONFIG / "audit-policy.json"
_REQUEST_HEADERS = (
    "--requestheader-allowed-names=front-proxy-client",
    "--requestheader-extra-headers-prefix=X-Remote-Extra-",
    "--requestheader-group-headers=X-Remote-Group",
    "--requestheader-username-headers=X-Remote-User",
)


def etcd() -> Daemon:
    """Describe etcd. Without fsync: a test cluster need not survive a power cut, and disks of CI machines are slow."""
    client, peer = (f"http://127.0.0.1:{port}" for port in (settings.ETCD_PORT, settings.ETCD_PEER_PORT))
    argv = (
        str(settings.BIN / "etcd"),
        "--name=fairway",
        f"--data-dir={settings.STATE}/etcd",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=fairway={peer}",
        "--unsafe-no-fsync",
        "--log-level=warn",
    )
    return Daemon("etcd", argv, ready=lambda: answers(f"{client}/health"))


def apiserver() -> Daemon:
    """Describe the API server: RBAC, aggregation (for metrics-server) and an audit log."""
    argv = (
        str(settings.BIN / "kube-apiserver"),
        f"--etcd-servers=http://127.0.0.1:{settings.ETCD_PORT}",
        f"--bind-address={settings.POD_GATEWAY}",
        f"--advertise-address={settings.POD_GATEWAY}",
        f"--secure-port={settings.API_PORT}",
        f"--service-cluster-ip-range={settings.SERVICE_CIDR}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        f"--client-ca-file={pki.certificate('ca')}",
        f"--tls-cert-file={pki.certificate('apiserver')}",
        f"--tls-private-key-file={pki.key('apiserver')}",
        f"--kubelet-certificate-authority={pki.certificate('ca')}",
        f"--kubelet-client-certificate={pki.certificate('apiserver-kubelet-client')}",
        f"--kubelet-client-key={pki.key('apiserver-kubelet-client')}",
        # Otherwise logs and exec look the node's name up in DNS.
        "--kubelet-preferred-address-types=InternalIP",
        f"--requestheader-client-ca-file={pki.certificate('front-proxy-ca')}",
        *_REQUEST_HEADERS,
        f"--proxy-client-cert-file={pki.certificate('front-proxy-client')}",
        f"--proxy-client-key-file={pki.key('front-proxy-client')}",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-key-file={settings.CERTS}/service-account.pub",
        f"--service-account-signing-key-file={pki.key('service-account')}",
        f"--audit-policy-file={_AUDIT_POLICY_FILE}",
        f"--audit-log-path={settings.AUDIT_LOG}",
        "--audit-log-maxsize=500",
        "--audit-log-maxbackup=2",
        "--profiling=false",
    )
    inputs = (_AUDIT_POLICY_FILE, pki.certificate("apiserver"), pki.certificate("ca"))
    return Daemon("kube-apiserver", argv, ready=lambda: answers(f"{settings.API_URL}/readyz"), inputs=inputs)


def controller_manager() -> Daemon:
    """Describe the controllers: Deployments, HPA, garbage collection and the rest."""
    argv = (
        str(settings.BIN / "kube-controller-manager"),
        *_own_access("controller-manager"),
        "--bind-address=127.0.0.1",
        "--leader-elect=false",
        "--use-service-account-credentials=true",
        f"--service-account-private-key-file={pki.key('service-account')}",
        f"--root-ca-file={pki.certificate('ca')}",
        f"--cluster-signing-cert-file={pki.certificate('ca')}",
        f"--cluster-signing-key-file={pki.key('ca')}",
        f"--flex-volume-plugin-dir={settings.KUBELET_ROOT}/volume-plugins",
    )
    return Daemon(
        "kube-controller-manager", argv, ready=lambda: answers("https://127.0.0.1:10257/healthz", verify=False)
    )


def scheduler() -> Daemon:
    """Describe the scheduler."""
    argv = (
        str(settings.BIN / "kube-scheduler"),
        *_own_access("scheduler"),
        "--bind-address=127.0.0.1",
        "--leader-elect=false",
    )
    return Daemon("kube-scheduler", argv, ready=lambda: answers("https://127.0.0.1:10259/healthz", verify=False))


def _own_access(user: str) -> tuple[str, ...]:
    flags = ("--kubeconfig", "--authentication-kubeconfig", "--authorization-kubeconfig")
    return tuple(f"{flag}={pki.kubeconfig(user)}" for flag in flags)


def ensure() -> None:
    """Start in dependency order; controllers and scheduler come up side by side."""
    write_file(_AUDIT_POLICY_FILE, json.dumps(AUDIT_POLICY), mode=0o600)
    for first in (etcd(), apiserver()):
        start(first)
        wait_ready(first)
    others = (controller_manager(), scheduler())
    for daemon in others:
        start(daemon)
    for daemon in others:
        wait_ready(daemon)
