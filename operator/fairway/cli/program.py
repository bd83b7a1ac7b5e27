"""The command line: kubectl's flags, the verbs, and how they end."""

import argparse
import os
import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Any, NoReturn, TextIO

from fairway.cli import complete
from fairway.cli.errors import CliError, Exit, told
from fairway.cli.kubeconfig import Flags
from fairway.cli.session import Session
from fairway.cli.verbs import Verb, verbs

INTRODUCTION = "See, understand and steer ModelDeployments. The same program as `kubectl fairway`."
_OPERATOR = "The operator's side: fairway run, fairway crds and fairway fetch; each has --help."
_KUBECTL = "kubectl's own flags (-n, --context, --as, ...) work here too: {} --help"
_TEXT_FLAGS = (
    ("kubeconfig", "kubeconfig", "kubeconfig file"),
    ("context", "context", "context of the kubeconfig"),
    ("cluster", "cluster", "cluster of the kubeconfig"),
    ("user", "user", "user of the kubeconfig"),
    ("token", "token", "bearer token"),
    ("as", "impersonate", "user to act as"),
    ("as-uid", "impersonate_uid", "UID to act as"),
    ("certificate-authority", "certificate_authority", "file that the API server is verified by"),
    ("client-certificate", "client_certificate", "file with the client's certificate"),
    ("client-key", "client_key", "file with the client's key"),
    ("tls-server-name", "tls_server_name", "name to verify the API server by"),
    ("request-timeout", "request_timeout", "time for one request, such as 5s; 0 for no end"),
)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Say what is wrong in one line."""
        self.exit(Exit.USAGE, f"{self.prog}: {message}; see {self.prog} --help\n")


def parser(prog: str = "fairway") -> argparse.ArgumentParser:
    """Build the whole command line."""
    top = _Parser(
        prog=prog,
        description=INTRODUCTION,
        parents=[_shared()],
        epilog=_overview(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage=f"{prog} VERB [NAME] [options]",
    )
    below = top.add_subparsers(dest="verb", metavar="VERB", required=True, help=argparse.SUPPRESS)
    quiet = _shared(quiet=True)
    for verb in verbs():
        examples = "\n".join(f"  {_called(example, prog)}" for example in verb.examples)
        child = below.add_parser(
            verb.name,
            prog=f"{prog} {verb.name}",
            parents=[quiet],
            description=f"{verb.help[0].upper()}{verb.help[1:]}.",
            epilog=f"{'Examples' if len(verb.examples) > 1 else 'Example'}:\n{examples}\n\n{_KUBECTL.format(prog)}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        child.set_defaults(found=verb)
        verb.arguments(child)
    return top


def _called(example: str, prog: str) -> str:
    return example.replace("fairway ", f"{prog} ", 1) if prog != "fairway" else example


def _overview() -> str:
    lines: list[str] = []
    group = ""
    for verb in verbs():
        if verb.group != group:
            group = verb.group
            lines.append(f"{group}:")
        lines.append(f"  {verb.name:<11} {verb.help}")
    return "\n".join([*lines, "", _OPERATOR])


def _shared(*, quiet: bool = False) -> _Parser:
    """Flags of kubectl, before or after the verb; none has a default, so neither place hides the other."""
    shared = _Parser(add_help=False, argument_default=argparse.SUPPRESS)
    group = shared.add_argument_group("kubectl's own flags")

    def add(*flags: str, completer: Any = None, **more: Any) -> None:
        action = group.add_argument(*flags, **{**more, **({"help": argparse.SUPPRESS} if quiet else {})})
        if completer:
            action.completer = completer  # type: ignore[attr-defined]

    add("-n", "--namespace", help="namespace", completer=complete.namespaces)
    add("-s", "--server", metavar="URL", help="address of the API server")
    for flag, target, words in _TEXT_FLAGS:
        completer = complete.contexts if flag == "context" else None
        add(f"--{flag}", dest=target, metavar=flag.rsplit("-", 1)[-1].upper(), help=words, completer=completer)
    add("--as-group", dest="impersonate_groups", action="append", metavar="GROUP", help="group to act as; repeatable")
    add("--insecure-skip-tls-verify", dest="insecure", action="store_true", help="do not verify the API server")
    add("-v", "--verbose", action="store_true", help="show every request, and where an error comes from")
    return shared


def main(
    words: list[str] | None = None,
    *,
    prog: str | None = None,
    out: TextIO | None = None,
    err: TextIO | None = None,
    **session: Any,
) -> int:
    """Run one verb; return the exit code. ``session`` goes to the Session: its clock, width and environment."""
    built = parser(prog or _prog())
    if "_ARGCOMPLETE" in os.environ:
        import argcomplete  # noqa: PLC0415  only when a shell completes

        argcomplete.autocomplete(built)
    given = sys.argv[1:] if words is None else words
    if not given:
        built.print_help(out or sys.stdout)
        return Exit.USAGE
    found = vars(built.parse_args(given))
    verb: Verb = found["found"]
    made = Session(
        flags=flags(found),
        verbose=found.get("verbose", False),
        out=out or sys.stdout,
        err=err or sys.stderr,
        **session,
    )
    return _ended(made, verb, argparse.Namespace(**found), built.prog)


def _prog() -> str:
    """Return the name that the help uses: the plugin's, where kubectl has called it."""
    name = os.path.basename(sys.argv[0])  # noqa: PTH119
    return "kubectl fairway" if name.startswith("kubectl-") else "fairway"


def flags(found: Mapping[str, Any]) -> Flags:
    """Return kubectl's flags out of what argparse found."""
    given = {name: found[name] for name in Flags.__dataclass_fields__ if found.get(name) is not None}
    if "impersonate_groups" in given:
        given["impersonate_groups"] = tuple(given["impersonate_groups"])
    return Flags(**given)


def _ended(session: Session, verb: Verb, options: argparse.Namespace, prog: str) -> int:
    try:
        return int(import_module(verb.module).run(session, options))
    except CliError as error:
        _trace(session)
        session.note(f"{prog}: {error.message}")
        return error.code
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except BrokenPipeError:
        # Whoever reads the pipe has seen enough; the interpreter must not complain when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.DONE
    except Exception as error:  # noqa: BLE001  what nobody has foreseen is one line for people, too
        _trace(session)
        session.note(f"{prog}: {told(error).message}; -v shows where")
        return Exit.FAILED
    finally:
        session.close()


def _trace(session: Session) -> None:
    if session.verbose:
        import traceback  # noqa: PLC0415

        traceback.print_exc(file=session.err)
