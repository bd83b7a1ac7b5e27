"""Put the Lua of this folder into the one ConfigMap that Argo CD reads. ``--check`` fails when they differ."""

import sys
from pathlib import Path

import yaml

HERE = Path(__file__).resolve().parent
CONFIG = HERE / "argocd-cm.yaml"
KIND = "fairway.dev_ModelDeployment"
HEAD = """\
# Made by `make argocd` from health.lua and actions/: do not edit.
# kubectl -n argocd patch configmap argocd-cm --patch-file manifests/argocd/argocd-cm.yaml
"""


class _Text(str):
    """Text that is written as a block, for people."""

    __slots__ = ()


class _Dumper(yaml.SafeDumper):
    """SafeDumper that knows blocks."""


_Dumper.add_representer(_Text, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|"))


def actions() -> dict[str, str]:
    """Return the Lua of every action by its name."""
    return {path.stem: path.read_text(encoding="utf-8") for path in sorted((HERE / "actions").glob("*.lua"))}


def assemble() -> str:
    """Return the ConfigMap with health and actions in Argo CD's form, as YAML."""
    lua = actions()
    discovery = lua.pop("discovery")
    definitions = [{"name": name, "action.lua": _Text(text)} for name, text in lua.items()]
    offered = {"discovery.lua": _Text(discovery), "definitions": definitions}
    data = {
        f"resource.customizations.health.{KIND}": _Text((HERE / "health.lua").read_text(encoding="utf-8")),
        f"resource.customizations.actions.{KIND}": _Text(_dump(offered)),
    }
    labels = {"app.kubernetes.io/name": "argocd-cm", "app.kubernetes.io/part-of": "argocd"}
    metadata = {"name": "argocd-cm", "labels": labels}
    return HEAD + _dump({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})


def _dump(value: object) -> str:
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, width=200)


def main() -> int:
    """Write the ConfigMap, or compare it."""
    if "--check" not in sys.argv:
        CONFIG.write_text(assemble(), encoding="utf-8")
        return 0
    return int(CONFIG.read_text(encoding="utf-8") != assemble())


if __name__ == "__main__":
    sys.exit(main())
