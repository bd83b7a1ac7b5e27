"""What all children share: owner, labels, names."""

from dataclasses import dataclass
from typing import Any

from fairway.api import API_VERSION
from fairway.core import names


@dataclass(frozen=True, slots=True)
class Owner:
    """The ModelDeployment as its children refer to it."""

    namespace: str
    name: str
    uid: str


def metadata(owner: Owner, name: str, revision: str | None = None, version: str | None = None) -> dict[str, Any]:
    """Metadata of a child. No Argo CD or Helm labels: a child is nobody's but its ModelDeployment's."""
    labels = {names.MANAGED_BY: names.MANAGER, names.NAME: owner.name, names.OWNER: owner.uid}
    if revision:
        labels[names.REVISION] = revision
    if version:
        labels[names.VERSION] = names.label_value(version)
    return {
        "namespace": owner.namespace,
        "name": name,
        "labels": labels,
        "ownerReferences": [
            {
                "apiVersion": API_VERSION,
                "kind": "ModelDeployment",
                "name": owner.name,
                "uid": owner.uid,
                "controller": True,
            }
        ],
    }
