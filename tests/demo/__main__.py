"""The command: `python -m tests.demo [--keep]`; the cluster is up and the images are there (`make demo` sees to it)."""

import argparse
import asyncio
import json
import signal
import sys
from pathlib import Path

from tests.cluster import cluster_env
from tests.demo import acts, install, summary
from tests.demo.kube import DemoError, Kube
from tests.demo.story import Story
from tests.demo.terminal import Terminal

REPORT = install.ROOT / "build" / "demo.json"
INTERRUPTED = 130
_MODELS = "modeldeployments.fairway.dev"


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.demo", description=__doc__)
    parser.add_argument("--keep", action="store_true", help=f"leave the namespace {acts.NAMESPACE!r} to look around in")
    return parser.parse_args(arguments)


async def play(terminal: Terminal, report: Path, *, keep: bool) -> int:
    """Install, play, report, clean up; returns the exit code."""
    # A stop from outside cleans up like Ctrl-C.
    task = asyncio.current_task()
    assert task
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    env = cluster_env()
    kube = Kube(env)
    terminal.note("installing the operator from this working tree's image")
    await install.operator(kube, env["FAIRWAY_PROMETHEUS_CLUSTER_URL"])
    terminal.note(f"making the namespace {acts.NAMESPACE!r}, anew if an earlier demo left it")
    await install.empty_namespace(kube)
    try:
        seen = await Story(kube, terminal, env).tell()
        outcome = summary.build(seen)
        _write(report, outcome)
        if seen.failure:
            await _explain(kube, terminal)
        return await conclude(kube, terminal, outcome)
    finally:
        await _leave(kube, terminal, keep=keep)


def _write(report: Path, outcome: summary.Report) -> None:
    report.parent.mkdir(parents=True, exist_ok=True)
    report.write_text(json.dumps(outcome, indent=1) + "\n")


async def conclude(kube: Kube, terminal: Terminal, outcome: summary.Report) -> int:
    """Print the report; return the exit code."""
    terminal.heading("What is left of it")
    terminal.plain(await kube.kubectl("get", _MODELS, "-n", acts.NAMESPACE))
    terminal.plain("")
    for line in summary.table(outcome):
        terminal.plain(line)
    for problem in outcome["problems"]:
        terminal.failure(problem)
    if outcome["problems"]:
        return 1
    terminal.success("The good version serves, the bad ones took themselves out, and no request was lost.")
    return 0


async def _explain(kube: Kube, terminal: Terminal) -> None:
    """Show what a person needs to find out what went wrong."""
    for words in (("describe", f"{_MODELS}/{acts.NAME}"), ("get", "pods", "-o", "wide")):
        try:
            text = await kube.kubectl(*words, "-n", acts.NAMESPACE)
        except DemoError as problem:
            text = str(problem)  # what went wrong before is worth more than this
        terminal.plain(f"\n{text}")


async def _leave(kube: Kube, terminal: Terminal, *, keep: bool) -> None:
    if keep:
        terminal.note(f"namespace {acts.NAMESPACE!r} stays; the next demo removes it")
        return
    terminal.note(f"removing namespace {acts.NAMESPACE!r}; the operator stays")
    await install.remove_namespace(kube)


def main(arguments: list[str]) -> int:
    """Run the demo; 0 only for exactly the outcome that it is about."""
    options = parse(arguments)
    terminal = Terminal(sys.stdout)
    REPORT.unlink(missing_ok=True)  # never the success of an earlier run
    try:
        return asyncio.run(play(terminal, REPORT, keep=options.keep))
    except DemoError as problem:
        terminal.failure(str(problem))
        return 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        terminal.failure("interrupted")
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
