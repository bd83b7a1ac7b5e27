"""``version``: which program this is."""

from fairway.cli.errors import Exit
from fairway.cli.session import Options, Session


def run(session: Session, options: Options) -> int:
    """Print the version of this program."""
    from importlib.metadata import version  # noqa: PLC0415  slow to import

    del options
    session.say(f"fairway {version('fairway')}")
    return Exit.DONE
