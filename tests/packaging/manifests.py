"""The kustomize base and its namespaced overlay, made from the chart: `make manifests` writes them.

What only Helm needs goes away: its labels, its annotations, and the checksum of the configuration, for which kustomize
has generators of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.packaging import helm
from tests.packaging.helm import NAMESPACE, ROOT, Object

MANIFESTS = ROOT / "manifests"
SERVED = "ml"
"""The namespace in which the operator of the namespaced overlay works."""
HEAD = "# Made from the chart by `make manifests`: change the chart, not this file.\n"
CONFIG = "configmap.yaml"
_HELMS_OWN = re.compile(
    r"^ *(helm\.sh/chart: .*|app\.kubernetes\.io/managed-by: Helm|checksum/config: .*)\n", re.MULTILINE
)
_KEPT = "  annotations:\n    helm.sh/resource-policy: keep\n"
_NO_ANNOTATIONS = re.compile(r"^ *annotations:\n(?= *spec:)", re.MULTILINE)


def files() -> dict[str, str]:
    """Return every generated file, by its path below ``manifests``."""
    base, namespaced = _sources(), _sources(f"namespaces={{{SERVED}}}")
    return {f"base/{name}": content for name, content in _base(base).items()} | {
        f"namespaced/{name}": content for name, content in _overlay(base, namespaced).items()
    }


def write(folder: Path) -> None:
    """Write the files, and remove what is generated no more."""
    wanted = files()
    for path in (*folder.glob("base/*.yaml"), *folder.glob("namespaced/*.yaml")):
        if str(path.relative_to(folder)) not in wanted:
            path.unlink()
    for name, content in wanted.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content, encoding="utf-8")


def _sources(*sets: str) -> dict[str, str]:
    """Return what each template of the chart renders to, without what only Helm needs."""
    found: dict[str, list[str]] = {}
    for document in re.split(r"^---\n", helm.text(*sets), flags=re.MULTILINE):
        source, body = re.match(r"(?:# Source: fairway/templates/(\S+)\n)?(.*)", document, re.DOTALL).groups()  # type: ignore[union-attr]
        if source and body.strip() and helm.parse(body):
            plain = _NO_ANNOTATIONS.sub("", _HELMS_OWN.sub("", body.replace(_KEPT, "")))
            found.setdefault(source, []).append(plain.strip() + "\n")
    return {source: "---\n".join(documents) for source, documents in found.items()}


def _base(sources: Mapping[str, str]) -> dict[str, str]:
    generator, config = _generator(sources[CONFIG], "create")
    plain = {name: HEAD + content for name, content in sources.items() if name != CONFIG}
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": ["namespace.yaml", *sorted(plain)],
        "configMapGenerator": [generator],
    }
    return plain | {
        "namespace.yaml": HEAD + _namespace(),
        "config.yaml": config,
        "kustomization.yaml": _dump(kustomization),
    }


def _overlay(base: Mapping[str, str], namespaced: Mapping[str, str]) -> dict[str, str]:
    generator, config = _generator(namespaced[CONFIG], "replace")
    before, after = ({_identity(each): each for each in _objects(sources)} for sources in (base, namespaced))
    assert before.keys() <= after.keys(), "the namespaced mode lacks something that the other has"
    new = [each for identity, each in after.items() if identity not in before]
    patches = [_patch(each, after[identity]) for identity, each in before.items() if each != after[identity]]
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": ["../base", "roles.yaml"],
        "configMapGenerator": [generator],
        "patches": patches,
    }
    roles = yaml.safe_dump_all(new, sort_keys=False, width=120)
    return {"roles.yaml": HEAD + roles, "config.yaml": config, "kustomization.yaml": _dump(kustomization)}


def _generator(manifest: str, behavior: str) -> tuple[Object, str]:
    """Turn the operator's ConfigMap into a generator, so that a changed configuration restarts the operator."""
    parsed = yaml.safe_load(manifest)
    meta, ((key, config),) = parsed["metadata"], parsed["data"].items()
    generator = {
        "name": meta["name"],
        "namespace": meta["namespace"],
        "behavior": behavior,
        "files": [key],
        "options": {"labels": meta["labels"]},
    }
    return generator, HEAD + config


def _namespace() -> str:
    levels = ("enforce", "audit", "warn")
    labels = {f"pod-security.kubernetes.io/{level}": "restricted" for level in levels}
    return _dump({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}}, head="")


def _objects(sources: Mapping[str, str]) -> Iterator[Object]:
    for name, content in sources.items():
        if name != CONFIG:
            yield from helm.parse(content)


def _identity(each: Object) -> tuple[str, str, str]:
    return each["kind"], each["metadata"].get("namespace", ""), each["metadata"]["name"]


def _patch(before: Object, after: Object) -> Object:
    group, _, version = before["apiVersion"].rpartition("/")
    target = {"group": group, "version": version, "kind": before["kind"], "name": before["metadata"]["name"]}
    return {"target": target, "patch": yaml.safe_dump(list(_operations(before, after, "")), sort_keys=False, width=120)}


def _operations(before: Any, after: Any, path: str) -> Iterator[Object]:
    """Yield the JSON patch from one value to another."""
    if not (isinstance(before, dict) and isinstance(after, dict)):
        if before != after:
            yield {"op": "replace", "path": path, "value": after}
        return
    for key in dict.fromkeys([*before, *after]):
        where = f"{path}/{key.replace('~', '~0').replace('/', '~1')}"
        if key not in after:
            yield {"op": "remove", "path": where}
        elif key not in before:
            yield {"op": "add", "path": where, "value": after[key]}
        else:
            yield from _operations(before[key], after[key], where)


class _Dumper(yaml.SafeDumper):
    """Writes text of several lines as a block, as people do."""


def _represent(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Dumper.add_representer(str, _represent)


def _dump(value: Any, head: str = HEAD) -> str:
    return head + yaml.dump(value, Dumper=_Dumper, sort_keys=False, width=120)
