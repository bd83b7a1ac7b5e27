"""Machine-readable output: the API's objects as they are."""

import json

from fairway.cli.client import Manifest
from fairway.cli.errors import Exit
from fairway.cli.session import Session
from fairway.cli.words import dig

NOISE = "managedFields"


def printed(session: Session, found: Manifest | list[Manifest], form: str) -> int:
    """Print one object or a list of them as json, yaml or name."""
    items = found if isinstance(found, list) else [found]
    if form == "name":
        for item in items:
            session.say(f"modeldeployment.fairway.dev/{dig(item, 'metadata.name')}")
        return Exit.DONE
    clean = [_clean(item) for item in items]
    content = {"apiVersion": "v1", "kind": "List", "items": clean} if isinstance(found, list) else clean[0]
    session.say(dump(content, form))
    return Exit.DONE


def dump(content: object, form: str) -> str:
    """Write something as json or yaml."""
    if form == "json":
        return json.dumps(content, indent=2, ensure_ascii=False)
    import yaml  # noqa: PLC0415  only for this form

    return str(yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=110)).rstrip("\n")


def _clean(item: Manifest) -> Manifest:
    meta = {key: value for key, value in item.get("metadata", {}).items() if key != NOISE}
    return {**item, "metadata": meta}
