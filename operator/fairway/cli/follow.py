"""One ModelDeployment over time: every state that the API server tells of, until somebody has seen enough."""

import time
from collections.abc import Callable, Iterator

from fairway.cli.client import Manifest
from fairway.cli.effects import Effect, Effects
from fairway.cli.errors import ApiError, CliError, Exit
from fairway.cli.rights import explain
from fairway.cli.session import NOT_FOUND, Session, model_path
from fairway.cli.words import seconds

LONGEST = 300.0
"""Seconds of one watch: then another begins, so that a silent connection is noticed."""
GONE = 410
UNREACHABLE = 3
"""Seconds to wait when the API server does not answer."""


def states(session: Session, name: str, end: float | None = None) -> Iterator[Manifest]:
    """Yield the object now and after each change, until ``end`` on the steady clock.

    An API server that is away is waited for. Raises CliError when the object is deleted.
    """
    model = session.model(name)
    path, alone = model_path(session.namespace), f"metadata.name={name}"
    while True:
        yield model
        left = LONGEST if end is None else min(LONGEST, end - time.monotonic())
        if left <= 0:
            return
        try:
            query = {"fieldSelector": alone, "resourceVersion": model["metadata"]["resourceVersion"]}
            for kind, found in session.client.watch(path, seconds=left, **query):
                yield _there(kind, found)
            model = session.model(name)
        except ApiError as error:
            if error.status == NOT_FOUND or error.status not in (GONE, 429, 500, 502, 503, 504):
                raise explain(session.client, error, session.right("watch")) from None
            model = _again(session, name, model)
        except CliError as error:
            if error.code != Exit.FAILED or end is None:
                raise
            model = _again(session, name, model)


def _there(kind: str, found: Manifest) -> Manifest:
    if kind == "DELETED":
        raise CliError(f"{found['metadata']['name']} was deleted", Exit.OTHERWISE)
    return found


def _again(session: Session, name: str, model: Manifest) -> Manifest:
    """Read once more, after a moment; go on with what is known where that fails, too."""
    time.sleep(UNREACHABLE)
    try:
        return session.client.get(model_path(session.namespace, name))
    except CliError:
        return model


def until(session: Session, name: str, effect: Effects, timeout: str, *, told: Callable[[str], None]) -> Effect:
    """Wait for an effect; ``told`` hears what is waited for, when that changes."""
    length = seconds(timeout)
    if length <= 0:
        raise CliError(f"--timeout {timeout}: not a time such as 90s, 10m or 1h", Exit.USAGE)
    words, found = "", Effect("not yet", "")
    for model in states(session, name, time.monotonic() + length):
        found = effect(model)
        if found.state != "not yet":
            return found
        if found.words != words:
            words = found.words
            told(words)
    return Effect("not yet", f"not within {timeout}: {found.words}")
