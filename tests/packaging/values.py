"""The table of values in the chart's README, made from values.yaml and its comments."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import yaml

from tests.packaging.helm import CHART

README = CHART / "README.md"
_BEGIN, _END = "<!-- values: written by `make manifests` -->\n", "<!-- end of values -->\n"
_KEY = re.compile(r"^( *)([A-Za-z_]+):")


def table() -> str:
    """Return the table: a row for each value, and for each section that says something of its own."""
    text = (CHART / "values.yaml").read_text(encoding="utf-8")
    said = comments(text)
    rows = ["| value | default | what it is |", "|---|---|---|"]
    for path, value in entries(yaml.safe_load(text)):
        default = "" if isinstance(value, dict) and value else f"`{json.dumps(value)}`"
        if default or path in said:
            rows.append(f"| `{path}` | {default} | {said.get(path, '')} |")
    return "\n".join(rows) + "\n"


def entries(values: dict[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Yield path and default of everything in a mapping: a section comes before what is in it."""
    for key, value in values.items():
        yield f"{above}{key}", value
        if isinstance(value, dict):
            yield from entries(value, f"{above}{key}.")


def comments(text: str) -> dict[str, str]:
    """Return the comment above each key, as one line, by the key's path."""
    found: dict[str, str] = {}
    said: list[str] = []
    above: list[str] = []
    for line in text.splitlines():
        if (stripped := line.strip()).startswith("#"):
            said.append(" ".join(stripped.removeprefix("#").split()))
            continue
        if match := _KEY.match(line):
            above = [*above[: len(match[1]) // 2], match[2]]
            if said:
                found[".".join(above)] = " ".join(said).replace("|", "\\|")
        said = []
    return found


def readme() -> str:
    """Return the README with the table of today."""
    text = README.read_text(encoding="utf-8")
    before, rest = text.split(_BEGIN)
    return f"{before}{_BEGIN}\n{table()}\n{_END}{rest.split(_END)[1]}"
