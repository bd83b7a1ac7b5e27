"""How others find the cluster: shell exports, JSON, or a dict."""

from __future__ import annotations

import json
import shlex

from . import settings


def cluster_env() -> dict[str, str]:
    """Return the variables that programs and tests need; `PATH_PREPEND` is the folder with kubectl and helm."""
    return {
        "KUBECONFIG": str(settings.KUBECONFIG),
        "FAIRWAY_GATEWAY_URL": settings.GATEWAY_URL,
        "FAIRWAY_PROMETHEUS_URL": settings.PROMETHEUS_URL,
        "FAIRWAY_PROMETHEUS_CLUSTER_URL": settings.PROMETHEUS_CLUSTER_URL,
        "FAIRWAY_AUDIT_LOG": str(settings.AUDIT_LOG),
        "PATH_PREPEND": str(settings.BIN),
    }


def as_json() -> str:
    """Format for programs."""
    return json.dumps(cluster_env(), indent=1)


def as_shell() -> str:
    """Format for `eval`."""
    variables = cluster_env()
    folder = variables.pop("PATH_PREPEND")
    lines = [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    # Only once, however often it is evaluated.
    lines.append(
        f'case ":$PATH:" in *:{shlex.quote(folder)}:*) ;; *) export PATH={shlex.quote(folder)}:"$PATH" ;; esac'
    )
    return "\n".join(lines)
