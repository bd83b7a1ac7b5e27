"""Times and lengths as people read them, and safe reading of what the API server stores."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from fairway.core.pods import one_line

MINUTE, HOUR, DAY = 60, 3600, 86400
_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?")


def dig(value: Any, path: str) -> Any:
    """Follow a dotted path through dictionaries; None where it ends early."""
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def condition(status: Any, kind: str) -> Mapping[str, Any]:
    """Return a condition of a status; an empty one where it is not there."""
    return next((each for each in dig(status, "conditions") or () if each["type"] == kind), {})


def epoch(text: Any) -> float | None:
    """Epoch seconds of an RFC 3339 time; None for none."""
    try:
        return datetime.fromisoformat(text).timestamp() if text else None
    except (TypeError, ValueError):
        return None


def seconds(text: Any) -> float:
    """Seconds of a duration as the API writes it, such as 1h30m; 0 for none."""
    found = _DURATION.fullmatch(text) if isinstance(text, str) else None
    hours, minutes, rest = (float(part or 0) for part in found.groups()) if found else (0.0, 0.0, 0.0)
    return hours * HOUR + minutes * MINUTE + rest


def duration(length: float) -> str:
    """Write seconds with at most two units: ``2m10s``, ``3h``, ``5d2h``."""
    whole = max(0, int(length))
    days, rest = divmod(whole, DAY)
    hours, rest = divmod(rest, HOUR)
    minutes, secs = divmod(rest, MINUTE)
    parts = [f"{n}{unit}" for n, unit in ((days, "d"), (hours, "h"), (minutes, "m"), (secs, "s"))]
    first = next((i for i, part in enumerate(parts) if not part.startswith("0")), 3)
    kept = [part for part in parts[first : first + 2] if not part.startswith("0")]
    return "".join(kept) or "0s"


def ago(text: Any, now: float) -> str:
    """Write how long ago a time was."""
    at = epoch(text)
    return "-" if at is None else duration(now - at)


def until(text: Any, now: float) -> str:
    """Write when something ends: ``until 14:03:10 (2m10s left)``."""
    at = epoch(text)
    if at is None:
        return ""
    return f"until {clock(at)} ({duration(at - now)} left)" if at > now else f"due at {clock(at)}"


def clock(at: float) -> str:
    """Write the local time of day."""
    return datetime.fromtimestamp(at, UTC).astimezone().strftime("%H:%M:%S")


def moment(text: Any) -> str:
    """Write a local date and time, to the minute."""
    at = epoch(text)
    return "-" if at is None else datetime.fromtimestamp(at, UTC).astimezone().strftime("%Y-%m-%d %H:%M")


def safe(text: Any, limit: int = 600) -> str:
    """Make foreign text safe for a terminal: one line, no control characters."""
    return one_line(str(text), limit) if text is not None else ""


def plural(number: int, word: str) -> str:
    """Write a number with its noun."""
    return f"{number} {word}" + ("" if number == 1 else "s")
