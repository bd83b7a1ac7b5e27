"""A spec whose model server cannot be resolved: what serves and what is tried is looked after all the same."""

import logging
from typing import Any

import pytest

from fairway.core.errors import Unresolved
from fairway.engine.gather import Defaults, Gatherer
from tests.engine.test_commands import HELD
from tests.engine.test_decisions import by_runtime, runtime
from tests.engine.test_rollout import BAD, serving, spec
from tests.fakes.apiserver import NAMESPACE
from tests.fakes.world import Behaviour, World

KEY = (NAMESPACE, "churn")


def unknown(version: str, **rollout: Any) -> dict[str, Any]:
    return {**spec(version, **rollout), "runtime": {"name": "gone"}}


@pytest.fixture
def world() -> World:
    return World()


# --- ModelRuntimes that cannot be read ----------------------------------------------------------------------------


async def test_a_runtime_that_cannot_be_read_is_no_trouble_of_other_models(world: World) -> None:
    broken = {"kind": "ModelRuntime", "metadata": {"name": "broken", "uid": "b", "generation": 1}}
    world._keep({**broken, "spec": {"port": "many"}})
    world._keep(runtime(8080))
    await serving(world)
    world.kubectl_apply(by_runtime("1.1.0"))
    await world.wait(5)
    assert world.condition("Stalled") is None
    world.kubectl_apply({**spec("1.2.0", judged=False), "runtime": {"name": "broken"}})
    await world.wait(5)
    assert world.condition("Stalled") == ("True", "RuntimeInvalid")
    assert "spec.port" in world.status().message
    # given that an admin corrects it, then it is used
    world._keep({**broken, "metadata": {**broken["metadata"], "generation": 2}, "spec": runtime(8080)["spec"]})
    await world.wait(5)
    assert world.condition("Stalled") is None
    assert world.status().effective["runtime"] == "broken"


async def test_a_runtime_of_the_same_name_is_read_anew(world: World) -> None:
    world._keep(runtime(8080))
    world.kubectl_apply(by_runtime("1.0.0"))
    await world.wait(10)
    world.remove("ModelRuntime", "mlserver")
    await world.settle()
    again = runtime(9090)
    world._keep({**again, "metadata": {**again["metadata"], "uid": "another", "generation": 8080}})
    await world.settle()
    assert "mlserver has changed" in world.status().effective["runtimeUpgrade"]


# --- a run whose spec cannot be resolved any more -----------------------------------------------------------------


async def interrupted(world: World, **rollout: Any) -> World:
    """Given a run at 20%, then the spec names a ModelRuntime that is not there."""
    await serving(world)
    world.kubectl_apply(spec("1.1.0", **rollout))
    await world.wait(10)
    assert world.weights() == {"1.0.0": 80, "1.1.0": 20}
    world.kubectl_apply(unknown("1.2.0", **rollout))
    await world.wait(5)
    return world


async def test_the_run_is_held_and_the_reason_told_once(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="fairway.audit")
    await interrupted(world)
    world.say("Healthy")
    for _ in range(3):
        world.restart()
        await world.wait(100)
    assert world.weights() == {"1.0.0": 80, "1.1.0": 20}
    status = world.status()
    assert (status.phase, status.run and status.run.id) == ("Paused", "run-2")
    for type_ in ("UpToDate", "Stalled", "Paused"):
        assert world.condition(type_) == ("False" if type_ == "UpToDate" else "True", "RuntimeNotFound")
    assert world.condition("Reconciling") is None
    assert "there is no ModelRuntime 'gone'" in status.message
    assert world.reasons().count("RuntimeNotFound") == 1
    assert [r.reason for r in caplog.records if getattr(r, "reason", "") == "RuntimeNotFound"] == ["RuntimeNotFound"]
    # given that it passes no write goes to waste
    writes = len(world.writes)
    await world.wait(100)
    assert world.writes[writes:] == []


async def test_the_run_goes_on_with_the_version_that_can_be_resolved_again(world: World) -> None:
    await interrupted(world)
    world.kubectl_apply(spec("1.1.0"))
    world.say("Healthy")
    await world.wait(100)
    status = world.status()
    assert (status.run, status.stable and status.stable.version) == (None, "1.1.0")
    assert world.condition("Stalled") is None


async def test_a_regression_is_rolled_back_and_nothing_else_is_tried(world: World) -> None:
    await interrupted(world)
    world.say("Regressed", objectives=BAD)
    await world.wait(100)
    status = world.status()
    assert (status.run, status.phase, world.weights()) == (None, "Healthy", {"1.0.0": 100})
    assert world.reasons()[-2:] == ["RuntimeNotFound", "RolledBack"]
    assert world.condition("UpToDate") == ("False", "RuntimeNotFound")
    # given that the refused version is asked for again, then it stays refused
    world.kubectl_apply(spec("1.1.0"))
    await world.wait(10)
    assert (world.status().run, world.condition("UpToDate")) == (None, ("False", "Regressed"))


async def test_a_crash_is_rolled_back(world: World) -> None:
    await interrupted(world)
    world.behaviours["1.1.0"] = Behaviour(crash_after=1.0)
    await world.wait(60)
    assert world.weights()["1.0.0"] == 100
    assert world.reasons()[-1] == "RolledBack"


async def test_an_abort_is_obeyed_and_a_promotion_is_not(world: World) -> None:
    await interrupted(world)
    world.command("promote-full", "run-2")
    await world.wait(5)
    assert world.weights() == {"1.0.0": 80, "1.1.0": 20}
    world.command("abort", "run-2")
    await world.wait(5)
    assert world.weights()["1.0.0"] == 100


async def test_a_breach_in_the_watch_window_is_rolled_back(world: World) -> None:
    await serving(world)
    world.kubectl_apply(spec("1.1.0", steps=[], watch={"for": "10m"}))
    await world.wait(20)
    assert world.weights() == {"1.1.0": 100}
    world.kubectl_apply(unknown("1.2.0"))
    await world.wait(5)
    history = world.status().history
    world.say("Regressed", objectives=BAD)
    await world.wait(5)
    assert world.weights()["1.0.0"] == 100
    assert history[0].commit == world.status().history[0].commit


async def test_what_serves_is_healed(world: World) -> None:
    await serving(world)
    world.kubectl_apply(unknown("1.1.0"))
    await world.wait(5)
    world.remove("Service", "churn")
    await world.wait(5)
    assert ("Service", "churn") in world.objects
    assert world.condition("Stalled") == ("True", "RuntimeNotFound")


async def test_a_first_revision_goes_on_until_it_serves(world: World) -> None:
    world.behaviours["1.0.0"] = Behaviour(load=30)
    world.kubectl_apply(spec("1.0.0"))
    await world.wait(5)
    world.kubectl_apply(unknown("1.1.0"))
    await world.wait(5)
    assert world.condition("Stalled") == ("True", "RuntimeNotFound")
    assert world.condition("Reconciling") is None
    await world.wait(60)
    assert world.condition("Ready") == ("True", "Serving")


async def test_a_candidate_whose_record_is_lost_leaves_what_serves(world: World) -> None:
    await interrupted(world, steps=HELD)
    candidate = world.status().candidate
    assert candidate is not None
    world.remove("ControllerRevision", f"churn-{candidate.revision}")
    await world.wait(5)
    assert world.condition("Stalled") == ("True", "RuntimeNotFound")


async def test_without_anything_that_runs_the_spec_is_refused(world: World) -> None:
    world.kubectl_apply(unknown("1.0.0"))
    await world.wait(5)
    assert world.condition("Ready") == ("False", "RuntimeNotFound")


async def test_of_a_spec_that_cannot_be_read_nothing_is_asked(world: World) -> None:
    await serving(world)
    world.kubectl_apply(spec("1.1.0"))
    await world.wait(10)
    assert KEY in world.analysis.asked
    world.kubectl_apply(spec("no version"))
    await world.wait(5)
    assert KEY not in world.analysis.asked


async def test_who_only_looks_ahead_is_told_of_a_spec_that_cannot_be_resolved(world: World) -> None:
    await interrupted(world)
    analysis: Any = world.analysis
    gatherer = Gatherer(world.store, analysis, world, Defaults())
    with pytest.raises(Unresolved, match="there is no ModelRuntime 'gone'"):
        gatherer.gather(world.model(), world.status(), None)
