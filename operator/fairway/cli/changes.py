"""What differs between the spec that is stored and the one in a file, and which of it makes a new revision. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fairway.api.spec import ModelDeploymentSpec
from fairway.core.revision import shaping

LONGEST = 60


@dataclass(frozen=True, slots=True)
class Change:
    """One field that differs; ``old`` and ``new`` are written for people, empty for none."""

    path: str
    old: str
    new: str
    makes_revision: bool

    def __str__(self) -> str:
        """Write the change in one line."""
        if not self.old:
            return f"{self.path}: {self.new} (new)"
        return f"{self.path}: {self.old} -> {self.new or '(gone)'}"


def changes(name: str, old: ModelDeploymentSpec, new: ModelDeploymentSpec) -> list[Change]:
    """Return every field that differs; those that make a new revision come first."""
    before, after = _dump(old), _dump(new)
    shaped = {path for path, _, _ in _differences("", shaping(old, name), shaping(new, name))}
    found = [
        Change(path, _shown(was), _shown(will), path in shaped) for path, was, will in _differences("", before, after)
    ]
    return sorted(found, key=lambda change: (not change.makes_revision, change.path))


def _dump(spec: ModelDeploymentSpec) -> dict[str, Any]:
    return spec.model_dump(mode="json", by_alias=True, exclude_none=True)


def _differences(path: str, old: Any, new: Any) -> Iterator[tuple[str, Any, Any]]:
    """Yield (path, old, new); lists whose items have names are compared by name."""
    if old == new:
        return
    was, will = _keyed(old), _keyed(new)
    if was is None or will is None:
        yield path, old, new
        return
    for key in dict.fromkeys([*was, *will]):
        below = f"{path}{key}" if key.startswith("[") or not path else f"{path}.{key}"
        yield from _differences(below, was.get(key), will.get(key))


def _keyed(value: Any) -> dict[str, Any] | None:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, list) and value and all(isinstance(each, Mapping) and "name" in each for each in value):
        return {f"[{each['name']}]": each for each in value}
    return None


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, Mapping):
        text = "{" + ", ".join(f"{key}: {_shown(each)}" for key, each in value.items()) + "}"
    elif isinstance(value, list):
        text = "[" + ", ".join(_shown(each) for each in value) + "]"
    else:
        text = {True: "true", False: "false"}.get(value, str(value)) if isinstance(value, bool) else str(value)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
