"""Decisions at the edges, one by one: what is given, what happens, what is decided."""

from typing import Any

import pytest

from fairway.core.rollout import decide
from fairway.core.rollout.question import preflight_id
from fairway.core.rollout.situation import Situation, Transition
from fairway.core.verdict import ObjectiveReading, Reading
from tests.engine.test_commands import HELD, act, tried
from tests.engine.test_rollout import BAD, serving, spec
from tests.fakes.world import GATEWAY, NAMESPACE, Behaviour, World

INSTANT: dict[str, Any] = {"judged": False, "steps": [], "watch": {"for": "0s"}}


@pytest.fixture
def world() -> World:
    return World()


def runtime(port: int) -> dict[str, Any]:
    meta = {"name": "mlserver", "uid": "mrt", "generation": port}
    return {"kind": "ModelRuntime", "metadata": meta, "spec": {"image": "registry.example/mlserver:1", "port": port}}


def by_runtime(version: str) -> dict[str, Any]:
    return {**spec(version, judged=False), "runtime": {"name": "mlserver"}}


# --- what no run can get past ------------------------------------------------------------------------------------


async def test_without_a_gateway_to_route_by_the_run_holds_and_says_why(world: World) -> None:
    await serving(world)
    world.remove("Gateway", GATEWAY["metadata"]["name"])
    world.kubectl_apply(spec("1.1.0", **INSTANT))
    await world.wait(60)
    run = world.status().run
    assert run is not None
    assert (
        run.waiting_for == "a route: NoGateway: there is no Gateway gateways/models, or no Gateway API in this cluster"
    )
    assert world.condition("RouteReady") == ("False", "NoGateway")
    assert world.weights() == {"1.0.0": 100}


async def test_a_candidate_that_carries_everything_is_neither_superseded_nor_moved_on(world: World) -> None:
    """Given stable without ready pods, when another version is asked for, then the candidate goes on serving."""
    await tried(world, steps=[{"weight": 20, "for": "10s"}])
    world.behaviours["1.0.0"] = Behaviour(never_ready=True)
    await world.wait(3)
    world.kubectl_apply(spec("1.2.0", judged=False, steps=HELD))
    await world.wait(60)
    assert world.weights() == {"1.0.0": 0, "1.1.0": 100}
    world.behaviours["1.0.0"] = Behaviour()
    await world.wait(10)
    assert world.weights() == {"1.0.0": 80, "1.2.0": 20}


async def test_an_unending_chain_of_decisions_is_cut(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Given a concern that always has something to say, then a pass still ends, and the next one is due at once."""

    def restless(s: Situation) -> Transition:
        return Transition(s.status.model_copy(update={"runs": s.status.runs + 1}))

    monkeypatch.setattr(decide, "CHAIN", (restless,))
    world.kubectl_apply(spec("1.0.0"))
    assert await world.reconciler.reconcile((NAMESPACE, "churn")) == world.time
    assert world.status().runs == decide.MOST_TRANSITIONS


# --- steps -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rollout", "announced"),
    [
        ({}, "5% -> 25% -> 50% -> 100%"),
        ({"steps": [{"weight": 20}, {"weight": 100}]}, "20% -> 100%"),
        ({"steps": []}, "100%"),
    ],
    ids=["the default", "a last step of 100 is the promotion", "none"],
)
async def test_the_plan(world: World, rollout: dict[str, Any], announced: str) -> None:
    asked = spec("1.1.0")
    await serving(world)
    world.kubectl_apply({**asked, "rollout": rollout})
    await world.settle()
    assert ("RunStarted", f"run-2: 1.1.0 is tried against 1.0.0: {announced}") in world.events


async def test_the_size_that_was_taken_over_is_held_for_a_while(world: World) -> None:
    auto = {"scaling": {"minReplicas": 2, "maxReplicas": 10}}
    world.demand = 6
    world.kubectl_apply({**spec("1.0.0", **INSTANT), **auto})
    await world.wait(10)
    world.kubectl_apply({**spec("1.1.0", **INSTANT), **auto})
    await world.wait(20)
    world.demand = 0
    await world.live(270)
    assert len(world.pods("1.1.0")) == 6
    await world.live(40)
    assert len(world.pods("1.1.0")) == 2


async def test_an_aborted_candidate_whose_deployment_is_gone_leaves_nothing_to_wait_for(world: World) -> None:
    run = await tried(world)
    candidate = world.status().candidate
    assert candidate is not None
    world.remove("Deployment", f"churn-{candidate.revision}")
    world.command("abort", run)
    await world.once()
    assert world.status().retiring == ()
    assert world.weights() == {"1.0.0": 100}


# --- rollback ----------------------------------------------------------------------------------------------------


async def test_a_breach_while_the_former_revision_has_no_ready_pod_waits_for_it(world: World) -> None:
    await serving(world)
    world.kubectl_apply(spec("1.1.0", steps=[]))
    await world.wait(20)
    world.behaviours["1.0.0"] = Behaviour(load=15)
    for pod in world.pods("1.0.0"):
        world.evict(pod)
    await world.wait(2)
    world.say("Regressed", objectives=BAD)
    await world.wait(3)
    assert (world.status().phase, world.weights()) == ("RollingBack", {"1.1.0": 100})
    await world.wait(30)
    assert world.weights() == {"1.0.0": 100}
    assert world.status().phase == "RolledBack"


async def test_rollback_is_bound_to_the_run_that_promoted(world: World) -> None:
    """Given two promotions, then the command acts on the last one only, and not where nothing served before."""
    await serving(world)
    await act(world, "rollback", "run-1")
    assert world.weights() == {"1.0.0": 100}
    world.kubectl_apply(spec("1.1.0", **INSTANT))
    await world.wait(60)
    await act(world, "rollback", "run-1", 60)
    assert world.weights() == {"1.1.0": 100}
    await act(world, "rollback", "run-2", 60)
    assert world.weights() == {"1.0.0": 100}


# --- ModelRuntimes -----------------------------------------------------------------------------------------------


async def test_a_changed_runtime_is_offered_and_taken_only_when_asked_for(world: World) -> None:
    world._keep(runtime(8080))
    world.kubectl_apply(by_runtime("1.0.0"))
    await world.wait(10)
    served = world.status().stable
    assert world.status().effective["runtime"] == "mlserver"
    await act(world, "restart", "upgrade-runtime 2027-01-01T00:00:00Z")
    assert ("RuntimeUpgrade", "the ModelRuntime has not changed") in world.events
    world._keep(runtime(9090))
    await world.wait(10)
    assert world.status().stable == served
    assert "mlserver has changed" in world.status().effective["runtimeUpgrade"]
    await act(world, "restart", "upgrade-runtime 2027-01-02T00:00:00Z", 10)
    run = world.status().run
    assert run is not None
    assert world.status().candidate != served
    assert "runtimeUpgrade" not in world.status().effective


# --- conditions --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "requests", "expected"),
    [
        ("ProviderError", 0, ("False", "ProviderError")),
        ("NoData", 0, ("False", "NoData")),
        ("Undecided", 0, ("Unknown", "NoTraffic")),
        ("Undecided", 12, ("True", "Measured")),
    ],
)
async def test_the_preflight_says_whether_anything_is_measured(
    world: World, state: Any, requests: int, expected: tuple[str, str]
) -> None:
    await serving(world)
    stable = world.status().stable
    assert stable is not None
    found = (ObjectiveReading("errors", state, "1%", requests=requests),)
    for _ in range(2):  # what the first look misses may only not have been scraped yet
        reading = Reading(preflight_id(stable.revision), state, world.time, "why", found)
        world.analysis.readings[NAMESPACE, "churn"] = reading
        await world.once()
    assert world.condition("MetricsReady") == expected


@pytest.mark.parametrize(
    ("wrong", "reason", "words"),
    [
        ({"model": {"version": "one"}}, "InvalidSpec", "spec.model.version"),
        ({"runtime": {"name": "gone"}}, "RuntimeNotFound", "there is no ModelRuntime 'gone'"),
    ],
)
async def test_a_spec_that_cannot_be_acted_on(world: World, wrong: dict[str, Any], reason: str, words: str) -> None:
    """Given nothing, or a version that serves, then the refusal is told once and what serves goes on serving."""
    world.kubectl_apply({**spec("1.0.0"), **wrong})
    await world.settle()
    assert (world.status().phase, world.condition("Ready")) == ("Degraded", ("False", reason))
    world.kubectl_apply(spec("1.0.0"))
    await world.wait(10)
    world.kubectl_apply({**spec("1.1.0"), **wrong})
    await world.settle()
    await world.wait(10)
    status = world.status()
    assert (status.phase, world.condition("Ready"), world.weights()) == ("Healthy", ("True", "Serving"), {"1.0.0": 100})
    assert world.condition("Stalled") == ("True", reason)
    assert words in status.message
    assert world.reasons().count(reason) == 2
