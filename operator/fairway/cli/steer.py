"""The verbs that change something: say what will happen, do it, and wait until it has."""

import time
from typing import cast

from fairway.cli.client import Manifest
from fairway.cli.effects import Effect, effect
from fairway.cli.errors import ApiError, Exit
from fairway.cli.follow import until
from fairway.cli.orders import Order, Wish, order
from fairway.cli.rights import Person, explain, whoami
from fairway.cli.see import pods_of
from fairway.cli.session import Options, Session, model_path
from fairway.cli.words import dig, plural, seconds
from fairway.core import names
from fairway.core.pods import read_pod

APPROVALS = ("approve", "deny")
POLL = 2.0
"""Seconds between two looks at the pods."""


def run(session: Session, options: Options) -> int:
    """Do one verb."""
    model = session.model(options.name)
    person = whoami(session.client) if options.verb in APPROVALS else Person("")
    asked = order(
        Wish(
            verb=options.verb,
            model=model,
            person=person,
            now=session.now(),
            message=" ".join(getattr(options, "message", "").split()),
            full=getattr(options, "full", False),
            upgrade=getattr(options, "upgrade_runtime", False),
        )
    )
    session.say(f"{options.name}: {asked.says}" + (" (not done: --dry-run)" if options.dry_run else ""))
    if asked.warning:
        session.note(f"warning: {asked.warning}")
    if options.dry_run:
        return Exit.DONE
    give(session, options.name, asked)
    wait = session.terminal if options.wait is None else options.wait
    if not wait:
        return Exit.DONE
    end = time.monotonic() + seconds(options.timeout)
    found = until(session, options.name, effect(asked), options.timeout, told=session.note)
    if found.state == "yes" and asked.verb == "restart":
        found = _replaced(session, options.name, asked.value, end) or found
    if found.state == "yes":
        session.say(f"{options.name}: {found.words}")
    else:
        session.note(f"{options.name}: {found.words}")
    return found.code


def _replaced(session: Session, name: str, at: str, end: float) -> Effect | None:
    """Wait until every pod that serves is from after the restart; None where we may not see pods."""
    while True:
        model = session.model(name)
        pods = pods_of(session, model)
        if pods is None or at.startswith("upgrade-runtime"):
            return None
        left, told = pods_left(model, pods, at)
        if not left:
            return Effect("yes", told)
        if time.monotonic() >= end:
            return Effect("not yet", told)
        time.sleep(POLL)


def pods_left(model: Manifest, pods: list[Manifest], at: str) -> tuple[int, str]:
    """Return how many pods of stable are still those from before a restart, or not ready; and the words for it."""
    revision = dig(model, "status.stable.revision")
    ours = [pod for pod in pods if dig(pod, "metadata.labels").get(names.REVISION) == revision]
    new = [pod for pod in ours if (dig(pod, "metadata.annotations") or {}).get(names.RESTARTED_AT) == at]
    ready = sum(read_pod(pod).ready for pod in new)
    left = len(ours) - ready
    return left, f"{ready} of {plural(len(ours), 'pod')} replaced"


def give(session: Session, name: str, asked: Order) -> Manifest:
    """Write the annotation, or the field of the spec."""
    try:
        return session.client.patch(model_path(session.namespace, name), cast("Manifest", asked.patch))
    except ApiError as error:
        raise explain(session.client, error, session.right("patch")) from None
