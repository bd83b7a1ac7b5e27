"""``history``: the runs that ended, the last one first; who ended them, and what was tried."""

from collections.abc import Iterator, Mapping
from typing import Any

from rich.text import Text

from fairway.cli import style
from fairway.cli.errors import Exit
from fairway.cli.output import dump
from fairway.cli.session import Options, Session
from fairway.cli.words import ago, dig, duration, epoch, moment, safe

Raw = Mapping[str, Any]
SHORT_DIGEST = 19
"""Characters of a digest that tell two apart: sha256: and twelve."""


def run(session: Session, options: Options) -> int:
    """Print every run that status remembers."""
    model = session.model(options.name)
    entries = list(dig(model, "status.history") or ())
    if options.output:
        session.say(dump(entries, options.output))
        return Exit.DONE
    if not entries:
        session.note(f"{options.name} has no run that ended")
    for entry in entries:
        session.lines(heading(entry, session.now(), session.console), indent=2)
        for line in details(entry):
            session.lines(line, indent=2, first=2)
    return Exit.DONE


def heading(entry: Raw, now: float, console: Any) -> Text:
    """Write run, version and end of an entry."""
    outcome = safe(entry.get("outcome"))
    began, ended = epoch(entry.get("startedAt")), epoch(entry.get("endedAt"))
    took = f", took {duration(ended - began)}" if began and ended else ""
    line = Text.assemble((f"{style.sign(outcome, console)} {safe(entry.get('run'))}", style.STRONG), "  ")
    line.append(f"{safe(entry.get('version'))}  ").append(outcome, style=style.style_of(outcome))
    line.append(f"  {moment(entry.get('endedAt'))} ({ago(entry.get('endedAt'), now)} ago){took}", style=style.QUIET)
    return line


def details(entry: Raw) -> Iterator[Text]:
    """Write why it ended, who had a say, and what was tried."""
    by = f"by {safe(entry['by'])}: " if entry.get("by") else ""
    yield Text(f"{by}{safe(entry.get('reason')) or 'no reason recorded'}")
    for approval in entry.get("approvals") or ():
        yield Text(approval_words(approval))
    made = [("revision", entry.get("revision")), ("commit", entry.get("commit")), ("data", entry.get("dataVersion"))]
    made += [("uri", entry.get("uri")), ("digest", _short(entry.get("digest"))), ("image", entry.get("image"))]
    yield Text("  ".join(f"{word} {safe(value)}" for word, value in made if value), style=style.QUIET)


def approval_words(approval: Raw) -> str:
    """Write who approved what, when and why."""
    via = f" (via {safe(approval['via'])})" if approval.get("via") else ""
    why = f": {safe(approval['comment'])}" if approval.get("comment") else ""
    return (
        f"{safe(approval.get('name'))} approved by {safe(approval.get('by'))}{via}, {moment(approval.get('at'))}{why}"
    )


def _short(digest: Any) -> str:
    return safe(digest)[:SHORT_DIGEST]
