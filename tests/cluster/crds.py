"""Custom resource definitions that a production cluster has: Gateway API, and those of the Prometheus Operator."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from functools import partial

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

    def documents(self) -> list[str]:
        """Read the YAML texts of the bundle."""
        files = binaries.module_files(self.module, self.path, self.folder)
        return [text for name, text in files.items() if not self.kinds or _kind(name) in self.kinds]

    def key(self) -> str:
        """Hash what decides the content."""
        lock = (settings.GO_MODULES / self.module / "go.sum").read_bytes()
        return hashlib.sha256(lock + json.dumps([self.folder, self.kinds]).encode()).hexdigest()[:16]


def _kind(file_name: str) -> str:
    """Return the plural name that a file called `<group>_<plural>.yaml` defines."""
    return file_name.removesuffix(".yaml").rpartition("_")[2]


def defined_names(text: str) -> set[str]:
    """Return the names of the CRDs in a YAML text.

    Found by their fixed place: PyYAML is slow on such large files, and rejects a plain `=`, which Prometheus's have.
    """
    documents = re.split(r"^---$", text, flags=re.MULTILINE)
    crds = (item for item in documents if re.search(r"^kind: CustomResourceDefinition$", item, re.MULTILINE))
    return {name for item in crds for name in re.findall(r"^  name: (\S+)$", item, re.MULTILINE)[:1]}


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
        names = set().union(*map(defined_names, documents))
        wait_for(partial(_all_established, names), f"CRDs of {bundle.module}", seconds=60, every=0.3)
        record[bundle.module] = json.dumps({bundle.key(): sorted(names)})
        changed = True
    if changed:
        metadata = {"name": _RECORD, "namespace": _NAMESPACE}
        kubectl.apply([{"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": record}])


def _all_established(names: set[str]) -> bool:
    return names <= _established()


def _established() -> set[str]:
    """Return the names of all CRDs that are served, asking for little more than that.

    A filter within the template would fail on a CRD so new that it has no conditions yet.
    """
    template = '{range .items[*]}{.metadata.name}{" "}{.status.conditions}{"\\n"}{end}'
    found = set()
    for line in kubectl.kubectl("get", "crd", "-o", f"jsonpath={template}").stdout.splitlines():
        name, _, conditions = line.partition(" ")
        if any(each["type"] == "Established" and each["status"] == "True" for each in json.loads(conditions or "[]")):
            found.add(name)
    return found
