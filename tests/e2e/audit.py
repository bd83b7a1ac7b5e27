"""What the operator asked of the API server, from the server's own audit log."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from tests.e2e.programs import environment
from tests.e2e.release import OPERATOR

READS = ("get", "list", "watch")
POD = "authentication.kubernetes.io/pod-name"


@dataclass(frozen=True, slots=True)
class Request:
    """One request of the operator. ``about`` is resource[/subresource]; cluster-wide ones have no ``namespace``."""

    verb: str
    about: str
    namespace: str
    name: str
    code: int
    at: float
    """When it came, in seconds since the epoch."""
    pod: str
    """The pod that asked: its token is bound to it."""

    @property
    def is_read(self) -> bool:
        """Whether it asks without changing anything."""
        return self.verb in READS

    def __str__(self) -> str:
        """As a person would say it."""
        return f"{self.verb} {self.about} {self.name}"


def log() -> Path:
    """The audit log."""
    return Path(environment()["FAIRWAY_AUDIT_LOG"])


def mark() -> int:
    """The log's present end: what is written later comes after it."""
    return log().stat().st_size


def requests(since: int | None, namespace: str | None = None) -> list[Request]:
    """Everything that the operator has asked since a mark, or ever, of one namespace or of all."""
    found = (each for path, start in _parts(since) for each in _all(path, start))
    return [each for each in found if namespace is None or each.namespace == namespace]


def _parts(since: int | None) -> list[tuple[Path, int]]:
    """Files that hold the log from a mark on, and where to begin in each: it may have been rotated meanwhile."""
    current = log()
    if since is None:
        return [(path, 0) for path in (*sorted(current.parent.glob(f"{current.stem}-*{current.suffix}")), current)]
    if current.stat().st_size >= since:
        return [(current, since)]
    rotated = max(current.parent.glob(f"{current.stem}-*{current.suffix}"))  # their names have the time
    assert rotated.stat().st_size >= since, "the audit log was rotated twice meanwhile: nothing can be said"
    return [(rotated, since), (current, 0)]


def _all(path: Path, since: int) -> Iterator[Request]:
    user = f"system:serviceaccount:{OPERATOR}:"
    named = user.encode()
    with path.open("rb") as lines:
        lines.seek(since)
        for line in lines:
            if not line.endswith(b"\n"):
                return  # still being written
            if named not in line:
                continue  # most are not the operator's, and reading JSON takes its time
            entry = json.loads(line)
            about = entry.get("objectRef", {})
            if entry["user"]["username"].startswith(user):
                below = about.get("subresource")
                yield Request(
                    verb=entry["verb"],
                    about=about.get("resource", "") + (f"/{below}" if below else ""),
                    namespace=about.get("namespace", ""),
                    name=about.get("name", ""),
                    code=entry.get("responseStatus", {}).get("code", 0),
                    at=datetime.fromisoformat(entry["requestReceivedTimestamp"]).timestamp(),
                    pod=next(iter(entry["user"].get("extra", {}).get(POD, ())), ""),
                )
