"""Certificates and kubeconfigs, made once by the openssl program and reused by later runs."""

from __future__ import annotations

import base64
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

from . import settings
from .shell import run, write_file

_DAYS = "3650"
_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


@dataclass(frozen=True)
class Certificate:
    """Who a certificate is for, and by which authority."""

    name: str
    common_name: str
    organization: str = ""
    alternatives: str = ""
    authority: str = "ca"

    @property
    def subject(self) -> str:
        return (f"/O={self.organization}" if self.organization else "") + f"/CN={self.common_name}"

    @property
    def usage(self) -> str:
        return "serverAuth" if self.alternatives else "clientAuth"


_LOCAL = f"IP:127.0.0.1,IP:{settings.POD_GATEWAY},DNS:localhost"
_API_NAMES = ",".join(
    [
        _LOCAL,
        f"IP:{settings.KUBERNETES_SERVICE_IP}",
        *(f"DNS:kubernetes{suffix}" for suffix in ("", ".default", ".default.svc", ".default.svc.cluster.local")),
    ]
)
CERTIFICATES = (
    Certificate("apiserver", "kube-apiserver", alternatives=_API_NAMES),
    Certificate("apiserver-kubelet-client", "kube-apiserver-kubelet-client", "system:masters"),
    Certificate("front-proxy-client", "front-proxy-client", authority="front-proxy-ca"),
    Certificate("kubelet-serving", f"system:node:{settings.NODE_NAME}", "system:nodes", alternatives=_LOCAL),
    Certificate("metrics-server", "metrics-server", alternatives=f"{_LOCAL},DNS:metrics-server.kube-system.svc"),
)
# Each of these is also a kubeconfig. Rights come from the name by RBAC's own bindings, except for metrics-server's.
USERS = (
    Certificate("admin", "fairway-admin", "system:masters"),
    Certificate("controller-manager", "system:kube-controller-manager"),
    Certificate("scheduler", "system:kube-scheduler"),
    Certificate("kubelet", f"system:node:{settings.NODE_NAME}", "system:nodes"),
    Certificate("kube-proxy", "system:kube-proxy"),
    Certificate("metrics-server-client", "fairway:metrics-server"),
)


def certificate(name: str) -> Path:
    """Return the path of a certificate."""
    return settings.CERTS / f"{name}.crt"


def key(name: str) -> Path:
    """Return the path of a private key."""
    return settings.CERTS / f"{name}.key"


def kubeconfig(name: str) -> Path:
    """Return the path of a user's kubeconfig."""
    return settings.KUBECONFIGS / f"{name}.kubeconfig"


def encoded(path: Path) -> str:
    """Encode a file the way kubeconfigs and API objects embed it."""
    return base64.b64encode(path.read_bytes()).decode()


def ensure_all() -> None:
    """Make what is missing; renamed into place, the certificate last: it marks the pair as done."""
    for name in ("ca", "front-proxy-ca"):
        if not certificate(name).exists():
            _self_sign(name)
    for wanted in (*CERTIFICATES, *USERS):
        if not certificate(wanted.name).exists():
            _sign(wanted)
    if not key("service-account").exists():
        _service_account_key()
    for user in USERS:
        write_file(kubeconfig(user.name), kubeconfig_text(user.name), mode=0o600)
    write_file(settings.KUBECONFIG, kubeconfig_text("admin"), mode=0o600)


def kubeconfig_text(name: str) -> str:
    """Build a self-contained kubeconfig; JSON is YAML, too."""
    cluster = {"server": settings.API_URL, "certificate-authority-data": encoded(certificate("ca"))}
    user = {"client-certificate-data": encoded(certificate(name)), "client-key-data": encoded(key(name))}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "fairway", "cluster": cluster}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": "fairway", "context": {"cluster": "fairway", "user": name}}],
        "current-context": "fairway",
    }
    return json.dumps(config, indent=1) + "\n"


def _self_sign(name: str) -> None:
    with tempfile.TemporaryDirectory(dir=settings.CERTS) as folder:
        made_key, made = Path(folder, "key"), Path(folder, "crt")
        usage = ("-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign")
        subject = ("-subj", f"/CN=fairway-{name}", "-days", _DAYS)
        run(["openssl", "req", "-x509", *_KEY, *subject, *usage, "-keyout", made_key, "-out", made])
        _install(name, made_key, made)


def _sign(wanted: Certificate) -> None:
    with tempfile.TemporaryDirectory(dir=settings.CERTS) as folder:
        made_key, request, made, extensions = (Path(folder, name) for name in ("key", "csr", "crt", "ext"))
        lines = [
            "basicConstraints=critical,CA:FALSE",
            "keyUsage=critical,digitalSignature",
            f"extendedKeyUsage={wanted.usage}",
        ]
        if wanted.alternatives:
            lines.append(f"subjectAltName={wanted.alternatives}")
        extensions.write_text("\n".join(lines) + "\n")
        run(["openssl", "req", "-new", *_KEY, "-subj", wanted.subject, "-keyout", made_key, "-out", request])
        authority: list[str | Path] = [
            "-CA",
            certificate(wanted.authority),
            "-CAkey",
            key(wanted.authority),
            "-CAcreateserial",
        ]
        serial: list[str | Path] = ["-CAserial", Path(folder, "serial")]
        output: list[str | Path] = ["-days", _DAYS, "-extfile", extensions, "-out", made]
        run(["openssl", "x509", "-req", "-in", request, *authority, *serial, *output])
        _install(wanted.name, made_key, made)


def _service_account_key() -> None:
    with tempfile.TemporaryDirectory(dir=settings.CERTS) as folder:
        made_key, public = Path(folder, "key"), Path(folder, "pub")
        run(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", made_key])
        run(["openssl", "ec", "-in", made_key, "-pubout", "-out", public])
        public.replace(settings.CERTS / "service-account.pub")
        made_key.chmod(0o600)
        made_key.replace(key("service-account"))


def _install(name: str, made_key: Path, made: Path) -> None:
    made_key.chmod(0o600)
    made_key.replace(key(name))
    made.replace(certificate(name))
