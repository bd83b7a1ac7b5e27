"""JSON schemas for kubeconform: of the pinned Kubernetes, of our resources and of those that we use from others.

The first come from the OpenAPI document in the module that the cluster is built from, so that nothing is downloaded but
what Go's proxy has. All are strict: a field that is not known is an error.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from tests.cluster import crds
from tests.cluster.binaries import OUTSIDE
from tests.cluster.settings import GO_MODULES
from tests.packaging.helm import ROOT, Object, parse

Kind = tuple[str, str]
"""apiVersion and kind."""

LOCATION = "{{ .Group }}_{{ .ResourceAPIVersion }}_{{ .ResourceKind }}.json"
_INT_OR_STRING = {"oneOf": [{"type": "string"}, {"type": "integer"}]}
_QUANTITY = {"oneOf": [{"type": "string"}, {"type": "number"}]}


def write(folder: Path, kinds: Iterable[Kind]) -> None:
    """Write a schema for each kind. Raises KeyError for one that nobody defines."""
    for api_version, kind in sorted(set(kinds)):
        group, _, version = api_version.rpartition("/")
        schema = _of_kubernetes(group, version, kind) or _of_a_crd(group, version, kind)
        if schema is None:
            raise KeyError(f"no schema for {api_version} {kind}")
        # Without a group, kubeconform names the version in its place.
        name = f"{group or version}_{version}_{kind.lower()}.json"
        (folder / name).write_text(json.dumps(schema), encoding="utf-8")


@cache
def _openapi() -> dict[str, Any]:
    argv = ["go", "mod", "download", "-json", "k8s.io/kubernetes"]
    environment = os.environ | OUTSIDE
    folder = GO_MODULES / "kubernetes"
    done = subprocess.run(argv, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    document = Path(json.loads(done.stdout)["Dir"]) / "api/openapi-spec/swagger.json"
    found: dict[str, Any] = json.loads(document.read_text(encoding="utf-8"))["definitions"]
    return found


@cache
def _names() -> dict[tuple[str, str, str], str]:
    key = "x-kubernetes-group-version-kind"
    return {
        (each["group"], each["version"], each["kind"]): name
        for name, definition in _openapi().items()
        for each in definition.get(key, ())
    }


def _of_kubernetes(group: str, version: str, kind: str) -> Object | None:
    name = _names().get((group, version, kind))
    if name is None:
        return None
    reachable: dict[str, Any] = {}
    ahead = [name]
    while ahead:
        at = ahead.pop()
        if at not in reachable:
            reachable[at] = _strict(_openapi()[at])
            ahead.extend(_references(reachable[at]))
    return {"$schema": "http://json-schema.org/draft-07/schema#", "definitions": reachable, **_reference(name)}


def _reference(name: str) -> Object:
    return {"$ref": f"#/definitions/{name}"}


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"].removeprefix("#/definitions/")
        for inner in value.values():
            yield from _references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _references(inner)


@cache
def _crds() -> dict[tuple[str, str, str], Object]:
    own = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "crds").glob("*.yaml"))]
    texts = [*own, *(text for bundle in crds.BUNDLES for text in bundle.documents())]
    found = {}
    for text in texts:
        for crd in parse(text):
            if crd["kind"] == "CustomResourceDefinition":
                spec = crd["spec"]
                for version in spec["versions"]:
                    key = spec["group"], version["name"], spec["names"]["kind"]
                    found[key] = version["schema"]["openAPIV3Schema"]
    return found


def _of_a_crd(group: str, version: str, kind: str) -> Object | None:
    schema = _crds().get((group, version, kind))
    if schema is None:
        return None
    strict: Object = _strict(schema)
    strict["properties"]["metadata"] = {"type": "object"}
    return strict


def _strict(schema: Any) -> Any:
    """Refuse unknown fields wherever the known ones are listed; let numbers stand where Kubernetes takes both."""
    if not isinstance(schema, dict):
        return schema
    if schema.get("format") == "int-or-string" or schema.get("x-kubernetes-int-or-string"):
        return _INT_OR_STRING
    if schema.get("description", "").startswith("Quantity is a fixed-point"):
        return _QUANTITY
    found = dict(schema)
    for key in schema.keys() & {"items", "additionalProperties"}:
        found[key] = _strict(schema[key])
    if "properties" in schema:
        found["properties"] = {name: _strict(each) for name, each in schema["properties"].items()}
        if not schema.get("x-kubernetes-preserve-unknown-fields"):
            found.setdefault("additionalProperties", False)
    return found
