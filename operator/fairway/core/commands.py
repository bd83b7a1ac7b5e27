"""One-shot commands in annotations: parsed strictly, bound to what they are about, each value acted on once.

People, the CLI or Argo CD write them; the operator neither writes nor removes them. What was handled is remembered in
``status.commands``, so that an annotation that stays (as it does in Git) acts once.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from fairway.api import GROUP
from fairway.core.pods import one_line

_RUN = r"(?P<run>run-[0-9]{1,9})"
_WORD = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)"
_FORMS = {
    "promote": re.compile(rf"{_RUN}/(?P<step>[0-9]{{1,3}})"),
    "promote-full": re.compile(_RUN),
    "abort": re.compile(_RUN),
    "retry": re.compile(_RUN),
    "rollback": re.compile(_RUN),
    "approve": re.compile(rf"{_RUN}/(?P<name>{_WORD}) by (?P<by>[^ ]+): ?(?P<comment>.*)", re.DOTALL),
    "deny": re.compile(rf"{_RUN}/(?P<name>{_WORD}) by (?P<by>[^ ]+): ?(?P<comment>.*)", re.DOTALL),
    "restart": re.compile(rf"((?P<upgrade>upgrade-runtime) )?{_TIME}"),
}
NAMES = tuple(_FORMS)
LONGEST = 120
LONGEST_CLIENT = 60


@dataclass(frozen=True, slots=True)
class Command:
    """One well-formed command that has not been handled yet."""

    name: str
    value: str
    run: str = ""
    step: int | None = None
    gate: str = ""
    by: str = ""
    comment: str = ""
    client: str = ""
    """The program that wrote it, by its own word."""
    upgrade: bool = False

    @property
    def mark(self) -> str:
        """What is remembered of the value once it was handled."""
        return mark(self.value)


def mark(value: str) -> str:
    """Return a value as status remembers it: itself if it is short and plain, else its digest."""
    plain = len(value) <= LONGEST and value.isprintable()
    return value if plain else f"sha256:{hashlib.sha256(value.encode()).hexdigest()}"


def pending(
    annotations: Mapping[str, str], handled: Mapping[str, str], written: Mapping[str, Mapping[str, str]] | None = None
) -> dict[str, Command]:
    """Return the commands of an object that are well-formed and not handled yet, by name; ``written`` as of writers."""
    found = {}
    for name in NAMES:
        value = annotations.get(f"{GROUP}/{name}")
        if value is None or handled.get(name) == mark(value):
            continue
        client = (written or {}).get(name, {}).get("client", "")
        command = _parse(name, value, one_line(client, LONGEST_CLIENT))
        if command is not None:
            found[name] = command
    return found


def writers(managed: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, str]]:
    """Return by which program each command was last written, and when, from an object's managedFields.

    Kubernetes tells a controller no more than that: the user is in the audit log of the API server.
    """
    found = {}
    for entry in managed:
        annotations = entry.get("fieldsV1", {}).get("f:metadata", {}).get("f:annotations", {})
        for name in NAMES:
            if f"f:{GROUP}/{name}" in annotations:
                found[name] = {"client": str(entry.get("manager", "")), "asked": str(entry.get("time", ""))}
    return found


def _parse(name: str, value: str, client: str) -> Command | None:
    match = _FORMS[name].fullmatch(value)
    if match is None:
        return None
    parts = match.groupdict()
    step = parts.get("step")
    return Command(
        name=name,
        value=value,
        run=parts.get("run") or "",
        step=int(step) if step else None,
        gate=parts.get("name") or "",
        by=one_line(parts.get("by") or "", LONGEST),
        comment=one_line(parts.get("comment") or "", LONGEST),
        client=client,
        upgrade=bool(parts.get("upgrade")),
    )
