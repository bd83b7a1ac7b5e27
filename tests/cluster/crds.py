"""Custom resource definitions that a production cluster has: Gateway API, and those of the Prometheus Operator."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

import yaml

from . import binaries, kubectl, settings
from .shell import wait_for

_RECORD = "fairway-cluster-crds"
_NAMESPACE = "kube-system"


@dataclass(frozen=True)
class Bundle:
    """CRD files within a Go module; `kinds` (plural names) limits them, if given."""

    module: str
    path: str
    folder: str
    kinds: tuple[str, ...] = ()

    def documents(self) -> list[dict[str, Any]]:
        """Read the objects of the bundle."""
        texts = binaries.module_files(self.module, self.path, self.folder)
        # The C loader is ten times as fast, and these files are large.
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        loaded = (item for text in texts for item in yaml.load_all(text, Loader=loader) if item)
        return [item for item in loaded if not self.kinds or item["metadata"]["name"].partition(".")[0] in self.kinds]

    def key(self) -> str:
        """Hash what decides the content."""
        lock = (settings.GO_MODULES / self.module / "go.sum").read_bytes()
        return hashlib.sha256(lock + json.dumps([self.folder, self.kinds]).encode()).hexdigest()[:16]


BUNDLES = (
    Bundle("gateway-api", "sigs.k8s.io/gateway-api", "config/crd/standard"),
    Bundle(
        "prometheus-operator",
        "github.com/prometheus-operator/prometheus-operator",
        "example/prometheus-operator-crd",
        ("podmonitors", "servicemonitors", "prometheusrules"),
    ),
)


def ensure() -> None:
    """Install what is not there as recorded; a test may have deleted one, so the record alone is not believed."""
    record = (kubectl.get("configmap", _RECORD, "-n", _NAMESPACE) or {}).get("data", {})
    present = _established()
    changed = False
    for bundle in BUNDLES:
        names = set(json.loads(record.get(bundle.module, "{}")).get(bundle.key(), []))
        if names and names <= present:
            continue
        documents = bundle.documents()
        kubectl.apply(documents)
        names = {item["metadata"]["name"] for item in documents if item["kind"] == "CustomResourceDefinition"}
        wait_for(lambda names=names: names <= _established(), f"CRDs of {bundle.module}", seconds=60, every=0.3)
        record[bundle.module] = json.dumps({bundle.key(): sorted(names)})
        changed = True
    if changed:
        metadata = {"name": _RECORD, "namespace": _NAMESPACE}
        kubectl.apply([{"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": record}])


def _established() -> set[str]:
    """Return the names of all CRDs that are served, asking for no more than that."""
    template = '{range .items[*]}{.metadata.name}{" "}{.status.conditions[?(@.type=="Established")].status}{"\\n"}{end}'
    lines = kubectl.kubectl("get", "crd", "-o", f"jsonpath={template}").stdout.splitlines()
    return {words[0] for words in map(str.split, lines) if words[1:] == ["True"]}
