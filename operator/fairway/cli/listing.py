"""``list``: one line a ModelDeployment."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fairway.api import GROUP
from fairway.cli.errors import Exit
from fairway.cli.output import printed
from fairway.cli.rights import Right
from fairway.cli.session import PLURAL, Options, Session, model_path
from fairway.cli.words import ago, condition, dig, safe

Raw = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Column:
    """One column, and how it is read."""

    title: str
    read: Callable[[Raw, float], str]


def _text(path: str) -> Callable[[Raw, float], str]:
    return lambda model, _now: safe(dig(model, path)) or "-"


def _weight(model: Raw, _now: float) -> str:
    candidate, run = dig(model, "status.candidate"), dig(model, "status.run")
    return f"{candidate.get('weight', 0)}%" if candidate and run else "-"


COLUMNS = (
    Column("NAME", _text("metadata.name")),
    Column("STABLE", _text("status.stable.version")),
    Column("CANDIDATE", _text("status.candidate.version")),
    Column("WEIGHT", _weight),
    Column("STEP", _text("status.run.progress")),
    Column("PHASE", lambda model, _now: safe(dig(model, "status.phase")) or "Pending"),
    Column("READY", lambda model, _now: safe(condition(model.get("status"), "Ready").get("status")) or "-"),
    Column("AGE", lambda model, now: ago(dig(model, "metadata.creationTimestamp"), now)),
)
WIDE = (
    Column("VERDICT", _text("status.verdict.state")),
    Column("RUNTIME", lambda model, _now: safe(dig(model, "status.effective.runtime") or "-")),
    Column("REASON", lambda model, _now: safe(condition(model.get("status"), "UpToDate").get("reason")) or "-"),
    Column("URL", _text("status.url")),
)


def run(session: Session, options: Options) -> int:
    """List what the namespace has, or every namespace."""
    namespace = None if options.all_namespaces else session.namespace
    query = {"labelSelector": options.selector} if options.selector else {}
    right = Right("list", PLURAL, GROUP, namespace or "")
    found = session.read(model_path(namespace), right, **query)
    if options.output in ("json", "yaml", "name"):
        return printed(session, found, options.output)
    if not found:
        session.note("no ModelDeployments" + (f" in namespace {namespace}" if namespace else ""))
        return Exit.DONE
    columns = [*COLUMNS, *(WIDE if options.output == "wide" else ())]
    if options.all_namespaces:
        columns.insert(0, Column("NAMESPACE", _text("metadata.namespace")))
    show(session, found, columns)
    return Exit.DONE


def show(session: Session, found: Sequence[Raw], columns: Sequence[Column]) -> None:
    """Print the table; a line is never broken, as it may go to grep."""
    from rich.text import Text  # noqa: PLC0415

    from fairway.cli.style import style_of  # noqa: PLC0415

    now = session.now()
    rows = [[column.read(model, now) for column in columns] for model in found]
    widths = [max(len(row[i]) for row in [[c.title for c in columns], *rows]) for i in range(len(columns))]
    lines = [Text("   ".join(f"{c.title:<{w}}" for c, w in zip(columns, widths, strict=True)).rstrip(), style="bold")]
    for row in rows:
        line = Text()
        for cell, width in zip(row, widths, strict=True):
            line.append(f"{cell:<{width}}   ", style=style_of(cell))
        line.rstrip()
        lines.append(line)
    for line in lines:
        session.line(line)
