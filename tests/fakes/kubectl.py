"""What kubectl prints of ModelDeployments: by the columns of the CRD, and as it describes any custom resource."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from fairway.api import crd
from fairway.ports import Manifest

ACRONYMS = {"url", "uid"}


def get(models: list[Manifest], now: float) -> str:
    """Print what `kubectl get modeldeployments` does."""
    (found,) = (each for each in crd.crds().values() if each["spec"]["names"]["kind"] == "ModelDeployment")
    columns = [c for c in found["spec"]["versions"][0]["additionalPrinterColumns"] if not c.get("priority")]
    rows = [["NAME", *(column["name"].upper() for column in columns)]]
    rows += [[model["metadata"]["name"], *(_cell(model, column, now) for column in columns)] for model in models]
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    lines = ("   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "".join(f"{line.rstrip()}\n" for line in lines)


def _cell(model: Manifest, column: dict[str, Any], now: float) -> str:
    path, only = (
        column["jsonPath"],
        re.fullmatch(r'\.status\.conditions\[\?\(@\.type=="(\w+)"\)\]\.status', column["jsonPath"]),
    )
    if only:
        conditions = model.get("status", {}).get("conditions", ())
        return next((c["status"] for c in conditions if c["type"] == only[1]), "")
    value: Any = model
    for word in path.strip(".").split("."):
        value = value.get(word, {}) if isinstance(value, dict) else {}
    if value == {}:
        return ""
    return age(now - datetime.fromisoformat(value).timestamp()) if column["type"] == "date" else str(value)


def age(seconds: float) -> str:
    """Write a duration as kubectl does, up to some hours."""
    whole = int(seconds)
    if whole < 120:
        return f"{whole}s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes}m{rest}s" if minutes < 10 and rest else f"{minutes}m"


def describe(model: Manifest) -> str:
    """Print what `kubectl describe` says of conditions, message and phase."""
    status = model["status"]
    shown = {name: status[name] for name in ("conditions", "message", "phase", "url") if name in status}
    return "\n".join(["Status:", *_lines(shown, 1)]) + "\n"


def _lines(values: dict[str, Any], level: int) -> Iterator[str]:
    indent = "  " * level
    plain = [len(_label(name)) for name, value in values.items() if not isinstance(value, list)]
    width = max(plain, default=0) + 3
    for name, value in sorted(values.items()):
        if isinstance(value, list):
            yield f"{indent}{_label(name)}:"
            for each in value:
                yield from _lines(each, level + 1)
        else:
            yield f"{indent}{f'{_label(name)}:'.ljust(width)}{value}"


def _label(name: str) -> str:
    if name in ACRONYMS:
        return name.upper()
    return " ".join(word[0].upper() + word[1:] for word in re.findall(r"[A-Z]?[a-z]+", name))
