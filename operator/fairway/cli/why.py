"""``why``: one decision in one paragraph, with its numbers."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fairway.cli.errors import CliError, Exit
from fairway.cli.history import approval_words
from fairway.cli.session import Options, Session
from fairway.cli.view import ObjectiveView, View, objective_numbers, view
from fairway.cli.words import ago, duration, epoch, plural, safe, until

Raw = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Story:
    """What is known of one attempt: its entry in the history, and that in the rejected revisions."""

    entry: Raw | None = None
    rejected: Raw | None = None


def run(session: Session, options: Options) -> int:
    """Print the paragraph."""
    model = session.model(options.name)
    text = why(model, options.revision, session.now())
    from rich.text import Text  # noqa: PLC0415  after the request, which may fail

    session.lines(Text(text))
    return Exit.DONE


def why(model: Raw, asked: str | None, now: float) -> str:
    """Tell the decision about a version, revision or run, None for the last. Raises CliError for a stranger."""
    status = model.get("status") or {}
    shown = view(model, None, None)
    run, candidate, stable = status.get("run"), status.get("candidate") or {}, status.get("stable") or {}
    if run and (asked is None or _is(asked, {**candidate, "run": run["id"]})):
        return " ".join(_open(shown, status, now))
    story = _story(status, asked)
    if story.entry or story.rejected:
        return " ".join(_ended(shown, status, story, now))
    if asked is None or _is(asked, stable):
        return " ".join(_serving(shown, status, asked))
    raise CliError(f"{shown.name} knows no {asked}: see fairway history {shown.name}")


def _is(asked: str, entry: Raw) -> bool:
    return asked in (entry.get("version"), entry.get("revision"), entry.get("run"))


def _story(status: Raw, asked: str | None) -> Story:
    entries, rejected = status.get("history") or (), status.get("rejected") or ()
    entry = next((each for each in entries if asked is None or _is(asked, each)), None)
    revision = entry["revision"] if entry else None
    about = (each for each in rejected if each["revision"] == revision or (asked and _is(asked, each)))
    return Story(entry, next(about, None))


def _open(shown: View, status: Raw, now: float) -> Iterator[str]:
    """Tell about the run that is open."""
    run, candidate = status["run"], status.get("candidate") or {}
    version, stable = safe(candidate.get("version")), status.get("stable")
    opened = f"{safe(run['id'])} opened {ago(run.get('startedAt'), now)} ago"
    if stable:
        yield f"{version} is being tried against {safe(stable.get('version'))}: {opened},"
        yield f"it is at step {safe(run.get('progress'))} and has {candidate.get('weight', 0)}% of the requests."
    else:
        yield f"{version} is the first version: {opened}."
    if run.get("waitingFor"):
        due = until(run.get("deadline"), now)
        yield f"It waits for {safe(run['waitingFor'])}" + (f", {due}." if due else ".")
    yield from _verdict(shown, now)
    yield from (f"{approval_words(each)}." for each in run.get("approvals") or ())
    yield from (f"{trouble}." for trouble in shown.troubles)
    if shown.hint:
        yield f"Next: {shown.hint}."


def _verdict(shown: View, now: float) -> Iterator[str]:
    if not shown.verdict:
        return
    yield f"The verdict is {shown.verdict}, {ago(shown.judged_at, now)} ago:"
    yield "; ".join(_numbers(entry) for entry in shown.objectives) + "."


def _numbers(entry: ObjectiveView) -> str:
    evidence = f", evidence {entry.evidence}" if entry.evidence else ""
    return f"{entry.name} {objective_numbers(entry)}{evidence}, {plural(entry.requests, 'request')}"


def _ended(shown: View, status: Raw, story: Story, now: float) -> Iterator[str]:
    """Tell about an attempt that ended."""
    entry, rejected, stable = story.entry, story.rejected, status.get("stable") or {}
    about = entry or rejected or {}
    version, revision = safe(about.get("version")), safe(about.get("revision"))
    if entry is None:
        yield f"{version} (revision {revision}) was taken out {ago(about.get('at'), now)} ago."
    else:
        yield _outcome(entry, version, revision, now) + _taken_out(entry, rejected, now)
    reason = safe((entry or {}).get("reason"), 1000)
    if rejected and safe(rejected.get("reason")) not in reason:
        reason = f"{safe(rejected.get('reason'))}: {safe(rejected.get('message'), 1000)}"
    yield f"The reason: {reason or 'none was recorded'}."
    yield from (f"{approval_words(each)}." for each in (entry or {}).get("approvals") or ())
    if stable and stable.get("revision") != revision:
        yield f"{safe(stable.get('version'))} serves."
    elif stable:
        yield "It serves now."
    refused = status.get("refused") or {}
    if refused.get("revision") == revision:
        yield f"It is not tried again until the spec asks for something else, or: fairway retry {shown.name}."


def _taken_out(entry: Raw, rejected: Raw | None, now: float) -> str:
    """Tell the end of a version that was promoted, and rejected later."""
    if entry.get("outcome") != "Promoted" or not rejected:
        return "."
    return f", and was taken out {ago(rejected.get('at'), now)} ago."


def _outcome(entry: Raw, version: str, revision: str, now: float) -> str:
    words = {"Promoted": "was promoted", "RolledBack": "was rolled back", "Superseded": "gave way"}
    began, ended = epoch(entry.get("startedAt")), epoch(entry.get("endedAt"))
    took = f", {duration(ended - began)} after its run began" if began and ended else ""
    by = f" by {safe(entry['by'])}" if entry.get("by") else ""
    outcome, run = words.get(entry.get("outcome", ""), "ended"), safe(entry.get("run"))
    return f"{version} (revision {revision}, {run}) {outcome}{by} {ago(entry.get('endedAt'), now)} ago{took}"


def _serving(shown: View, status: Raw, asked: str | None) -> Iterator[str]:
    stable = status.get("stable")
    if stable:
        yield f"{safe(stable.get('version'))} serves; the run that promoted it is no longer remembered."
    elif asked is None:
        yield f"{shown.asked} does not serve yet: {shown.message}."
