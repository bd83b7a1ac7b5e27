"""An independent witness: it records every status of a namespace's models and judges the whole story afterwards."""

import asyncio
import json
import os
from collections.abc import Iterator
from typing import Any, Self

from tests.e2e import audit
from tests.e2e.programs import ROOT, environment
from tests.stories import Stories

Status = dict[str, Any]
OURS = {
    "modeldeployments/status", "deployments", "deployments/scale", "services", "httproutes", "controllerrevisions",
    "poddisruptionbudgets", "horizontalpodautoscalers", "prometheusrules", "events",
}  # fmt: skip
MOST_BYTES = 10 * 1024


class Witness:
    """Use as an async context around a test; it fails the test on a broken invariant.

    ``statuses`` are those of each model so far, in their order.
    """

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        self.statuses: dict[str, list[Status]] = {}
        self._stories = Stories()
        self._mark = audit.mark()
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Begin to record."""
        self._process = await asyncio.create_subprocess_exec(
            "kubectl", "-n", self._namespace, "get", "md", "--watch", "-o", "json",
            cwd=ROOT, env=environment(), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        self._reader = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, kind: object, error: object, trace: object) -> None:
        """Stop recording and judge."""
        assert self._process is not None
        assert self._reader is not None
        watched = self._process.returncode is None
        if watched:
            self._process.terminate()
        await self._process.wait()
        await self._reader
        self._stories.write(os.environ.get("PYTEST_CURRENT_TEST", self._namespace).partition(" ")[0])
        if kind is None:
            assert watched, "kubectl's watch ended early: nobody was witness"
            broken = [line for name, story in self.statuses.items() for line in judge(name, story)]
            broken += foreign_writes(self._mark, self._namespace)
            assert broken == []

    async def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        decoder, text = json.JSONDecoder(), ""
        while chunk := await self._process.stdout.read(65536):
            text += chunk.decode()
            while text.strip():
                try:
                    found, end = decoder.raw_decode(text.lstrip())
                except ValueError:
                    break
                text = text.lstrip()[end:]
                self._stories.saw(0, found)
                if "status" in found:
                    self.statuses.setdefault(found["metadata"]["name"], []).append(found["status"])


def judge(name: str, story: list[Status]) -> Iterator[str]:
    """Every broken invariant of one model's story, in words."""
    for before, after in zip([{}, *story], story, strict=False):
        for words in (*_weights(after), *_rise(before, after), *_promotion(before, after), *_size(after)):
            yield f"{name} at {after.get('phase')}: {words}"


def _tracks(status: Status) -> list[dict[str, Any]]:
    return [track for track in (status.get("stable"), status.get("candidate")) if track]


def _weights(status: Status) -> Iterator[str]:
    tracks = _tracks(status)
    total = sum(track.get("weight", 0) for track in tracks)
    if tracks and total != 100:
        yield f"I1: weights sum to {total}"
    ready = [track for track in tracks if track.get("ready", 0)]
    dead = [track for track in tracks if track.get("weight", 0) and not track.get("ready", 0)]
    if ready and dead and status.get("run"):  # without a run there is nobody to turn to
        yield f"I1: weight {dead[0]['weight']} for {dead[0]['version']} without a ready pod"


def _rise(before: Status, after: Status) -> Iterator[str]:
    old, new = before.get("candidate") or {}, after.get("candidate") or {}
    run = after.get("run") or {}
    if not run or (before.get("run") or {}).get("id") != run["id"] or old.get("revision") != new.get("revision"):
        return
    rise = new.get("weight", 0) > old.get("weight", 0)
    if rise and old.get("rejectedReason"):
        yield f"I2: {new['version']} was rejected and its weight rises"
    stable_down = not (after.get("stable") or {}).get("ready", 0)
    planned = {step["weight"] for step in run.get("plan", ())} | {0}
    if rise and new["weight"] not in planned and not stable_down:
        yield f"I5: weight {new['weight']} is not in the plan {sorted(planned)}"
    if run.get("step", 0) > (before.get("run") or {}).get("step", 0) + 1 and not run.get("full"):
        yield f"I5: step {run['step']} after {before['run'].get('step', 0)}"


def _promotion(before: Status, after: Status) -> Iterator[str]:
    known = {entry["run"] for entry in before.get("history", ())}
    for entry in after.get("history", ()):
        if entry["run"] not in known and entry["outcome"] == "Promoted" and not entry.get("reason"):
            yield f"I3: {entry['version']} was promoted without a reason"


def _size(status: Status) -> Iterator[str]:
    size = len(json.dumps(status))
    if size > MOST_BYTES:
        yield f"I10: the status has {size} bytes"
    if "\n" in status.get("message", ""):
        yield "I10: the message has more than one line"


def foreign_writes(mark: int, namespace: str) -> list[str]:
    """Writes of the operator to anything that is not its own: I8, from the API server's audit log."""
    wrote = [each for each in audit.requests(mark, namespace) if not each.is_read]
    return [f"I8: {each}" for each in wrote if each.about not in OURS]
