"""Every verb: what it takes, what it is for, an example, and the module that does it, imported when it is asked for."""

import argparse
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from fairway.cli import complete
from fairway.cli.words import seconds

Arguments = Callable[[argparse.ArgumentParser], None]
SEE, STEER, FORESEE, MORE = "See", "Steer", "Foresee", "More"
FORMS = ("wide", "json", "yaml", "name")
_KIND = re.compile(r"^(modeldeployments?(\.fairway\.dev)?|md)/")
_DNS = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Verb:
    """One verb. Its module has ``run(session, options) -> exit code``."""

    name: str
    group: str
    help: str
    examples: Sequence[str]
    module: str
    arguments: Arguments = field(default=lambda _parser: None)


def _called(text: str) -> str:
    """Read a name as kubectl takes and prints it. What is no name must not get into an address."""
    name = _KIND.sub("", text)
    if not _DNS.fullmatch(name):
        raise argparse.ArgumentTypeError(f"{text!r} is not the name of a ModelDeployment")
    return name


def _time(text: str) -> float:
    """Read a length of time."""
    length = seconds(text)
    if length <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time such as 90s, 10m or 1h")
    return length


def _name(parser: argparse.ArgumentParser) -> None:
    action = parser.add_argument("name", metavar="NAME", type=_called, help="the ModelDeployment")
    action.completer = complete.models  # type: ignore[attr-defined]


def _files(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-f", "--filename", action="append", required=True, metavar="FILE", help="a file, a directory, or - for stdin"
    )


def _output(parser: argparse._ActionsContainer, forms: Sequence[str]) -> None:
    parser.add_argument("-o", "--output", choices=forms, help="another form")


def _list(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-A", "--all-namespaces", action="store_true", help="in every namespace")
    parser.add_argument("-l", "--selector", default="", help="only those with these labels, such as team=risk")
    _output(parser, FORMS)


def _status(parser: argparse.ArgumentParser) -> None:
    _name(parser)
    either = parser.add_mutually_exclusive_group()
    either.add_argument("-w", "--watch", action="store_true", help="live; one line a change when piped")
    _output(either, FORMS[1:])


def _history(parser: argparse.ArgumentParser) -> None:
    _name(parser)
    _output(parser, ("json", "yaml"))


def _why(parser: argparse.ArgumentParser) -> None:
    _name(parser)
    action = parser.add_argument(
        "revision", metavar="REV", nargs="?", help="a version, a revision or a run; else the last decision"
    )
    action.completer = complete.revisions  # type: ignore[attr-defined]


def _events(parser: argparse.ArgumentParser) -> None:
    _name(parser)
    either = parser.add_mutually_exclusive_group()
    either.add_argument("-w", "--watch", action="store_true", help="go on as they come")
    _output(either, ("json", "yaml"))


def _logs(parser: argparse.ArgumentParser) -> None:
    _name(parser)
    parser.add_argument(
        "track", nargs="?", choices=("candidate", "stable"), help="whose; default: the candidate's, if there is one"
    )
    parser.add_argument("-f", "--follow", action="store_true", help="go on as they come")
    parser.add_argument("--tail", type=int, default=20, metavar="N", help="lines of each pod to begin with; -1 for all")
    parser.add_argument("-p", "--previous", action="store_true", help="of the containers before the last restart")
    parser.add_argument("-c", "--container", default="model", help="default: model; fetch is the one that brings it")


def _steer(parser: argparse.ArgumentParser) -> None:
    _name(parser)
    parser.add_argument("--dry-run", action="store_true", help="only say what would happen")
    parser.add_argument(
        "--wait", action=argparse.BooleanOptionalAction, help="until it has happened; default at a terminal"
    )
    parser.add_argument("--timeout", type=_time, default="10m", metavar="TIME", help="how long to wait; default: 10m")


def _promote(parser: argparse.ArgumentParser) -> None:
    _steer(parser)
    parser.add_argument("--full", action="store_true", help="skip all steps; capacity and approvals are waited for")


def _approval(parser: argparse.ArgumentParser) -> None:
    _steer(parser)
    parser.add_argument("-m", "--message", default="", help="why; recorded with your name")


def _restart(parser: argparse.ArgumentParser) -> None:
    _steer(parser)
    parser.add_argument("--upgrade-runtime", action="store_true", help="try today's ModelRuntime as a new revision")


def _wait(parser: argparse.ArgumentParser) -> None:
    _name(parser)
    parser.add_argument("--for", dest="goal", default="uptodate", metavar="GOAL", help="ready, uptodate or step=N")
    parser.add_argument("--timeout", type=_time, default="30m", metavar="TIME", help="how long; default: 30m")


def _lint(parser: argparse.ArgumentParser) -> None:
    _files(parser)
    parser.add_argument("--offline", action="store_true", help="ask no cluster")


def _foresee(parser: argparse.ArgumentParser) -> None:
    _lint(parser)
    parser.add_argument("--gateway", metavar="NAMESPACE/NAME", help="the operator's default gateway")


def _plan(parser: argparse.ArgumentParser) -> None:
    _foresee(parser)
    parser.add_argument("--prometheus", metavar="URL", help="where to read the last hour's requests")


def _render(parser: argparse.ArgumentParser) -> None:
    _foresee(parser)
    _output(parser, ("yaml", "json"))


def _completion(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=("bash", "zsh", "fish"))


def verbs() -> tuple[Verb, ...]:
    """Return every verb, in the order of the help."""
    return _VERBS


_VERBS = (
    Verb(
        "list", SEE, "all ModelDeployments", ("fairway list", "fairway list -A -o wide"), "fairway.cli.listing", _list
    ),
    Verb(
        "status",
        SEE,
        "what serves, what is tried, and what is waited for",
        ("fairway status churn", "fairway status churn --watch"),
        "fairway.cli.see",
        _status,
    ),
    Verb("history", SEE, "who ran when, made from what", ("fairway history churn",), "fairway.cli.history", _history),
    Verb(
        "why",
        SEE,
        "a decision in one paragraph, with its numbers",
        ("fairway why churn", "fairway why churn 1.2.0"),
        "fairway.cli.why",
        _why,
    ),
    Verb("events", SEE, "what has happened", ("fairway events churn",), "fairway.cli.events", _events),
    Verb(
        "logs",
        SEE,
        "what the candidate or stable prints",
        ("fairway logs churn", "fairway logs churn stable -f"),
        "fairway.cli.logs",
        _logs,
    ),
    Verb(
        "promote",
        STEER,
        "end the current step now",
        ("fairway promote churn", "fairway promote churn --full"),
        "fairway.cli.steer",
        _promote,
    ),
    Verb("abort", STEER, "end the run: the candidate is out", ("fairway abort churn",), "fairway.cli.steer", _steer),
    Verb("retry", STEER, "try a rejected version again", ("fairway retry churn",), "fairway.cli.steer", _steer),
    Verb(
        "rollback",
        STEER,
        "return to the version before this one",
        ("fairway rollback churn",),
        "fairway.cli.steer",
        _steer,
    ),
    Verb(
        "approve",
        STEER,
        "say yes to what waits for a person",
        ('fairway approve churn -m "reviewed with risk"',),
        "fairway.cli.steer",
        _approval,
    ),
    Verb(
        "deny",
        STEER,
        "say no: the candidate is out",
        ('fairway deny churn -m "drift in region 7"',),
        "fairway.cli.steer",
        _approval,
    ),
    Verb(
        "restart",
        STEER,
        "replace the pods one by one",
        ("fairway restart churn", "fairway restart churn --upgrade-runtime"),
        "fairway.cli.steer",
        _restart,
    ),
    Verb("pause", STEER, "hold the run where it is", ("fairway pause churn",), "fairway.cli.steer", _steer),
    Verb("resume", STEER, "let a paused run go on", ("fairway resume churn",), "fairway.cli.steer", _steer),
    Verb(
        "wait",
        STEER,
        "wait for a state, for scripts and pipelines",
        (
            "fairway wait churn --for ready",
            "fairway wait churn --for uptodate --timeout 30m",
            "fairway wait churn --for step=2",
        ),
        "fairway.cli.await_goal",
        _wait,
    ),
    Verb(
        "lint",
        FORESEE,
        "check a file against the schema and the cluster",
        ("fairway lint -f churn.yaml",),
        "fairway.cli.lint",
        _lint,
    ),
    Verb(
        "plan",
        FORESEE,
        "what applying a file would do, and how long it would take",
        ("fairway plan -f churn.yaml", "fairway plan -f churn.yaml --prometheus http://localhost:9090"),
        "fairway.cli.plan",
        _plan,
    ),
    Verb(
        "render",
        FORESEE,
        "the objects that would be written",
        ("fairway render -f churn.yaml",),
        "fairway.cli.render",
        _render,
    ),
    Verb(
        "backtest",
        FORESEE,
        "try objectives on recorded metrics: see `fairway backtest --help`",
        ("fairway backtest --help",),
        "fairway.cli.backtest",
    ),
    Verb(
        "completion",
        MORE,
        "print what makes your shell complete verbs and names",
        ('eval "$(fairway completion bash)"',),
        "fairway.cli.complete",
        _completion,
    ),
    Verb("version", MORE, "print the version", ("fairway version",), "fairway.cli.version"),
)
