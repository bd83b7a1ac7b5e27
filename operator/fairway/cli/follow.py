"""One ModelDeployment over time: every state that the API server tells of, until somebody has seen enough."""

import time
from collections.abc import Callable, Iterator

from fairway.cli.client import Manifest
from fairway.cli.effects import Effect, Effects
from fairway.cli.errors import ApiError, CliError, Exit, UnreachableError
from fairway.cli.rights import explain
from fairway.cli.session import Session, model_path
from fairway.cli.words import duration

LONGEST = 300.0
"""Seconds of one watch: then another begins, so that a silent connection is noticed."""
PASSING = (410, 429, 500, 502, 503, 504)
"""Answers that may be another one in a moment; 410: the watch began too long ago."""


def passing(error: CliError) -> bool:
    """Whether it may be well in a moment: nobody answers, or the API server is busy with itself."""
    return isinstance(error, UnreachableError) or (isinstance(error, ApiError) and error.status in PASSING)


def rest(session: Session, begun: float, end: float | None = None) -> None:
    """Wait until a watch that began then may begin anew, but not beyond ``end``; both on the steady clock."""
    due = begun + session.pause
    time.sleep(max(0.0, (due if end is None else min(due, end)) - time.monotonic()))


def states(session: Session, name: str, end: float | None = None) -> Iterator[Manifest]:
    """Yield the object now and after each change, until ``end`` on the steady clock.

    An API server that is away is waited for. Raises CliError when the object is deleted, or when we are refused.
    """
    model = session.model(name)
    path, alone = model_path(session.namespace), f"metadata.name={name}"
    while True:
        yield model
        begun = time.monotonic()
        left = LONGEST if end is None else min(LONGEST, end - begun)
        if left <= 0:
            return
        query = {"fieldSelector": alone, "resourceVersion": model["metadata"]["resourceVersion"]}
        try:
            for kind, found in session.client.watch(path, seconds=left, **query):
                model = _there(kind, found)
                yield model
        except CliError as error:
            if not passing(error):
                raise _explained(session, error) from None
        rest(session, begun, end)
        model = _again(session, name, model)


def _explained(session: Session, error: CliError) -> CliError:
    return explain(session.client, error, session.right("watch")) if isinstance(error, ApiError) else error


def _there(kind: str, found: Manifest) -> Manifest:
    if kind == "DELETED":
        raise CliError(f"{found['metadata']['name']} was deleted", Exit.OTHERWISE)
    return found


def _again(session: Session, name: str, model: Manifest) -> Manifest:
    """Read once more; go on with what is known while nobody answers."""
    try:
        return session.model(name)
    except CliError as error:
        if not passing(error):
            raise
        return model


def until(session: Session, name: str, effect: Effects, timeout: float, *, told: Callable[[str], None]) -> Effect:
    """Wait so many seconds for an effect; ``told`` hears what is waited for, when that changes."""
    words, found = "", Effect("not yet", "")
    for model in states(session, name, time.monotonic() + timeout):
        found = effect(model)
        if found.state != "not yet":
            return found
        if found.words != words:
            words = found.words
            told(words)
    return late(timeout, found.words)


def late(timeout: float, words: str) -> Effect:
    """Return that it has not happened within so many seconds."""
    return Effect("not yet", f"not within {duration(timeout)}: {words}")
