"""What was rejected stays rejected: ways back, second rollbacks, retries, suspension, crashes after the promotion."""

from typing import Any

import pytest

from fairway.core import names
from tests.engine.test_commands import HELD, act, tried
from tests.engine.test_rollout import BAD, serving, spec
from tests.fakes.world import Behaviour, World

AT_ONCE: dict[str, Any] = {"judged": False, "steps": [], "watch": {"for": "0s"}}
REJECTED = ("False", "RolledBackByCommand")


@pytest.fixture
def world() -> World:
    return World()


async def promoted(world: World, *versions: str, **more: Any) -> None:
    """Given versions that were promoted one after the other, at once and without a watch window."""
    for version in versions:
        world.kubectl_apply(spec(version, **{**AT_ONCE, **more}))
        await world.live(90)
    assert world.weights() == {versions[-1]: 100}


async def in_its_window(world: World, **watch: Any) -> None:
    """Given 1.1.0, promoted a moment ago: 1.0.0 is warm."""
    await serving(world)
    world.kubectl_apply(spec("1.1.0", steps=[], watch={"for": "10m", **watch}))
    await world.live(20)
    assert world.weights() == {"1.1.0": 100}


def outcomes(world: World) -> list[tuple[str, str]]:
    return [(entry.version, entry.outcome) for entry in world.status().history]


# --- crashes after the promotion --------------------------------------------------------------------------------


@pytest.mark.parametrize("crash", [Behaviour(crash_at_start=True), Behaviour(crash_after=30, oom=True)])
async def test_when_all_pods_crash_in_the_window_the_warm_version_takes_over(world: World, crash: Behaviour) -> None:
    await in_its_window(world)
    world.behaviours["1.1.0"] = crash
    await world.live(60)
    assert world.weights() == {"1.0.0": 100}
    assert world.condition("UpToDate") == ("False", "Crashed")
    assert outcomes(world)[0] == ("1.1.0", "RolledBack")


async def test_crashes_from_before_the_promotion_do_not_count(world: World) -> None:
    await in_its_window(world)
    world.model()["status"]["former"]["crashBaseline"] = 40
    world.store.put(world.model())
    world.behaviours["1.1.0"] = Behaviour(crash_at_start=True)
    await world.live(20)
    assert world.weights() == {"1.1.0": 100}


async def test_where_breaches_are_left_to_people_so_are_crashes(world: World) -> None:
    await in_its_window(world, onBreach="Pause")
    world.behaviours["1.1.0"] = Behaviour(crash_at_start=True)
    await world.live(60)
    assert (world.weights(), world.status().phase) == ({"1.1.0": 100}, "Degraded")


async def test_a_window_does_not_close_while_nobody_serves(world: World) -> None:
    """Given a promoted version that is not ready, and not by its fault, then the warm one stays until it is."""
    await in_its_window(world)
    world.behaviours["1.1.0"] = Behaviour(never_ready=True)
    await world.live(1200)
    assert "WatchEnded" not in world.reasons()
    assert len(world.pods("1.0.0")) == 4
    world.behaviours["1.1.0"] = Behaviour()
    await world.live(120)
    assert "WatchEnded" in world.reasons()
    assert world.pods("1.0.0") == []


async def test_a_window_closes_although_a_scaler_of_others_wants_no_pods(world: World) -> None:
    await serving(world)
    external = {"scaling": {"external": True, "replicas": 2}}
    world.kubectl_apply({**spec("1.1.0", steps=[], watch={"for": "1m"}), **external})
    await world.live(20)
    (mine,) = (
        each for (kind, _), each in world.objects.items()
        if kind == "Deployment" and each["metadata"]["labels"][names.VERSION] == "1.1.0"
    )  # fmt: skip
    world.resize(mine, 0)
    await world.live(120)
    assert "WatchEnded" in world.reasons()


# --- ways back --------------------------------------------------------------------------------------------------


async def test_a_rejected_version_is_never_kept_to_return_to(world: World) -> None:
    """Given a way back whose trouble goes on, when that is a breach, too, then the rejected version does not return."""
    await serving(world)
    world.kubectl_apply(spec("1.1.0", steps=[], watch={"for": "1m"}))
    await world.wait(150)
    await act(world, "rollback", "run-2", 20)
    assert world.status().former is None
    world.say("Regressed", objectives=BAD)
    await world.wait(60)
    assert (world.weights(), world.condition("UpToDate")) == ({"1.0.0": 100}, REJECTED)


async def test_a_second_rollback_goes_further_back(world: World) -> None:
    await promoted(world, "1.0.0", "1.1.0", "1.2.0")
    await act(world, "rollback", "run-3", 90)
    assert world.weights() == {"1.1.0": 100}
    await act(world, "rollback", "run-4", 90)
    assert world.weights() == {"1.0.0": 100}
    assert outcomes(world) == [
        ("1.0.0", "Promoted"), ("1.1.0", "RolledBack"), ("1.2.0", "RolledBack"), ("1.1.0", "Promoted"),
        ("1.0.0", "Promoted"),
    ]  # fmt: skip


async def test_what_was_rolled_back_takes_its_steps_when_it_is_asked_for_again(world: World) -> None:
    await promoted(world, "1.0.0", "1.1.0", judged=True)
    await act(world, "rollback", "run-2", 90)
    for version in ("1.0.0", "1.1.0"):
        world.kubectl_apply(spec(version, steps=HELD, watch={"for": "0s"}))
        await world.live(30)
    assert world.weights() == {"1.0.0": 80, "1.1.0": 20}


async def test_a_version_that_made_it_in_the_end_is_rejected_no_more(world: World) -> None:
    """Given a version that was aborted once and promoted later, then the spec may hold a return from it."""
    run = await tried(world)
    await act(world, "abort", run)
    world.kubectl_apply(spec("1.0.0", judged=False, steps=HELD))
    await world.live(60)
    world.kubectl_apply(spec("1.1.0", **AT_ONCE))
    await world.live(60)
    assert (world.weights(), world.status().rejected) == ({"1.1.0": 100}, ())
    world.kubectl_apply({**spec("1.0.0", **AT_ONCE), "paused": True})
    await world.live(60)
    assert (world.weights(), world.status().phase) == ({"1.1.0": 100}, "Paused")


@pytest.mark.parametrize(
    ("old", "weights"),
    [
        (Behaviour(load=300), {"1.0.0": 95, "1.2.0": 5}),
        (Behaviour(unschedulable=True), {"1.1.0": 95, "1.2.0": 5}),
    ],
    ids=["it-comes", "it-finds-no-place"],
)
async def test_a_new_version_waits_for_a_way_back_that_can_end(
    world: World, old: Behaviour, weights: dict[str, int]
) -> None:
    """Given a rejected version that is being replaced, when a fix is applied, then it is tried against what comes."""
    await promoted(world, "1.0.0", "1.1.0")
    world.behaviours["1.0.0"] = old
    await act(world, "rollback", "run-2", 30)
    world.kubectl_apply(spec("1.2.0", judged=False, steps=[{"weight": 5, "for": "2h"}]))
    await world.live(600)
    assert world.weights() == weights


async def test_an_abort_ends_a_way_back_for_a_new_version(world: World) -> None:
    await promoted(world, "1.0.0", "1.1.0")
    world.behaviours["1.0.0"] = Behaviour(load=3000)
    await act(world, "rollback", "run-2", 30)
    world.kubectl_apply(spec("1.2.0", judged=False, steps=[{"weight": 5, "for": "2h"}]))
    await world.live(60)
    assert world.weights() == {"1.1.0": 100}
    await act(world, "abort", "run-3", 60)
    assert world.weights() == {"1.1.0": 95, "1.2.0": 5}


async def failed_way_back(world: World) -> None:
    """Given a breach that found nobody warm, and a former version that cannot run any more."""
    await in_its_window(world)
    world.behaviours["1.0.0"] = Behaviour(unschedulable=True)
    for pod in world.pods("1.0.0"):
        world.evict(pod)
    await world.wait(2)
    world.say("Regressed", objectives=BAD)
    await world.wait(5)
    assert world.status().phase == "RollingBack"
    world.behaviours["1.0.0"] = Behaviour(crash_at_start=True)
    for pod in world.pods("1.0.0"):
        world.evict(pod)
    await world.wait(60)


async def test_a_way_back_that_fails_does_not_make_the_rejected_version_right(world: World) -> None:
    await failed_way_back(world)
    assert world.weights() == {"1.1.0": 100}
    assert (world.status().phase, world.condition("UpToDate")) == ("RolledBack", ("False", "Regressed"))
    assert "1.1.0 serves although it was rejected, as no other could take its place" in world.status().message


async def test_retry_forgives_a_rejected_version_that_serves_all_the_same(world: World) -> None:
    await failed_way_back(world)
    refused = world.status().refused
    assert refused is not None
    runs = world.status().runs
    await act(world, "retry", refused.run, 10)
    assert (world.status().phase, world.condition("UpToDate")) == ("Healthy", ("True", "Promoted"))
    assert (world.status().runs, world.weights()) == (runs, {"1.1.0": 100})


# --- suspended in the middle of it ------------------------------------------------------------------------------


async def test_a_rollback_that_waits_is_not_forgotten_by_a_suspension(world: World) -> None:
    run = await tried(world)
    world.behaviours["1.0.0"] = Behaviour(never_ready=True)
    await world.wait(3)
    await act(world, "abort", run)
    assert world.status().phase == "RollingBack"
    asked = spec("1.1.0", judged=False, steps=HELD)
    world.kubectl_apply({**asked, "state": "Suspended"})
    await world.live(30)
    assert world.status().phase == "Suspended"
    world.behaviours["1.0.0"] = Behaviour()
    world.kubectl_apply(asked)
    await world.live(60)
    assert (world.weights(), world.condition("UpToDate")) == ({"1.0.0": 100}, ("False", "Aborted"))


async def test_a_way_back_goes_on_after_a_suspension(world: World) -> None:
    await promoted(world, "1.0.0", "1.1.0")
    world.behaviours["1.0.0"] = Behaviour(load=300)
    await act(world, "rollback", "run-2", 30)
    asked = spec("1.1.0", **AT_ONCE)
    world.kubectl_apply({**asked, "state": "Suspended"})
    await world.live(30)
    assert (world.status().phase, world.pods("1.0.0"), world.pods("1.1.0")) == ("Suspended", [], [])
    world.kubectl_apply(asked)
    await world.live(600)
    assert (world.weights(), world.condition("UpToDate")) == ({"1.0.0": 100}, REJECTED)
