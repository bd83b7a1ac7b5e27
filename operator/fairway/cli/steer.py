"""The verbs that change something: say what will happen, do it, and wait until it has."""

import time
from typing import cast

from fairway.cli.client import Manifest
from fairway.cli.effects import Effect, effect
from fairway.cli.errors import ApiError, CliError, Exit
from fairway.cli.follow import late, passing, until
from fairway.cli.orders import Order, Wish, order
from fairway.cli.rights import Person, explain, whoami
from fairway.cli.see import pods_of
from fairway.cli.session import Options, Session, model_path
from fairway.cli.words import dig, plural
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
    end = time.monotonic() + options.timeout
    found = until(session, options.name, effect(asked), options.timeout, told=session.note)
    if found.state == "yes" and asked.verb == "restart" and not options.upgrade_runtime:
        found = _replaced(session, options.name, asked.value, end) or found
        found = late(options.timeout, found.words) if found.state == "not yet" else found
    if found.state == "yes":
        session.say(f"{options.name}: {found.words}")
    else:
        session.note(f"{options.name}: {found.words}")
    return found.code


def _replaced(session: Session, name: str, at: str, end: float) -> Effect | None:
    """Wait until every pod that serves is from after the restart; None where we may not see pods."""
    while True:
        try:
            model = session.model(name)
            pods = pods_of(session, model)
            if pods is None:
                return None
            found = replaced(model, pods, at)
        except CliError as error:
            if not passing(error):
                raise
            found = Effect("not yet", error.message)
        left = end - time.monotonic()
        if found.state != "not yet" or left <= 0:
            return found
        time.sleep(min(POLL, left))


def replaced(model: Manifest, pods: list[Manifest], at: str) -> Effect:
    """Judge a restart by the pods of stable and of the candidate: all must be new, and ready."""
    tracks = ["status.stable", *(["status.candidate"] if dig(model, "status.run") else [])]
    serving = {dig(model, f"{track}.revision") for track in tracks}
    asked = {entry["revision"] for entry in dig(model, "status.restarts") or () if entry["at"] == at} & serving
    if not asked:
        return Effect("no", "another restart or another revision has taken its place")
    ours = [pod for pod in pods if dig(pod, "metadata.labels").get(names.REVISION) in asked]
    new = [pod for pod in ours if (dig(pod, "metadata.annotations") or {}).get(names.RESTARTED_AT) == at]
    ready = sum(read_pod(pod).ready for pod in new)
    return Effect("yes" if ready == len(ours) else "not yet", f"{ready} of {plural(len(ours), 'pod')} replaced")


def give(session: Session, name: str, asked: Order) -> Manifest:
    """Write the annotation, or the field of the spec."""
    try:
        return session.client.patch(model_path(session.namespace, name), cast("Manifest", asked.patch))
    except ApiError as error:
        raise explain(session.client, error, session.right("patch")) from None
