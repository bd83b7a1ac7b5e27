"""People steer: commands, approvals, pauses, edits in mid-run. Each acts once, on what it names."""

import asyncio
from typing import Any

import pytest

from tests.e2e.harness import Namespace, condition, serves
from tests.e2e.programs import kubectl
from tests.e2e.specs import ONE, standin

pytestmark = pytest.mark.e2e

QUICK = [{"weight": 20, "for": "2s"}, {"weight": 50, "for": "2s"}]
HELD = [{"weight": 20, "for": "10m"}, {"weight": 50, "for": "10m"}]


def routed(ns: Namespace, version: str, *, steps: list[dict[str, Any]] | None = None, **more: Any) -> dict[str, Any]:
    """A spec behind the gateway, without objectives: only time and people decide."""
    rollout = {"steps": QUICK if steps is None else steps, **more.pop("rollout", {})}
    return standin(version, **{**ONE, "traffic": {"hostnames": [ns.host]}, "rollout": rollout, **more})


async def up(ns: Namespace, version: str = "1.0.0") -> None:
    """Given a version that serves."""
    await ns.apply(routed(ns, version))
    await ns.healthy(version)


async def command(ns: Namespace, name: str, value: str, *, by: str | None = None) -> None:
    """kubectl annotate, as people do; as somebody else where the policy asks who gives the word."""
    who = (f"--as={by}", "--as-group=system:masters") if by else ()
    await kubectl("-n", ns.name, "annotate", "--overwrite", "md", "churn", f"fairway.dev/{name}={value}", *who)


async def at(ns: Namespace, weight: int) -> str:
    """Wait until the candidate has this weight; return the run."""
    status = await ns.until(f"{weight} %", lambda s: s.get("candidate", {}).get("weight") == weight)
    return str(status["run"]["id"])


async def test_s10_s52_an_approval_waits_for_the_right_word(ns: Namespace) -> None:
    """Given an approval step, when wrong words, promotions and edits come, then only the right word passes it."""
    steps = [{"weight": 20, "for": "1s"}, {"approval": "risk-review"}, {"weight": 50, "for": "1s"}]
    await up(ns)
    await ns.apply(routed(ns, "1.1.0", steps=steps))
    status = await ns.until("the gate", lambda s: condition(s, "Paused") == ("True", "ApprovalNeeded"))
    run = status["run"]["id"]
    assert status["phase"] == "Paused"
    for wrong in ("run-999/risk-review by ann: wrong run", f"{run}/other by ann: wrong name"):
        with pytest.raises(AssertionError, match="not part of the run that is under way"):
            await command(ns, "approve", wrong, by="ann")
    await command(ns, "promote", f"{run}/2")
    await command(ns, "promote-full", run)
    await ns.apply(routed(ns, "1.1.0", steps=QUICK))
    await asyncio.sleep(5)  # not a hope: the time in which nothing may happen
    status = await ns.status()
    assert (status["candidate"]["weight"], status["run"].get("approvals", [])) == (20, [])
    person = "system:user:ann"
    await command(ns, "approve", f"{run}/risk-review by {person}: looks good: really", by=person)
    status = await ns.healthy("1.1.0")
    given = status["history"][0]["approvals"][0]
    assert (given["by"], given["comment"]) == (person, "looks good: really")


async def test_s11_promote_ends_one_step_and_promote_full_the_rest(ns: Namespace) -> None:
    """Given long steps, when promoted by hand, then exactly one step, then all of them, and it is recorded."""
    await up(ns)
    await ns.apply(routed(ns, "1.1.0", steps=HELD, scaling={"replicas": 2}))
    run = await at(ns, 20)
    await command(ns, "promote", f"{run}/1")
    await at(ns, 50)
    await command(ns, "promote-full", run)
    status = await ns.healthy("1.1.0")
    assert "by command" in status["history"][0]["reason"]
    assert len(await ns.pods("1.1.0")) == 2


async def test_s11_s12_s53_abort_retry_and_abort_again(ns: Namespace) -> None:
    """Given a run, when aborted, retried, aborted again, then each acts once and a new version starts from step one."""
    await up(ns)
    await ns.apply(routed(ns, "1.1.0", steps=HELD))
    run = await at(ns, 20)
    await command(ns, "abort", run)
    status = await ns.until("aborted", lambda s: s["phase"] == "RolledBack")
    assert condition(status, "UpToDate") == ("False", "Aborted")
    await ns.weighs({"1.0.0": 100})
    await command(ns, "retry", run)
    again = await at(ns, 20)
    assert again != run
    await command(ns, "abort", again)
    await ns.until("aborted again", lambda s: s["phase"] == "RolledBack")
    await ns.apply(routed(ns, "1.2.0", steps=HELD))
    await at(ns, 20)
    assert serves(await ns.status()) == "1.0.0"


async def test_s11_rollback_returns_to_the_former_version(ns: Namespace) -> None:
    """Given a promoted version, when it is rolled back by command, warm or cold, then the former one serves."""
    await up(ns)
    warm = {"watch": {"for": "5m"}}
    await ns.apply(routed(ns, "1.1.0", rollout=warm))
    status = await ns.until("promoted", lambda s: serves(s) == "1.1.0")
    await command(ns, "rollback", status["history"][0]["run"])
    status = await ns.until("warm return", lambda s: serves(s) == "1.0.0" and s["phase"] == "RolledBack")
    assert condition(status, "UpToDate") == ("False", "RolledBackByCommand")
    await ns.apply(routed(ns, "1.2.0"))
    status = await ns.until("promoted", lambda s: serves(s) == "1.2.0")
    await command(ns, "rollback", status["history"][0]["run"])
    status = await ns.until("cold return", lambda s: serves(s) == "1.0.0" and s["phase"] == "RolledBack")
    await ns.weighs({"1.0.0": 100})


async def test_s11_restart_makes_new_pods_and_no_new_revision(ns: Namespace) -> None:
    """Given a version that serves, when restarted, then every pod is new and the revision is the same."""
    await up(ns)
    before = {pod["metadata"]["uid"] for pod in await ns.pods("1.0.0")}
    revision = (await ns.status())["stable"]["revision"]
    await command(ns, "restart", "2026-11-21T06:00:00Z")
    async with asyncio.timeout(180):
        while before & {pod["metadata"]["uid"] for pod in await ns.pods("1.0.0")}:
            await asyncio.sleep(0.5)
    status = await ns.healthy("1.0.0")
    assert status["stable"]["revision"] == revision


async def test_s11_pause_holds_and_suspend_takes_all_pods(ns: Namespace) -> None:
    """Given a run, when paused, then it stays; when suspended, then no pods; when active, then it serves again."""
    await up(ns)
    await ns.apply(routed(ns, "1.1.0", paused=True))
    await ns.until("paused", lambda s: condition(s, "Paused") == ("True", "PausedBySpec"))
    await asyncio.sleep(5)  # not a hope: the time in which nothing may happen
    assert "weight" not in (await ns.status())["candidate"] or (await ns.status())["candidate"]["weight"] == 0
    await ns.apply(routed(ns, "1.1.0"))
    await ns.healthy("1.1.0")
    await ns.apply(routed(ns, "1.1.0", state="Suspended"))
    status = await ns.until("suspended", lambda s: s["phase"] == "Suspended")
    assert condition(status, "Ready") == ("False", "Suspended")
    async with asyncio.timeout(120):
        while await ns.pods("1.1.0"):
            await asyncio.sleep(0.5)
    await ns.apply(routed(ns, "1.1.0"))
    await ns.healthy("1.1.0")


async def test_s14_s15_back_to_stable_and_back_to_a_proven_version(ns: Namespace) -> None:
    """Given a run, when the spec returns to stable, then it is over; a proven version returns without steps."""
    await up(ns)
    await ns.apply(routed(ns, "1.1.0", steps=HELD))
    await at(ns, 20)
    await ns.apply(routed(ns, "1.0.0", steps=HELD))
    await ns.healthy("1.0.0")
    await ns.weighs({"1.0.0": 100})
    await ns.apply(routed(ns, "1.2.0"))
    await ns.healthy("1.2.0")
    await ns.apply(routed(ns, "1.0.0", steps=HELD))
    status = await ns.healthy("1.0.0")
    assert status["history"][0]["reason"] == "it served before"


async def test_s17_the_open_run_keeps_its_plan(ns: Namespace) -> None:
    """Given a run, when its steps are edited, then they count from the next run."""
    await up(ns)
    await ns.apply(routed(ns, "1.1.0", steps=[{"weight": 20, "for": "8s"}, {"weight": 50, "for": "10m"}]))
    await at(ns, 20)
    await ns.apply(routed(ns, "1.1.0", steps=[{"weight": 90, "for": "1s"}]))
    await at(ns, 50)
    status = await ns.status()
    assert status["effective"]["steps"] == ["90% for 1s"]


async def test_s51_wait_for_up_to_date(ns: Namespace) -> None:
    """Given CI that waits, when a good version comes, then it returns; for a bad one the reason can be read."""
    await up(ns)
    await ns.apply(routed(ns, "1.1.0"))
    await kubectl("-n", ns.name, "wait", "md/churn", "--for=condition=UpToDate", "--timeout=180s")
    assert serves(await ns.status()) == "1.1.0"
    await ns.apply(routed(ns, "1.2.0", env={"FAULT_CRASH": "start"}))
    said = await kubectl("-n", ns.name, "wait", "md/churn", "--for=condition=UpToDate", "--timeout=3s", check=False)
    assert "timed out" in said
    status = await ns.until("the reason", lambda s: condition(s, "UpToDate") == ("False", "Crashed"))
    assert "exit code 1" in status["message"]


async def test_s54_lineage_is_history_not_a_restart(ns: Namespace) -> None:
    """Given a version that serves, when only its lineage is edited, then no pod restarts."""
    await up(ns)
    before = {pod["metadata"]["uid"] for pod in await ns.pods("1.0.0")}
    spec = routed(ns, "1.0.0")
    spec["model"]["source"] = {"commit": "feedbee"}
    spec["model"]["card"] = {"owner": "risk-team"}
    await ns.apply(spec)
    await ns.until("history follows", lambda s: s["history"][0].get("commit") == "feedbee")
    assert {pod["metadata"]["uid"] for pod in await ns.pods("1.0.0")} == before
