"""Two operators, of which one acts: S42, with the audit log as witness of who wrote what from where."""

import asyncio
import contextlib
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import audit
from tests.e2e.harness import Manifest, Namespace, serves, taken_away
from tests.e2e.programs import kubectl
from tests.e2e.release import OPERATOR, leader, operators
from tests.e2e.specs import standin

pytestmark = [pytest.mark.e2e, pytest.mark.alone]

TAKEOVER = 20.0
"""Seconds of this machine's own in which a successor acts, at most."""
RENEWAL = 5.0
"""Seconds in which a leader notices that its lease is another's."""
STEPS = [{"weight": weight, "for": "4s"} for weight in (10, 25, 40, 60, 80)]


async def two() -> None:
    """Given two operators that are ready."""
    await kubectl("-n", OPERATOR, "rollout", "status", "deployment/fairway", "--timeout=180s")
    async with asyncio.timeout(120):
        while len(await operators()) < 2:
            await asyncio.sleep(0.5)


def process(pod: str) -> int:
    """The operator's process on this machine: its container's hostname is the pod's name."""
    mark = f"HOSTNAME={pod}".encode()
    for each in Path("/proc").glob("[0-9]*"):
        try:
            known = mark in (each / "environ").read_bytes().split(b"\0")
            if known and b"fairway" in (each / "cmdline").read_bytes():
                return int(each.name)
        except OSError:
            continue  # it ended meanwhile, or is the kernel's
    raise AssertionError(f"no process of {pod} on this machine")


def weight(status: dict[str, Any]) -> int:
    return int(status.get("candidate", {}).get("weight", 0))


async def rolling(ns: Namespace) -> None:
    """Given a model that is on its way through five steps of 4 s."""
    await ns.apply(standin("1.0.0", traffic={"hostnames": [ns.host]}))
    await ns.healthy("1.0.0")
    await ns.answers()
    await ns.apply(standin("1.1.0", traffic={"hostnames": [ns.host]}, rollout={"steps": STEPS, "watch": {"for": "0s"}}))
    await ns.until("10 %", lambda s: s.get("candidate", {}).get("weight") == 10)


def told(events: list[Manifest]) -> list[str]:
    """The weights that were told, in their order."""
    about = [e for e in events if e["reason"] == "WeightChanged" and e["involvedObject"]["kind"] == "ModelDeployment"]
    about.sort(key=lambda event: int(event["metadata"]["resourceVersion"]))
    return [e["message"] for e in about]


async def told_more(ns: Namespace) -> None:
    """Wait until one more weight was told."""
    before = len(told(await ns.items("events")))
    await ns.shows("events", lambda found: len(told(found)) > before)


async def whole(ns: Namespace) -> None:
    """Wait until it is through; no step was taken twice, and none was left out."""
    status = await ns.until("1.1.0 serves", lambda s: serves(s) == "1.1.0" and s["phase"] == "Healthy")
    assert status["runs"] == 2
    messages = told(await ns.items("events"))
    assert len(messages) == len(set(messages)) == len(STEPS), messages


def writers(since: int, ns: Namespace) -> list[tuple[float, str]]:
    """(When, by which pod) of everything that was written in a namespace, the model's Events apart."""
    asked = [each for each in audit.requests(since, ns.name) if not each.is_read and each.about != "events"]
    return [(each.at, each.pod) for each in asked]


async def test_s42_a_killed_leader_is_followed_within_twenty_seconds(ns: Namespace) -> None:
    """Given two operators and an open run, when the leader is killed, then the other goes on, and alone."""
    await two()
    await rolling(ns)
    old = await leader()
    victim = process(old)  # looked for before the mark: until it is found, the old one may take a step
    await told_more(ns)  # an Event that waits to be written would die with its writer
    mark, killed, away = audit.mark(), time.time(), taken_away()
    os.kill(victim, signal.SIGKILL)
    # Its pod goes, too: a container that starts again under its name may go on with its lease at once.
    await kubectl("-n", OPERATOR, "delete", "pod", old, "--grace-period=0", "--force")
    new = await leader(but=old)
    await whole(ns)
    after = writers(mark, ns)
    assert {pod for _, pod in after} == {new}
    first = min(at for at, _ in after)
    print(f"acted again {first - killed:.1f} s after the kill")
    assert first - killed <= TAKEOVER + taken_away() - away


async def test_s42_a_leader_that_was_frozen_acts_no_more(ns: Namespace) -> None:
    """Given a leader that is frozen for longer than its lease, when it thaws, then it has written nothing since."""
    await two()
    await rolling(ns)
    old = await leader()
    frozen, mark = process(old), audit.mark()
    os.kill(frozen, signal.SIGSTOP)
    try:
        new = await leader(but=old)
        taken, reached = time.time(), weight(await ns.status())
        await ns.until("the successor acts", lambda s: weight(s) > reached)
    finally:
        with contextlib.suppress(ProcessLookupError):  # the kubelet's patience with a silent pod may have ended
            os.kill(frozen, signal.SIGCONT)
    await whole(ns)
    assert {pod for at, pod in writers(mark, ns) if at >= taken} == {new}


async def test_s42_a_stolen_lease_stops_its_holder(ns: Namespace) -> None:
    """Given an open run, when a stranger takes the lease, then nobody acts until it has expired, and then one does."""
    await two()
    await rolling(ns)
    theft = {"spec": {"holderIdentity": "a-stranger", "leaseDurationSeconds": 15}}
    await kubectl("-n", OPERATOR, "patch", "lease", "fairway", "--type=merge", "-p", json.dumps(theft))
    stolen, away = time.time(), taken_away()
    mark = audit.mark()
    new = await leader()
    late = taken_away() - away
    await whole(ns)
    about = [each for each in audit.requests(mark, OPERATOR) if each.about == "leases" and not each.is_read]
    free = min(each.at for each in about if each.code < 300 and each.at > stolen)
    assert free - stolen > 10, "it had not expired"
    held = [at for at, _ in writers(mark, ns) if stolen + RENEWAL + late < at < free]
    assert held == [], "the old leader knows within a renewal"
    assert {pod for at, pod in writers(mark, ns) if at > free} == {new}
