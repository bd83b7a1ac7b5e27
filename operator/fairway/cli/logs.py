"""``logs``: what the pods of the candidate or of stable print."""

import queue
import threading
from collections.abc import Iterator, Mapping
from typing import Any

from fairway.cli.client import Client, Manifest
from fairway.cli.errors import ApiError, CliError, Exit, told
from fairway.cli.rights import Right, explain
from fairway.cli.session import Options, Session, core_path
from fairway.cli.wire import CutError
from fairway.core import names

MOST = 20
"""Pods that are read at once."""
Line = tuple[str, str]


def run(session: Session, options: Options) -> int:
    """Print the logs of one revision's pods, each line with its pod where there are several."""
    model = session.model(options.name)
    track, revision = whose(model, options.track)
    found = _pods(session, model, revision)
    if not found:
        raise CliError(f"{track} ({revision}) of {options.name} has no pods")
    pods = found[:MOST]
    if len(pods) < len(found):
        session.note(f"only {len(pods)} of {len(found)} pods are read")
    query = {"container": options.container}
    query |= {"tailLines": str(options.tail)} if options.tail >= 0 else {}
    query |= {"previous": "true"} if options.previous else {}
    if options.follow:
        return _follow(session, pods, query | {"follow": "true"})
    return _print(session, pods, query)


def _print(session: Session, pods: list[Manifest], query: Mapping[str, str]) -> int:
    """Print what there is, pod by pod; what broke off is a failure even where the others are whole."""
    failures, cut = 0, False
    for pod in pods:
        name = pod["metadata"]["name"]
        try:
            for text in session.client.lines(_path(pod), seconds=30, **query):
                session.say(text if len(pods) == 1 else f"[{name}] {text}")
        except (ApiError, CutError) as error:
            failures += 1
            cut = cut or isinstance(error, CutError)
            words = explain(session.client, error, _right(session)) if isinstance(error, ApiError) else error
            session.note(f"{name}: {words.message}")
    return Exit.FAILED if cut or failures == len(pods) else Exit.DONE


def whose(model: Mapping[str, Any], asked: str | None) -> tuple[str, str]:
    """Return which track is meant, and its revision. Raises CliError where there is none."""
    status = model.get("status") or {}
    found = {track: status[track]["revision"] for track in ("candidate", "stable") if status.get(track)}
    if asked and asked not in found:
        raise CliError(f"{model['metadata']['name']} has no {asked} now", Exit.REFUSED)
    if not found:
        raise CliError(f"{model['metadata']['name']} has no revision yet", Exit.REFUSED)
    running = "candidate" in found and bool(status.get("run"))
    track = asked or ("candidate" if running or "stable" not in found else "stable")
    return track, found[track]


def _pods(session: Session, model: Manifest, revision: str) -> list[Manifest]:
    meta = model["metadata"]
    selector = f"{names.OWNER}={meta['uid']},{names.REVISION}={revision}"
    right = Right("list", "pods", "", session.namespace)
    return session.read(core_path(session.namespace, "pods"), right, labelSelector=selector)


def _follow(session: Session, pods: list[Manifest], query: Mapping[str, str]) -> int:
    said: queue.Queue[Line | CliError | None] = queue.Queue()
    for pod in pods:
        threading.Thread(target=_read, args=(session.client.another(), pod, query, said), daemon=True).start()
    failures = 0
    for item in _until_all_end(said, len(pods)):
        if isinstance(item, CliError):
            failures += 1
            session.note(item.message)
        else:
            name, text = item
            session.say(text if len(pods) == 1 else f"[{name}] {text}")
    return Exit.FAILED if failures == len(pods) else Exit.DONE


def _until_all_end(said: "queue.Queue[Line | CliError | None]", readers: int) -> Iterator[Line | CliError]:
    while readers:
        item = said.get()
        if item is None:
            readers -= 1
        else:
            yield item


def _read(client: Client, pod: Manifest, query: Mapping[str, str], said: "queue.Queue[Line | CliError | None]") -> None:
    name = pod["metadata"]["name"]
    try:
        for text in client.lines(_path(pod), seconds=None, **query):
            said.put((name, text))
    except Exception as error:  # noqa: BLE001  a thread that ends without a word looks like a pod that has ended
        said.put(CliError(f"{name}: {told(error).message}"))
    finally:
        said.put(None)


def _path(pod: Manifest) -> str:
    return core_path(pod["metadata"]["namespace"], "pods", f"{pod['metadata']['name']}/log")


def _right(session: Session) -> Right:
    return Right("get", "pods", "", session.namespace, "log")
