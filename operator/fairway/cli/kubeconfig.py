"""Which cluster, as whom, in which namespace: kubeconfig files and flags, read by kubectl's rules.

The official client's loader needs more than a second to import (docs/adr/0012-a-small-client-for-the-plugin.md).
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairway.cli.errors import CliError

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_FILES = ("certificate-authority", "client-certificate", "client-key", "tokenFile")
"""Paths in a kubeconfig: relative to the file that they stand in."""


@dataclass(frozen=True, slots=True)
class Flags:
    """kubectl's own flags, as they were given."""

    kubeconfig: str | None = None
    context: str | None = None
    cluster: str | None = None
    user: str | None = None
    namespace: str | None = None
    server: str | None = None
    token: str | None = None
    certificate_authority: str | None = None
    client_certificate: str | None = None
    client_key: str | None = None
    tls_server_name: str | None = None
    insecure: bool = False
    impersonate: str | None = None
    impersonate_uid: str | None = None
    impersonate_groups: tuple[str, ...] = ()
    request_timeout: str | None = None


@dataclass(frozen=True, slots=True)
class Access:
    """One cluster and one user, with the namespace that is meant when none is said."""

    cluster: Mapping[str, Any]
    user: Mapping[str, Any]
    namespace: str = "default"

    @property
    def server(self) -> str:
        """Address of the API server."""
        return str(self.cluster.get("server", ""))


def access(flags: Flags, environment: Mapping[str, str]) -> Access:
    """Return whom to ask and as whom. Raises CliError when no cluster is configured, or a name is not there."""
    found = merge(_read(path) for path in _paths(flags, environment))
    name = flags.context or found["current-context"]
    if name and name not in found["contexts"]:
        raise CliError(f"there is no context {name!r} in the kubeconfig")
    context = found["contexts"].get(name) or {}
    if not context and not flags.server and not flags.cluster:
        return _with_flags(_in_cluster(environment), flags)
    cluster = _named(found["clusters"], "cluster", flags.cluster or context.get("cluster"))
    user = _named(found["users"], "user", flags.user or context.get("user"))
    return _with_flags(Access(cluster, user, context.get("namespace") or "default"), flags)


def merge(files: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Merge kubeconfigs as kubectl does: the first file that names something wins, whole."""
    merged: dict[str, Any] = {"current-context": "", "clusters": {}, "users": {}, "contexts": {}}
    for content in files:
        merged["current-context"] = merged["current-context"] or content.get("current-context") or ""
        for kind in ("clusters", "users", "contexts"):
            for entry in content.get(kind) or ():
                merged[kind].setdefault(entry["name"], entry.get(kind[:-1]) or {})
    return merged


def contexts(flags: Flags, environment: Mapping[str, str]) -> list[str]:
    """Names of all contexts, for completion."""
    return sorted(merge(_read(path) for path in _paths(flags, environment))["contexts"])


def _paths(flags: Flags, environment: Mapping[str, str]) -> list[Path]:
    if flags.kubeconfig:
        if not Path(flags.kubeconfig).is_file():
            raise CliError(f"--kubeconfig {flags.kubeconfig}: there is no such file")
        return [Path(flags.kubeconfig)]
    listed = [part for part in environment.get("KUBECONFIG", "").split(os.pathsep) if part]
    paths = [Path(part) for part in listed] or [Path(environment.get("HOME", "~")).expanduser() / ".kube" / "config"]
    return [path for path in paths if path.is_file()]


def _read(path: Path) -> dict[str, Any]:
    import yaml  # noqa: PLC0415  not needed inside a cluster

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=loader) or {}  # noqa: S506  a safe loader
        for kind in ("clusters", "users"):
            for entry in content.get(kind) or ():
                _resolve(entry.get(kind[:-1]) or {}, path.parent)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, AttributeError, TypeError, KeyError) as error:
        raise CliError(f"{path}: cannot be read as a kubeconfig: {' '.join(str(error).split())}") from None
    return dict(content)


def _resolve(entry: dict[str, Any], directory: Path) -> None:
    for key in _FILES:
        if entry.get(key):
            entry[key] = str(directory / entry[key])
    command = (entry.get("exec") or {}).get("command", "")
    if "/" in command:
        entry["exec"]["command"] = str(directory / command)


def _named(entries: Mapping[str, Any], kind: str, name: str | None) -> dict[str, Any]:
    if not name:
        return {}
    if name not in entries:
        raise CliError(f"there is no {kind} {name!r} in the kubeconfig")
    return dict(entries[name])


def _in_cluster(environment: Mapping[str, str]) -> Access:
    host, port = environment.get("KUBERNETES_SERVICE_HOST"), environment.get("KUBERNETES_SERVICE_PORT", "443")
    if not host or not (SERVICE_ACCOUNT / "token").is_file():
        raise CliError("no cluster is configured: set KUBECONFIG, or give --kubeconfig or --context")
    host = f"[{host}]" if ":" in host else host
    cluster = {"server": f"https://{host}:{port}", "certificate-authority": str(SERVICE_ACCOUNT / "ca.crt")}
    namespace = (SERVICE_ACCOUNT / "namespace").read_text(encoding="utf-8").strip()
    return Access(cluster, {"tokenFile": str(SERVICE_ACCOUNT / "token")}, namespace or "default")


def _with_flags(found: Access, flags: Flags) -> Access:
    cluster, user = dict(found.cluster), dict(found.user)
    for where, key, value in (
        (cluster, "server", flags.server),
        (cluster, "tls-server-name", flags.tls_server_name),
        (user, "as", flags.impersonate),
        (user, "as-uid", flags.impersonate_uid),
        (user, "as-groups", list(flags.impersonate_groups)),
    ):
        if value:
            where[key] = value
    if flags.certificate_authority:
        cluster = _replaced(cluster, "certificate-authority", flags.certificate_authority)
    if flags.insecure:
        kept = ("certificate-authority", "certificate-authority-data")
        cluster = {key: value for key, value in cluster.items() if key not in kept} | {"insecure-skip-tls-verify": True}
    if flags.client_certificate:
        user = _replaced(user, "client-certificate", flags.client_certificate)
    if flags.client_key:
        user = _replaced(user, "client-key", flags.client_key)
    if flags.token:
        others = ("token", "tokenFile", "exec", "username", "password")
        user = {key: value for key, value in user.items() if key not in others} | {"token": flags.token}
    return Access(cluster, user, flags.namespace or found.namespace)


def _replaced(entry: dict[str, Any], key: str, value: str) -> dict[str, Any]:
    return {name: kept for name, kept in entry.items() if name != f"{key}-data"} | {key: value}
