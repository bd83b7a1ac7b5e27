"""``events``: what has happened to a ModelDeployment, oldest first."""

import time
from collections.abc import Mapping
from typing import Any

from fairway.cli.client import Manifest
from fairway.cli.errors import ApiError, CliError, Exit
from fairway.cli.follow import passing, rest
from fairway.cli.output import dump
from fairway.cli.rights import Right, explain
from fairway.cli.session import Options, Session, core_path
from fairway.cli.words import ago, epoch, safe

HOUR = 3600.0


def run(session: Session, options: Options) -> int:
    """Print the Events about a ModelDeployment."""
    session.model(options.name)
    path, right = core_path(session.namespace, "events"), Right("list", "events", "", session.namespace)
    query = {"fieldSelector": f"involvedObject.kind=ModelDeployment,involvedObject.name={options.name}"}
    found = sorted(session.read(path, right, **query), key=_time)
    if options.output:
        session.say(dump(found, options.output))
        return Exit.DONE
    if not found:
        session.note(f"no events about {options.name}: Kubernetes forgets them after an hour")
    for event in found:
        _show(session, event)
    if options.watch:
        _follow(session, path, query, {event["metadata"]["uid"] for event in found})
    return Exit.DONE


def _follow(session: Session, path: str, query: Mapping[str, str], seen: set[str]) -> None:
    """Show what comes, until interrupted; an API server that is away is waited for."""
    while True:
        begun = time.monotonic()
        try:
            for kind, event in session.client.watch(path, seconds=HOUR, **query):
                if kind == "ADDED" and event["metadata"]["uid"] not in seen:
                    seen.add(event["metadata"]["uid"])
                    _show(session, event)
        except CliError as error:
            if not passing(error):
                raise _explained(session, error) from None
        rest(session, begun)


def _explained(session: Session, error: CliError) -> CliError:
    right = Right("watch", "events", "", session.namespace)
    return explain(session.client, error, right) if isinstance(error, ApiError) else error


def _time(event: Mapping[str, Any]) -> float:
    return (
        epoch(event.get("lastTimestamp") or event.get("eventTime") or event["metadata"].get("creationTimestamp")) or 0.0
    )


def _show(session: Session, event: Manifest) -> None:
    from rich.text import Text  # noqa: PLC0415

    from fairway.cli import style  # noqa: PLC0415

    kind = "Warning" if event.get("type") == "Warning" else ""
    when = ago(event.get("lastTimestamp") or event.get("eventTime"), session.now())
    line = Text.assemble(
        f"{when:>7}  {style.sign(kind, session.console)} ", (safe(event.get("reason")), style.style_of(kind))
    )
    line.append(f"  {safe(event.get('message'))}")
    session.lines(line, indent=11)
