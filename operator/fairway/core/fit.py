"""A status that fits: what matters least goes first."""

import json
from typing import Any

MOST_BYTES = 10_000


def fit(status: dict[str, Any]) -> dict[str, Any]:
    """Return the status in at most 10 KB: old history goes first, then old rejections, then the verdict's words."""
    while _size(status) > MOST_BYTES:
        smaller = _smaller(status)
        if smaller is None:
            return status
        status = smaller
    return status


def _size(status: dict[str, Any]) -> int:
    return len(json.dumps(status, ensure_ascii=False, separators=(",", ":")).encode())


def _smaller(status: dict[str, Any]) -> dict[str, Any] | None:
    for name, least in (("history", 3), ("rejected", 1)):
        if len(status.get(name, ())) > least:
            return {**status, name: status[name][:-1]}
    objectives = status.get("verdict", {}).get("objectives", [])
    if any("message" in objective for objective in objectives):
        silent = [{key: value for key, value in each.items() if key != "message"} for each in objectives]
        return {**status, "verdict": {**status["verdict"], "objectives": silent}}
    if "effective" in status:
        return {key: value for key, value in status.items() if key != "effective"}
    return None
