"""The program: the kubectl plugin's verbs, and the operator's own: run, crds and fetch."""

import sys
from pathlib import Path

OPERATOR = ("run", "crds", "fetch")
"""``run`` is the operator, ``crds`` writes the resource definitions, ``fetch`` brings a model to a pod."""


def main(arguments: list[str] | None = None) -> int:
    """Run the program; return its exit code."""
    words = sys.argv[1:] if arguments is None else arguments
    if words and words[0] in OPERATOR:
        return _operator(words)
    from fairway.cli import program  # noqa: PLC0415  the operator does without

    return program.main(words)


def complete() -> int:
    """Answer kubectl, which asks its plugins for completions."""
    from fairway.cli.complete import for_kubectl  # noqa: PLC0415

    return for_kubectl()


def _operator(words: list[str]) -> int:
    import argparse  # noqa: PLC0415

    from fairway.adapters import fetch  # noqa: PLC0415

    parser = argparse.ArgumentParser(prog="fairway", description="The operator's side of Fairway.")
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="run the operator")
    run.add_argument("--config", type=Path, help="configuration file (YAML)")
    crds = commands.add_parser("crds", help="write the CustomResourceDefinitions")
    crds.add_argument("--check", action="store_true", help="fail when the files differ instead of writing them")
    crds.add_argument("directory", type=Path, nargs="?", default=Path("crds"))
    crds.add_argument(
        "--docs", type=Path, default=Path("docs/spec/v1alpha1.md"), help="the page with the fields' tables"
    )
    fetch.add_arguments(commands.add_parser("fetch", help="fetch or verify a model, as the init container of a pod"))
    options = parser.parse_args(words)
    if options.command == "fetch":
        return fetch.run(options)
    if options.command == "run":
        return _run(options.config)
    return _crds(options.directory, options.docs, check=options.check)


def _run(config: Path | None) -> int:
    # Imported here, so that other commands start without the operator's libraries.
    import asyncio  # noqa: PLC0415

    from fairway import settings  # noqa: PLC0415
    from fairway.adapters import memory  # noqa: PLC0415
    from fairway.operate import operate  # noqa: PLC0415

    try:
        chosen = settings.load(config)
    except (OSError, ValueError) as error:
        print(f"fairway: {config}: {error}", file=sys.stderr)  # noqa: T201
        return 2
    memory.settle()
    return asyncio.run(operate(chosen))


def _crds(directory: Path, page: Path, *, check: bool) -> int:
    from fairway.api import crd, docs  # noqa: PLC0415

    if not check:
        crd.write(directory)
        if page.is_file():
            docs.write(page)
        return 0
    differing = [*crd.check(directory), *docs.check(page)]
    for line in differing:
        print(line, file=sys.stderr)  # noqa: T201
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
