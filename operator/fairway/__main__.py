"""The program: ``fairway run`` is the operator, ``fairway crds`` writes the resource definitions."""

import argparse
import asyncio
import sys
from pathlib import Path


def main(arguments: list[str] | None = None) -> int:
    """Run the program; return its exit code."""
    parser = argparse.ArgumentParser(prog="fairway", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="run the operator")
    run.add_argument("--config", type=Path, help="configuration file (YAML)")
    crds = commands.add_parser("crds", help="write the CustomResourceDefinitions")
    crds.add_argument("--check", action="store_true", help="fail when the files differ instead of writing them")
    crds.add_argument("directory", type=Path, nargs="?", default=Path("crds"))
    options = parser.parse_args(arguments)
    return _run(options.config) if options.command == "run" else _crds(options.directory, check=options.check)


def _run(config: Path | None) -> int:
    # Imported here, so that other commands start without the operator's libraries.
    from fairway import settings  # noqa: PLC0415
    from fairway.operate import operate  # noqa: PLC0415

    try:
        chosen = settings.load(config)
    except (OSError, ValueError) as error:
        print(f"fairway: {config}: {error}", file=sys.stderr)  # noqa: T201
        return 2
    return asyncio.run(operate(chosen))


def _crds(directory: Path, *, check: bool) -> int:
    from fairway.api import crd  # noqa: PLC0415

    if not check:
        crd.write(directory)
        return 0
    differing = crd.check(directory)
    for line in differing:
        print(line, file=sys.stderr)  # noqa: T201
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
