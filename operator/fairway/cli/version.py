"""``version``: which program this is."""

from fairway.cli.errors import Exit
from fairway.cli.session import Options, Session


def run(session: Session, options: Options) -> int:
    """Print the version of this program."""
    from fairway import __version__  # noqa: PLC0415  it is looked up when it is imported

    del options
    session.say(f"fairway {__version__}")
    return Exit.DONE
