"""Command line of the development cluster."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from . import environment, outage, providers, settings, status
from .build import Request
from .lock import machine_lock
from .progress import say
from .shell import ClusterError, run


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not KEY=VALUE")
    return name, value


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    root = argparse.ArgumentParser(prog="python -m tests.cluster", description=__doc__)
    commands = root.add_subparsers(dest="command", required=True)
    commands.add_parser("up", help="bring up whatever is not up")
    down = commands.add_parser("down", help="stop everything; state on disk stays")
    down.add_argument("--purge", action="store_true", help="remove the state, too")
    commands.add_parser("status", help="show what runs")
    env = commands.add_parser("env", help="print how to reach it, for eval")
    env.add_argument("--json", action="store_true", help="print JSON")
    load = commands.add_parser("load-image", help="import an image archive")
    load.add_argument("archive", type=Path)
    build = commands.add_parser("build-image", help="build an image and load it; skipped if nothing changed")
    build.add_argument("name", metavar="NAME:TAG")
    build.add_argument("--file", type=Path, required=True, help="the Dockerfile; its ARG BASE is filled in")
    build.add_argument("--context", type=Path, required=True)
    build.add_argument("--build-arg", type=_pair, action="append", default=[], metavar="K=V")
    build.add_argument("--also", action="append", default=[], metavar="NAME:TAG", help="one more name")
    for verb in ("stop", "start"):
        part = commands.add_parser(verb, help=f"{verb} one part of the local provider, to see what a failure does")
        part.add_argument("part")
    logs = commands.add_parser("logs", help="show a part's log (without a name: list the parts)")
    logs.add_argument("part", nargs="?")
    logs.add_argument("-f", "--follow", action="store_true")
    logs.add_argument("-n", "--lines", type=int, default=50)
    return root


def _logs(part: str | None, lines: int, *, follow: bool) -> None:
    names = sorted(path.stem for path in settings.LOGS.glob("*.log"))
    if part not in names:
        raise ClusterError(f"logs are kept of: {', '.join(names) or 'nothing yet'}")
    words = ["tail", "-n", str(lines), *(["-F"] if follow else []), str(settings.LOGS / f"{part}.log")]
    if follow:
        os.execvp(words[0], words)
    sys.stdout.write(run(words).stdout)


def _dispatch(options: argparse.Namespace) -> None:
    provider = providers.chosen()
    match options.command:
        case "up":
            with machine_lock("cluster"):
                provider.up()
                providers.remember(provider)
            say(status.how_to_use())
        case "down":
            with machine_lock("cluster"):
                provider.down(purge=options.purge)
        case "status":
            print(status.report(provider))
        case "env":
            print(environment.as_json() if options.json else environment.as_shell())
        case "load-image":
            with machine_lock("images"):
                provider.load_image(options.archive)
        case "build-image":
            arguments = dict(options.build_arg)
            with machine_lock("images"):
                file, context = options.file.resolve(), options.context.resolve()
                provider.build_image(Request(options.name, file, context, arguments, tuple(options.also)))
        case "stop":
            outage.stop(options.part)
        case "start":
            outage.start(options.part)
        case "logs":
            _logs(options.part, options.lines, follow=options.follow)


def main() -> int:
    """Run one command; an error of the expected kind is one message, not a traceback."""
    options = parser().parse_args()
    try:
        _dispatch(options)
    except ClusterError as error:
        say(f"error: {error}")
        return 1
    except BrokenPipeError:
        # The reader of our output (`| head`) has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        say("interrupted; run the same command again to go on")
        return 130
    return 0


sys.exit(main())
