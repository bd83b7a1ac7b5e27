"""``lint``: what is wrong with a file, by the schema, by its rules, and by what the cluster can and cannot do."""

import re
from collections.abc import Iterable

from fairway.cli.checks import Finding, check, of_schema, place
from fairway.cli.client import APPLY
from fairway.cli.errors import ApiError, Exit
from fairway.cli.facts import gather
from fairway.cli.manifests import Document, Files, read
from fairway.cli.rights import FORBIDDEN
from fairway.cli.session import NOT_FOUND, Options, Session, model_path
from fairway.cli.words import plural, safe

UNABLE = re.compile("cannot (patch|create)")
REFUSALS = (400, 403, 404, 409, 422)


def run(session: Session, options: Options) -> int:
    """Print every finding; errors end with the code of a refusal."""
    files = read(options.filename)
    findings = [finding for document in (*files.models, *files.runtimes) for finding in of_schema(document)]
    findings += [
        Finding("error", document.file, "kind", f"{document.kind} is no kind of fairway.dev")
        for document in files.strange
    ]
    broken = {finding.place for finding in findings}
    if not options.offline:
        facts = gather(session, files)
        for document in files.models:
            if place(document) not in broken:
                findings += check(document, facts, session.namespace)
                findings += dry_run(session, document)
    show(session, findings)
    return summary(session, files, findings)


def dry_run(session: Session, document: Document) -> Iterable[Finding]:
    """Ask the API server what it would say: CEL rules, admission policies, unknown fields. Nothing is stored."""
    namespace = document.namespace or session.namespace
    path = model_path(namespace, document.name)
    query = {"dryRun": "All", "fieldValidation": "Strict", "force": "true"}
    try:
        session.client.patch(path, document.content, kind=APPLY, **query)
    except ApiError as error:
        if error.status == FORBIDDEN and UNABLE.search(error.message):
            return [
                Finding("note", place(document), "", "you may not patch it: what admission policies say is not known")
            ]
        if error.status == NOT_FOUND:
            return [Finding("error", place(document), "", f"the API server has no place for it: {safe(error.message)}")]
        if error.status not in REFUSALS:
            raise
        return [Finding("error", place(document), "", f"refused by the API server: {safe(error.message)}")]
    return []


def show(session: Session, findings: Iterable[Finding]) -> None:
    """Print findings as compilers do, one a line: place, level, path, words."""
    from rich.text import Text  # noqa: PLC0415

    from fairway.cli.style import style_of  # noqa: PLC0415

    for finding in findings:
        line = Text.assemble(f"{finding.place}: ", (finding.level, style_of(finding.level)), ": ")
        line.append(f"{finding.path}: " if finding.path else "", style="bold").append(finding.message)
        session.line(line)


def summary(session: Session, files: Files, findings: list[Finding]) -> int:
    """Print the count, and return the exit code."""
    errors = sum(finding.level == "error" for finding in findings)
    warnings = sum(finding.level == "warning" for finding in findings)
    looked = plural(len(files.models) + len(files.runtimes), "object")
    session.say(f"{looked}: {plural(errors, 'error')}, {plural(warnings, 'warning')}")
    return Exit.REFUSED if errors else Exit.DONE
