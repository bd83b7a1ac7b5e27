"""What a kubeconfig's user sends: a token, a certificate, or what a credential plugin says."""

import base64
import json
import os
import subprocess
import tempfile
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from fairway.cli.errors import CliError
from fairway.cli.kubeconfig import Access

PLUGIN_TIMEOUT = 120.0
"""Seconds: a plugin may open a browser and wait for a person."""


class Credentials:
    """The identity of one user, for any thread. A plugin is run when something is sent first, and again after a 401."""

    def __init__(self, access: Access, *, interactive: bool = False) -> None:
        self._cluster = access.cluster
        self._user = access.user
        self._interactive = interactive
        self._answer: dict[str, Any] | None = None
        self._asking = threading.Lock()

    @property
    def renewable(self) -> bool:
        """Whether asking again may help against a 401."""
        return bool(self._user.get("exec") or self._user.get("tokenFile"))

    def forget(self) -> None:
        """Ask the plugin anew next time."""
        self._answer = None

    def headers(self) -> dict[str, str]:
        """Headers that say who asks, impersonation included."""
        token = self._token()
        found = {"Authorization": f"Bearer {token}"} if token else self._basic()
        for header, key in (("Impersonate-User", "as"), ("Impersonate-Uid", "as-uid")):
            if self._user.get(key):
                found[header] = self._user[key]
        return found

    def groups(self) -> list[tuple[str, str]]:
        """Impersonation headers that may come several times."""
        extra = self._user.get("as-user-extra") or {}
        return [
            *(("Impersonate-Group", group) for group in self._user.get("as-groups") or ()),
            *((f"Impersonate-Extra-{key}", value) for key, values in extra.items() for value in values),
        ]

    def certificate(self) -> tuple[str, str] | None:
        """Certificate chain and private key in PEM, if the user has them."""
        plugin = self._plugin()
        if plugin.get("clientCertificateData"):
            return plugin["clientCertificateData"], plugin.get("clientKeyData", "")
        chain, key = _pem(self._user, "client-certificate"), _pem(self._user, "client-key")
        return (chain, key or "") if chain else None

    def _token(self) -> str | None:
        file = self._user.get("tokenFile")
        if file:
            try:
                return Path(file).read_text(encoding="utf-8").strip()
            except OSError as error:
                raise CliError(f"{file}: the token cannot be read: {error.strerror}") from None
        return self._user.get("token") or self._plugin().get("token")

    def _basic(self) -> dict[str, str]:
        name, password = self._user.get("username"), self._user.get("password")
        if not name:
            return {}
        pair = base64.b64encode(f"{name}:{password or ''}".encode()).decode()
        return {"Authorization": f"Basic {pair}"}

    def _plugin(self) -> dict[str, Any]:
        if self._user.get("auth-provider"):
            raise CliError("the kubeconfig's user has an auth-provider: kubectl has dropped those, use a plugin (exec)")
        asked = self._user.get("exec")
        if not asked:
            return {}
        with self._asking:
            if self._answer is None:
                self._answer = run_plugin(asked, self._cluster, interactive=self._interactive)
            return self._answer


def run_plugin(asked: Mapping[str, Any], cluster: Mapping[str, Any], *, interactive: bool) -> dict[str, Any]:
    """Run a credential plugin (client.authentication.k8s.io); return the status of its ExecCredential."""
    if asked.get("interactiveMode") == "Always" and not interactive:
        raise CliError(f"the credential plugin {asked['command']} needs a terminal")
    interactive = interactive and asked.get("interactiveMode") != "Never"
    spec: dict[str, Any] = {"interactive": interactive}
    if asked.get("provideClusterInfo"):
        named = ("server", "tls-server-name", "insecure-skip-tls-verify", "certificate-authority-data", "proxy-url")
        spec["cluster"] = {key: cluster[key] for key in named if key in cluster}
    info = {"apiVersion": asked.get("apiVersion"), "kind": "ExecCredential", "spec": spec}
    environment = dict(os.environ) | {"KUBERNETES_EXEC_INFO": json.dumps(info)}
    environment |= {entry["name"]: entry["value"] for entry in asked.get("env") or ()}
    command = [asked["command"], *(asked.get("args") or ())]
    try:
        done = subprocess.run(  # noqa: S603  the user's own kubeconfig names it
            command,
            env=environment,
            stdin=None if interactive else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            timeout=PLUGIN_TIMEOUT,
            check=True,
        )
        return dict(json.loads(done.stdout)["status"])
    except FileNotFoundError:
        hint = f": {asked['installHint'].strip()}" if asked.get("installHint") else ""
        raise CliError(f"the credential plugin {asked['command']} is not installed{hint}") from None
    except (subprocess.SubprocessError, OSError) as error:
        raise CliError(f"the credential plugin {asked['command']} failed: {error}") from None
    except (ValueError, KeyError, TypeError):
        raise CliError(f"the credential plugin {asked['command']} gave no ExecCredential") from None


def trust(cluster: Mapping[str, Any]) -> str | None:
    """Certificates in PEM that the API server is verified by; None for those of the system."""
    return _pem(cluster, "certificate-authority")


def _pem(entry: Mapping[str, Any], key: str) -> str | None:
    data, file = entry.get(f"{key}-data"), entry.get(key)
    try:
        if data:
            return base64.b64decode(data, validate=True).decode("ascii")
        return Path(file).read_text(encoding="ascii") if file else None
    except OSError as error:
        raise CliError(f"{file}: {error.strerror}") from None
    except ValueError:
        raise CliError(f"{key}: not a certificate or key in PEM") from None


def as_file(content: str) -> str:
    """Write a secret where only we can read it; the caller removes it with ``drop``."""
    descriptor, name = tempfile.mkstemp(prefix="fairway-")
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(content)
    return name


def drop(name: str) -> None:
    """Remove such a file."""
    with suppress(OSError):
        Path(name).unlink()
