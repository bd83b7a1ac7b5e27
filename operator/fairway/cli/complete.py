"""Shell completion with the names that exist now, by argcomplete; and kubectl's own protocol for its plugins."""

import os
import sys
from typing import Any

from fairway.cli.errors import CliError, Exit
from fairway.cli.session import Options, Session, core_path, model_path

NO_FILES, FILES = 4, 0
"""Cobra's directives: do not offer file names; offer them where nothing else is."""
FILE_FLAGS = (
    "--filename", "--kubeconfig", "--certificate-authority", "--client-certificate", "--client-key", "--ca-file",
    "--bearer-token-file",
)  # fmt: skip
PATIENCE = "2s"


def models(parsed_args: Any, **_: Any) -> list[str]:
    """Names of the ModelDeployments in the namespace."""
    try:
        session = _session(parsed_args)
        found = session.client.list(model_path(session.namespace))
    except CliError:
        return []
    return sorted(item["metadata"]["name"] for item in found)


def revisions(parsed_args: Any, **_: Any) -> list[str]:
    """Return the versions and runs that ``why`` can tell about."""
    try:
        session = _session(parsed_args)
        status = session.client.get(model_path(session.namespace, parsed_args.name)).get("status") or {}
    except (CliError, AttributeError):
        return []
    tracks = [status.get("stable"), status.get("candidate")]
    entries = [*(track for track in tracks if track), *status.get("history", ()), *status.get("rejected", ())]
    return sorted({entry["version"] for entry in entries} | {entry["run"] for entry in entries if "run" in entry})


def namespaces(parsed_args: Any, **_: Any) -> list[str]:
    """Names of the namespaces, where one may see them."""
    try:
        found = _session(parsed_args).client.list(core_path(None, "namespaces"))
    except CliError:
        return []
    return sorted(item["metadata"]["name"] for item in found)


def contexts(parsed_args: Any, **_: Any) -> list[str]:
    """Names of the kubeconfig's contexts."""
    from fairway.cli import kubeconfig  # noqa: PLC0415
    from fairway.cli.program import flags  # noqa: PLC0415

    try:
        return kubeconfig.contexts(flags(vars(parsed_args)), os.environ)
    except CliError:
        return []


def _session(parsed_args: Any) -> Session:
    from fairway.cli.program import flags  # noqa: PLC0415  they need each other

    given = {**vars(parsed_args)}
    given.setdefault("request_timeout", PATIENCE)
    return Session(flags=flags(given))


def run(session: Session, options: Options) -> int:
    """Print what a shell has to evaluate."""
    from argcomplete.shell_integration import shellcode  # noqa: PLC0415

    session.say(shellcode(["fairway", "kubectl-fairway"], shell=options.shell))
    return Exit.DONE


def for_kubectl(words: list[str] | None = None) -> int:
    """Answer kubectl, which asks kubectl_complete-fairway: one completion a line, and what to do with them last."""
    from fairway.cli.program import parser  # noqa: PLC0415

    asked = sys.argv[1:] if words is None else words
    found = [] if wants_file(asked) else candidates(parser("kubectl fairway"), asked)
    print("\n".join([*found, f":{FILES if wants_file(asked) else NO_FILES}"]))  # noqa: T201
    return Exit.DONE


def wants_file(words: list[str]) -> bool:
    """Whether the last word is the name of a file; -f is also what ``logs`` calls --follow."""
    from fairway.cli.verbs import FORESEE, verbs  # noqa: PLC0415  they need each other

    flag = words[-2] if len(words) > 1 else ""
    foresees = any(verb.name in words for verb in verbs() if verb.group == FORESEE)
    return flag in FILE_FLAGS or (foresees and flag == "-f")


def candidates(built: Any, words: list[str]) -> list[str]:
    """Return what the last word may become."""
    from argcomplete.completers import SuppressCompleter  # noqa: PLC0415
    from argcomplete.finders import CompletionFinder  # noqa: PLC0415

    finder = CompletionFinder(
        built, always_complete_options=False, default_completer=SuppressCompleter(), append_space=False
    )
    before, last = ["fairway", *words[:-1]], words[-1] if words else ""
    found = finder._get_completions(before, last, "", None)  # type: ignore[no-untyped-call]  # noqa: SLF001  the only way without a shell
    return sorted({each.strip() for each in found})
