"""The CustomResourceDefinitions, generated from the models: ``crds/`` is a copy that people can apply."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from fairway.api import GROUP, VERSION
from fairway.api.crd_rules import NAMES, RULES
from fairway.api.crd_schema import Json, structural
from fairway.api.runtime import ModelRuntimeSpec
from fairway.api.spec import ModelDeploymentSpec
from fairway.api.status import Status

HEADER = "# Generated from operator/fairway/api by `fairway crds`. Change the models, not this file.\n"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of ``kubectl get``; a wide one is shown with ``-o wide`` only."""

    name: str
    path: str
    type: str = "string"
    wide: bool = False

    def manifest(self) -> Json:
        """Write the column as an entry of ``additionalPrinterColumns``."""
        priority = {"priority": 1} if self.wide else {}
        return {"name": self.name, "type": self.type, "jsonPath": self.path} | priority


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One of our kinds: its names, its models and how it is listed."""

    name: str
    plural: str
    short: str
    scope: str
    description: str
    spec: type[BaseModel]
    status: type[BaseModel] | None = None
    scale: bool = False
    columns: Sequence[Column]


def _condition(kind: str, field: str) -> str:
    return f'.status.conditions[?(@.type=="{kind}")].{field}'


SCALE = {
    "specReplicasPath": ".spec.scaling.replicas",
    "statusReplicasPath": ".status.replicas",
    "labelSelectorPath": ".status.selector",
}
AGE = Column("Age", ".metadata.creationTimestamp", "date")
KINDS = (
    Kind(
        name="ModelDeployment",
        plural="modeldeployments",
        short="md",
        scope="Namespaced",
        description="A model that should serve: the right revision does, and a bad one takes itself out.",
        spec=ModelDeploymentSpec,
        status=Status,
        scale=True,
        columns=(
            Column("Version", ".spec.model.version"),
            Column("Stable", ".status.stable.version"),
            Column("Candidate", ".status.candidate.version"),
            Column("Weight", ".status.candidate.weight", "integer"),
            Column("Step", ".status.run.progress"),
            Column("Phase", ".status.phase"),
            Column("Ready", _condition("Ready", "status")),
            Column("URL", ".status.url"),
            AGE,
            Column("Runtime", ".spec.runtime.name", wide=True),
            Column("Reason", _condition("UpToDate", "reason"), wide=True),
        ),
    ),
    Kind(
        name="ModelRuntime",
        plural="modelruntimes",
        short="mrt",
        scope="Cluster",
        description="How one kind of model server runs and is measured; ModelDeployments name it in runtime.name.",
        spec=ModelRuntimeSpec,
        columns=(Column("Protocol", ".spec.protocol"), Column("Image", ".spec.image"), AGE),
    ),
)


def crds() -> dict[str, Json]:
    """Generate the manifests of all our kinds, by the name of the file that each is written to."""
    return {f"{GROUP}_{kind.plural}.yaml": _definition(kind) for kind in KINDS}


def write(directory: Path | str) -> list[Path]:
    """Write every manifest into ``directory``, which is made if need be, and return the files."""
    target = Path(directory)
    target.mkdir(parents=True, exist_ok=True)
    written = []
    for name, text in _rendered().items():
        path = target / name
        path.write_text(text, encoding="utf-8")
        written.append(path)
    return written


def check(directory: Path | str) -> list[str]:
    """Say, one sentence a file, where ``directory`` is not what ``write`` would make of it."""
    target = Path(directory)
    rendered = _rendered()
    findings = []
    for name, text in rendered.items():
        path = target / name
        if not path.is_file():
            findings.append(f"{path} is missing: write it with `fairway crds`")
        elif path.read_text(encoding="utf-8") != text:
            findings.append(f"{path} differs from the models: write it again with `fairway crds`")
    strangers = sorted(path for path in target.glob(f"{GROUP}_*.yaml") if path.name not in rendered)
    return [*findings, *(f"{path} is of no kind that the models know: delete it" for path in strangers)]


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        """Write what is in two places twice: anchors are no help to a reader of a CRD."""
        return True


def _rendered() -> dict[str, str]:
    return {
        name: HEADER + yaml.dump(manifest, Dumper=_Dumper, sort_keys=False, width=110, allow_unicode=True)
        for name, manifest in crds().items()
    }


def _definition(kind: Kind) -> Json:
    version = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": _object(kind)},
        "additionalPrinterColumns": [column.manifest() for column in kind.columns],
    }
    if kind.status is not None:
        version["subresources"] = {"status": {}} | ({"scale": SCALE} if kind.scale else {})
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": kind.scope,
            "names": {
                "kind": kind.name,
                "listKind": f"{kind.name}List",
                "plural": kind.plural,
                "singular": kind.name.lower(),
                "shortNames": [kind.short],
                "categories": ["fairway"],
            },
            "versions": [version],
        },
    }


def _object(kind: Kind) -> Json:
    properties: Json = {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        # A rule can only blame a field that the schema names, and only afford one with a bound.
        "metadata": {"type": "object", "properties": {"name": {"type": "string", "maxLength": 253}}},
        "spec": structural(kind.spec, RULES),
    }
    if kind.status is not None:
        properties["status"] = structural(kind.status, {})
    return {
        "description": kind.description,
        "type": "object",
        "required": ["spec"],
        "properties": properties,
        "x-kubernetes-validations": [NAMES[kind.spec].manifest()],
    }
