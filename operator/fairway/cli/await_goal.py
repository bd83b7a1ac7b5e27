"""``wait``: for scripts and pipelines; ends early when what is waited for cannot come any more."""

from fairway.cli.effects import goal
from fairway.cli.follow import until
from fairway.cli.session import Options, Session


def run(session: Session, options: Options) -> int:
    """Wait for a goal; the exit code says what came of it."""
    found = until(session, options.name, goal(options.goal), options.timeout, told=session.note)
    if found.state == "yes":
        session.say(f"{options.name}: {found.words}")
    else:
        session.note(f"{options.name}: {found.words}")
    return found.code
