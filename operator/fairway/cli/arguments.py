"""What each verb takes on the command line. Reads no more than words: imported for every call, it must be quick."""

import argparse
import re
from collections.abc import Sequence

from fairway.cli import complete
from fairway.cli.words import seconds

FORMS = ("wide", "json", "yaml", "name")
_KIND = re.compile(r"^(modeldeployments?(\.fairway\.dev)?|md)/")
_DNS = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")


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


def listing(parser: argparse.ArgumentParser) -> None:
    """Where to look, and for which."""
    parser.add_argument("-A", "--all-namespaces", action="store_true", help="in every namespace")
    parser.add_argument("-l", "--selector", default="", help="only those with these labels, such as team=risk")
    _output(parser, FORMS)


def status(parser: argparse.ArgumentParser) -> None:
    """Whose; once or live."""
    _name(parser)
    either = parser.add_mutually_exclusive_group()
    either.add_argument("-w", "--watch", action="store_true", help="live; one line a change when piped")
    _output(either, FORMS[1:])


def history(parser: argparse.ArgumentParser) -> None:
    """Whose."""
    _name(parser)
    _output(parser, ("json", "yaml"))


def why(parser: argparse.ArgumentParser) -> None:
    """Whose, and about which of its versions."""
    _name(parser)
    action = parser.add_argument(
        "revision", metavar="REV", nargs="?", help="a version, a revision or a run; else the last decision"
    )
    action.completer = complete.revisions  # type: ignore[attr-defined]


def events(parser: argparse.ArgumentParser) -> None:
    """Whose; once or as they come."""
    _name(parser)
    either = parser.add_mutually_exclusive_group()
    either.add_argument("-w", "--watch", action="store_true", help="go on as they come")
    _output(either, ("json", "yaml"))


def logs(parser: argparse.ArgumentParser) -> None:
    """Whose, of which pods and how many."""
    _name(parser)
    parser.add_argument(
        "track", nargs="?", choices=("candidate", "stable"), help="whose; default: the candidate's, if there is one"
    )
    parser.add_argument("-f", "--follow", action="store_true", help="go on as they come")
    parser.add_argument("--tail", type=int, default=20, metavar="N", help="lines of each pod to begin with; -1 for all")
    parser.add_argument("-p", "--previous", action="store_true", help="of the containers before the last restart")
    parser.add_argument("-c", "--container", default="model", help="default: model; fetch is the one that brings it")


def steer(parser: argparse.ArgumentParser) -> None:
    """Whose, and whether to do it and to wait for it: common to all that change something."""
    _name(parser)
    parser.add_argument("--dry-run", action="store_true", help="only say what would happen")
    parser.add_argument(
        "--wait", action=argparse.BooleanOptionalAction, help="until it has happened; default at a terminal"
    )
    parser.add_argument("--timeout", type=_time, default="10m", metavar="TIME", help="how long to wait; default: 10m")


def promote(parser: argparse.ArgumentParser) -> None:
    """Add how far."""
    steer(parser)
    parser.add_argument("--full", action="store_true", help="skip all steps; capacity and approvals are waited for")


def approval(parser: argparse.ArgumentParser) -> None:
    """Add why: it is recorded."""
    steer(parser)
    parser.add_argument("-m", "--message", default="", help="why; recorded with your name")


def restart(parser: argparse.ArgumentParser) -> None:
    """Add whether to take the ModelRuntime as it is today."""
    steer(parser)
    parser.add_argument("--upgrade-runtime", action="store_true", help="try today's ModelRuntime as a new revision")


def wait(parser: argparse.ArgumentParser) -> None:
    """What to wait for, and how long."""
    _name(parser)
    parser.add_argument("--for", dest="goal", default="uptodate", metavar="GOAL", help="ready, uptodate or step=N")
    parser.add_argument("--timeout", type=_time, default="30m", metavar="TIME", help="how long; default: 30m")


def lint(parser: argparse.ArgumentParser) -> None:
    """Which files, and whether to look at the cluster."""
    _files(parser)
    parser.add_argument("--offline", action="store_true", help="ask no cluster")


def _foresee(parser: argparse.ArgumentParser) -> None:
    lint(parser)
    parser.add_argument("--gateway", metavar="NAMESPACE/NAME", help="the operator's default gateway")


def plan(parser: argparse.ArgumentParser) -> None:
    """Add where the traffic can be read."""
    _foresee(parser)
    parser.add_argument("--prometheus", metavar="URL", help="where to read the last hour's requests")


def render(parser: argparse.ArgumentParser) -> None:
    """Add the form."""
    _foresee(parser)
    _output(parser, ("yaml", "json"))


def backtest(parser: argparse.ArgumentParser) -> None:
    """Which objectives, whose samples, and where they are recorded. Times are read when they are needed."""
    _files(parser)
    add = parser.add_argument
    add("--prometheus", required=True, metavar="URL", help="address of the metrics provider")
    times = "RFC 3339, epoch seconds, or so long ago, as in 2h"
    add("--from", dest="start", required=True, metavar="TIME", help=times)
    add("--to", default="now", metavar="TIME", help="the same; default: now")
    add("--candidate", required=True, metavar="REVISION", help="the revision to judge")
    add("--stable", metavar="REVISION", help="the one that served beside it; default: none did")
    add("--step", metavar="TIME", help="time between two lines of the table; default: a twentieth")
    add("--scrape-interval", metavar="TIME", help="default: taken from the samples")
    label = (
        "the label of the series that holds the revision, as revisionLabel of the operator's provider; "
        "default: the names of the pods tell it"
    )
    add("--revision-label", metavar="LABEL", help=label)
    add("--bearer-token-file", metavar="FILE", help="file with the token that the provider wants")
    add("--ca-file", metavar="FILE", help="file that the provider is verified by")
    add("--header", action="append", default=[], metavar="NAME=VALUE", help="sent with each request; repeatable")
    _output(parser, ("json", "yaml"))


def completion(parser: argparse.ArgumentParser) -> None:
    """Which shell."""
    parser.add_argument("shell", choices=("bash", "zsh", "fish"))
