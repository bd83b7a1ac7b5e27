"""The ControllerRevision that keeps what a revision is, so that no later operator renders it differently."""

from typing import Any

from fairway.core import names
from fairway.core.build.common import Owner, metadata
from fairway.core.revision import Record


def controller_revision(owner: Owner, record: Record) -> dict[str, Any]:
    """Return the stored form of a revision. ``revision`` is constant: order is kept by status.history."""
    meta = metadata(owner, names.child(owner.name, record.revision), record.revision, record.version)
    meta["annotations"] = {names.INTENT: record.intent}
    return {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": meta,
        "revision": 1,
        "data": record.data(),
    }
