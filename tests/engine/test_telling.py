"""What is told of a decision: one Event and one audit line for each transition, with numbers, and never again."""

import json
import logging
from typing import Any

import pytest

from fairway.adapters.logs import JsonFormatter
from fairway.core.rollout.situation import Policy
from fairway.core.verdict import ObjectiveReading
from fairway.ports import ClusterError
from tests.fakes.world import Fault, World

BAD = (
    ObjectiveReading("errors", "Regressed", "1%", value="50%", stable_value="0.1%", requests=40, log10_evidence=9.1),
)
STORY = [
    "RunStarted", "Promoted",  # the first version
    "RunStarted", "WeightChanged", "ApprovalNeeded", "Approved", "Promoted", "WatchEnded",
    "RunStarted", "WeightChanged", "RolledBack",
]  # fmt: skip


def spec(version: str, **more: Any) -> dict[str, Any]:
    return {
        "model": {"version": version},
        "runtime": {"image": f"registry.example/churn:{version}", "port": 8080},
        "objectives": [{"name": "errors", "errors": {"below": "1%"}}],
        "rollout": {"steps": [{"weight": 20, "for": "10s"}, {"approval": "risk"}], "watch": {"for": "30s"}},
        **more,
    }


@pytest.fixture
def world() -> World:
    return World()


async def whole_story(world: World, *, restless: bool) -> None:
    """A first version, a good one, a bad one; a restless operator process dies each second."""

    async def pass_time(seconds: int) -> None:
        for _ in range(seconds):
            if restless:
                world.restart()
            await world.wait(1)

    world.kubectl_apply(spec("1.0.0"))
    await pass_time(10)
    world.kubectl_apply(spec("1.1.0"))
    await pass_time(5)
    world.say("Healthy")
    await pass_time(15)
    world.command("approve", "run-2/risk by system:serviceaccount:ml:ann: looks\nfine")
    await pass_time(60)
    world.kubectl_apply(spec("1.2.0"))
    await pass_time(5)
    world.say("Regressed", objectives=BAD)
    await pass_time(60)


@pytest.mark.parametrize("restless", [False, True], ids=["calm", "restarted-each-second"])
async def test_each_transition_is_told_once(world: World, restless: bool) -> None:
    await whole_story(world, restless=restless)
    assert world.reasons() == STORY


def lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    form = JsonFormatter()
    return [json.loads(form.format(record)) for record in caplog.records if record.name == "fairway.audit"]


async def test_the_audit_trail_has_each_decision_and_each_command(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="fairway.audit")
    await whole_story(world, restless=False)
    told = lines(caplog)
    assert [line["reason"] for line in told if line["audit"] == "decision"] == STORY
    (command,) = [line for line in told if line["audit"] == "command"]
    assert (command["command"], command["by"], command["why"]) == (
        "approve", "system:serviceaccount:ml:ann", "looks fine",
    )  # fmt: skip
    assert command["value"] == "run-2/risk by system:serviceaccount:ml:ann: looks fine"
    out = told[-1]
    assert (out["namespace"], out["model"], out["run"], out["level"]) == ("ml", "churn", "run-3", "warning")
    (numbers,) = out["verdict"]["objectives"]
    assert (numbers["value"], numbers["stableValue"], numbers["limit"]) == ("50%", "0.1%", "1%")
    assert numbers["evidence"] == "10^9.1 of 10^3.0"
    assert out["message"] == world.events[-1][1]


@pytest.mark.parametrize("verified", [True, False])
async def test_the_trail_says_whether_the_name_in_an_approval_was_verified(
    world: World, caplog: pytest.LogCaptureFixture, verified: bool
) -> None:
    caplog.set_level(logging.INFO, logger="fairway.audit")
    world.kubectl_apply(spec("1.0.0"))
    await world.wait(10)
    world.policy = Policy(verified=verified)
    world.restart()
    world.kubectl_apply(spec("1.1.0", rollout={"steps": [{"weight": 20, "for": "0s"}, {"approval": "risk"}]}))
    await world.wait(5)
    world.say("Healthy")
    await world.wait(5)
    world.command("approve", "run-2/risk by ann: fine")
    await world.wait(5)
    (command,) = [line for line in lines(caplog) if line["audit"] == "command"]
    assert (command["by"], command["verified"], command["why"]) == ("ann", verified, "fine")


async def test_a_command_says_which_program_gave_it_and_when(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="fairway.audit")
    world.kubectl_apply(spec("1.0.0"))
    await world.wait(10)
    fields = {"f:metadata": {"f:annotations": {".": {}, "f:fairway.dev/restart": {}}}}
    entry = {"manager": "kubectl-annotate", "operation": "Update", "time": "2027-01-15T08:00:09Z", "fieldsV1": fields}
    world.model()["metadata"]["managedFields"] = [entry]
    world.command("restart", "2027-01-15T08:00:08Z")
    await world.wait(5)
    (line,) = [line for line in lines(caplog) if line["audit"] == "command"]
    assert (line["command"], line["client"], line["asked"]) == ("restart", "kubectl-annotate", "2027-01-15T08:00:09Z")


async def test_a_spec_that_cannot_be_read_is_told_once(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.kubectl_apply(spec("1.0.0"))
    await world.wait(10)
    caplog.set_level(logging.INFO, logger="fairway.audit")
    caplog.clear()
    world.kubectl_apply(spec("not a version"))
    for _ in range(3):
        world.restart()
        await world.wait(5)
    assert world.reasons()[2:] == ["InvalidSpec"]
    (line,) = lines(caplog)
    assert (line["reason"], line["level"]) == ("InvalidSpec", "warning")
    assert world.condition("Stalled") == ("True", "InvalidSpec")


async def test_every_command_is_in_the_trail_once(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="fairway.audit")
    world.kubectl_apply(spec("1.0.0"))
    await world.wait(10)
    world.kubectl_apply(spec("1.1.0"))
    await world.wait(5)
    world.command("abort", "run-2")
    await world.wait(60)
    world.command("retry", "run-2")
    await world.wait(60)
    commands = [(line["command"], line["value"]) for line in lines(caplog) if line["audit"] == "command"]
    assert commands == [("abort", "run-2"), ("retry", "run-2")]


async def test_a_spec_that_no_decision_can_be_made_from_is_counted_once(world: World) -> None:
    told: list[str | None] = []
    world.stuck = lambda _key, _status, event: told.append(event and event.reason)
    world.restart()
    world.kubectl_apply(spec("not a version"))
    await world.once()
    await world.once()
    assert told == ["InvalidSpec", None]


async def test_a_degradation_that_is_shared_shows_in_the_condition_while_it_lasts(world: World) -> None:
    world.kubectl_apply(spec("1.0.0"))
    await world.wait(10)
    world.kubectl_apply(spec("1.1.0"))
    await world.wait(5)
    world.say("SharedDegradation", message="errors: over the limit, 5% vs 5% stable")
    await world.settle()
    assert world.condition("MetricsReady") == ("True", "SharedDegradation")
    said = next(c.message for c in world.status().conditions if c.type == "MetricsReady")
    assert said == "errors: over the limit, 5% vs 5% stable"
    # when the run ends, then nobody compares any more
    world.command("abort", "run-2")
    await world.settle()
    assert world.condition("MetricsReady") == ("True", "Measured")


async def tried(world: World, **rollout: Any) -> None:
    """Given 1.1.0 in its first step."""
    world.kubectl_apply(spec("1.0.0"))
    await world.wait(10)
    steps = {"steps": [{"weight": 20, "for": "10s"}]}
    world.kubectl_apply(spec("1.1.0", rollout={**steps, **rollout}))
    await world.wait(5)


def pauses(world: World) -> list[str]:
    return [message for reason, message in world.events if reason == "Paused"]


async def test_a_breach_that_only_pauses_is_told_once(world: World) -> None:
    await tried(world, onRegression="Pause")
    world.say("Regressed", objectives=BAD)
    for _ in range(3):
        world.restart()
        await world.wait(60)
    assert world.condition("Paused") == ("True", "Regressed")
    (told,) = pauses(world)
    assert told.startswith("run-2 is paused: an objective is broken, and rollout.onRegression is Pause: errors: 50%")


async def test_a_verdict_that_does_not_come_is_told_once(world: World) -> None:
    await tried(world, onUndecided={"after": "30s"})
    for state in ("Undecided", "NoTraffic", "Undecided"):
        world.say(state, message="not yet")
        await world.wait(60)
    assert pauses(world) == ["run-2 is paused: not yet"]
    assert world.condition("Paused") == ("True", "Undecided")


async def test_a_breach_in_the_watch_window_that_is_left_to_people_is_told_and_stays_in_sight(world: World) -> None:
    await tried(world, watch={"for": "10m", "onBreach": "Pause"})
    world.say("Healthy", objectives=(ObjectiveReading("errors", "Healthy", "1%", sufficient=True),))
    await world.wait(30)
    world.say("Regressed", objectives=BAD)
    await world.wait(60)
    stable = world.status().stable
    assert stable is not None
    assert (stable.version, world.condition("Paused")) == ("1.1.0", ("True", "Regressed"))
    (told,) = pauses(world)
    assert told.startswith("the watch window of 1.1.0 is paused: an objective is broken, and rollout.watch.onBreach")
    await world.wait(600)
    assert ("WatchEnded", "the watch window of 1.1.0 ended") in world.events
    assert world.condition("Paused") is None


async def test_numbers_that_move_while_a_verdict_is_waited_for_are_written_each_half_minute(world: World) -> None:
    await tried(world, onUndecided={"after": "1m"})
    await world.live(120)
    before = len(world.writes)
    for number in range(60):
        world.say("Undecided", message=f"errors: not enough evidence yet, {number} requests")
        await world.live(5)
    written = sum(write[0] == "status" for write in world.writes[before:])
    assert 9 <= written <= 11, "300 s"


# --- a status that is stored although its answer was lost ----------------------------------------------------------

LOST = [
    # The client tries again by itself, and its second try meets the first one.
    ClusterError(409, "Conflict", "the object has been modified"),
    ClusterError(0, "Unreachable", "no answer"),
    ClusterError(504, "Timeout", "the load balancer has waited long enough"),
]


async def canary(world: World) -> int:
    """Given a canary; returns how much was told until now."""
    world.kubectl_apply(spec("1.0.0"))
    await world.live(10)
    world.kubectl_apply(spec("1.1.0"))
    await world.live(5)
    assert world.reasons()[-1] == "WeightChanged"
    return len(world.events)


@pytest.mark.parametrize("error", LOST, ids=lambda error: error.reason)
async def test_what_was_decided_is_told_once_although_the_answer_was_lost(
    world: World, caplog: pytest.LogCaptureFixture, error: ClusterError
) -> None:
    """Given that a rollback is stored and the answer lost, then its Event and its line are there all the same."""
    told = await canary(world)
    caplog.set_level(logging.INFO, logger="fairway.audit")
    caplog.clear()
    world.faults.append(Fault("refuse-after", error=error))
    world.say("Regressed", objectives=BAD)
    await world.live(60)
    assert error in world.errors
    assert world.reasons()[told:] == ["RolledBack"]
    (line,) = lines(caplog)
    assert (line["reason"], line["level"]) == ("RolledBack", "warning")


async def test_what_was_stored_is_told_once_after_an_outage_of_many_tries(world: World) -> None:
    """Given an outage that begins after the status was stored, when the view comes back late, then it is told once."""
    told = await canary(world)
    world.lag = True
    lost = ClusterError(0, "Unreachable", "no answer")
    world.faults = [Fault("refuse-after", error=lost), *(Fault("refuse", skip, lost) for skip in (1, 2, 3))]
    world.say("Regressed", objectives=BAD)
    for _ in range(6):  # the last two meet what the first has stored
        world.time += 1
        await world.once()
    assert [error.status for error in world.errors] == [0, 0, 0, 0, 409, 409]
    assert world.reasons()[told:] == []
    world.deliver()
    world.lag = False
    await world.live(60)
    assert world.reasons()[told:] == ["RolledBack"]


async def test_a_decision_that_was_not_stored_is_not_told(world: World) -> None:
    """Given a rollback that meets a user's edit, then only the decision that is stored is told, and once."""
    told = await canary(world)
    world.lag = True
    world.annotate("team", "risk")
    world.say("Regressed", objectives=BAD)
    await world.once()
    assert [error.status for error in world.errors] == [409]
    world.deliver()
    world.lag = False
    await world.live(60)
    assert world.reasons()[told:] == ["RolledBack"]


async def test_a_refused_spec_is_told_once_although_the_answer_was_lost(world: World) -> None:
    """Given a spec that cannot be read, when the status that says so loses its answer, then it is told all the same."""
    told = await canary(world)
    heard: list[str | None] = []
    world.stuck = lambda _key, _status, event: heard.append(event and event.reason)
    world.restart()
    world.faults.append(Fault("refuse-after", error=LOST[1]))
    world.kubectl_apply({**spec("1.2.0"), "model": {"version": "not a version"}})
    await world.live(60)
    assert world.reasons()[told:] == ["InvalidSpec"]
    assert [reason for reason in heard if reason] == ["InvalidSpec"]


async def test_what_was_not_stored_and_is_decided_again_in_the_same_words_is_told_once(world: World) -> None:
    """Given a try that was refused, when the same status is stored at the next one, then it is told once."""
    world.faults.append(Fault("refuse", error=LOST[1]))
    world.kubectl_apply(spec("not a version"))
    await world.once()
    await world.once()
    await world.once()
    assert world.reasons() == ["InvalidSpec"]
