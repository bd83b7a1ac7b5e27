"""S50: whether the objectives can be measured is known before any canary, with the reason and what to change."""

from dataclasses import replace
from typing import Any

import pytest

from fairway.adapters.promql import scoped
from fairway.core.providers import Provider, Providers
from fairway.core.verdict import ObjectiveReading, Reading
from fairway.ports import ClusterError
from tests.engine.test_rollout import serving, spec
from tests.fakes.apiserver import NAMESPACE
from tests.fakes.world import Fault, World

KEY = (NAMESPACE, "churn")
COUNTED = ObjectiveReading("errors", "Healthy", "1%", requests=5)
NUMBER = ObjectiveReading("drift", "Undecided", "below 0.2", value="0.1", sureness="0 of the last 1 answers break it")
DRIFT = {"name": "drift", "query": "max(drift{$selector})", "below": "0.2"}


@pytest.fixture
def world() -> World:
    return World()


def asked(world: World) -> bool:
    return KEY in world.analysis.asked


async def answer(world: World, state: str, *objectives: ObjectiveReading, **more: Any) -> None:
    """Let the question that is open be answered, and the operator hear of it."""
    question = world.analysis.asked[KEY]
    world.analysis.readings[KEY] = Reading(question.run, state, world.time, objectives=objectives, **more)
    await world.settle()
    world.analysis.readings.pop(KEY, None)


def ready(world: World) -> tuple[str, str]:
    return world.condition("MetricsReady")


def message(world: World) -> str:
    return next(c.message for c in world.status().conditions if c.type == "MetricsReady")


async def seconds_until_asked(world: World, most: float = 8000.0) -> float:
    began = world.time
    while not asked(world) and world.time - began < most:
        world.time += 15.0
        await world.settle()
    return world.time - began


async def test_the_first_version_is_looked_at_once_it_is_ready_and_then_each_hour(world: World) -> None:
    await serving(world)
    question = world.analysis.asked[KEY]
    assert question.look
    assert question.stable is None
    assert "/metrics" in question.probes
    await answer(world, "Healthy", COUNTED)
    assert ready(world) == ("True", "Measured")
    assert not asked(world)
    writes = len(world.writes)
    assert 3600 <= await seconds_until_asked(world) <= 4500
    await answer(world, "Healthy", COUNTED)
    assert world.writes[writes:] == []


async def test_an_answer_is_not_lost_with_a_write_that_fails(world: World) -> None:
    await serving(world)
    question = world.analysis.asked[KEY]
    world.analysis.readings[KEY] = Reading(question.run, "Healthy", world.time, objectives=(COUNTED,))
    world.faults = [Fault("refuse", error=ClusterError(409, "Conflict", "the object has been modified"))]
    with pytest.raises(ClusterError):
        await world.reconciler.reconcile(KEY)
    assert asked(world)
    await world.reconciler.reconcile(KEY)
    assert ready(world) == ("True", "Measured")
    assert not asked(world)


async def test_another_objective_is_looked_at_at_once(world: World) -> None:
    await serving(world)
    await answer(world, "Healthy", COUNTED)
    changed = spec("1.0.0")
    changed["objectives"] = [*changed["objectives"], {"name": "slow", "latency": {"percentile": 99, "below": "1s"}}]
    world.kubectl_apply(changed)
    await world.settle()
    assert [o.name for o in world.analysis.asked[KEY].objectives] == ["errors", "slow"]


async def test_what_is_missing_is_told_with_its_cause_and_looked_for_less_and_less_often(world: World) -> None:
    await serving(world)
    blind = replace(COUNTED, state="NoData", requests=0)
    # given pods that have just become ready, then one look in vain is no news
    await answer(world, "NoData", blind, message="errors: no series")
    assert ready(world)[0] == "Unknown"
    gaps = [await seconds_until_asked(world)]
    for _ in range(4):
        await answer(world, "NoData", blind, message="errors: no series")
        assert ready(world) == ("False", "NoData")
        assert message(world) == "errors: no series"
        gaps.append(await seconds_until_asked(world))
    assert gaps == sorted(gaps)
    assert gaps[0] <= 30
    assert gaps[-1] >= 240


async def test_a_revision_whose_record_was_deleted_by_hand_is_looked_at_without_its_probes(world: World) -> None:
    """Given a refused version, so that nothing asks for the record of stable to be written anew."""
    await serving(world)
    await answer(world, "Healthy", COUNTED)
    world.kubectl_apply(spec("1.1.0", steps=[{"weight": 20, "for": "10h"}]))
    await world.wait(60)
    status = world.status()
    assert status.run is not None
    assert status.stable is not None
    world.command("abort", status.run.id)
    world.remove("ControllerRevision", f"churn-{status.stable.revision}")
    await world.wait(60)
    assert world.status().run is None
    await seconds_until_asked(world)
    question = world.analysis.asked[KEY]
    assert (question.look, question.probes) == (True, ())


async def test_a_missing_bucket_and_counted_probes_are_told_at_once_with_their_cause(world: World) -> None:
    await serving(world)
    await answer(world, "NoData", COUNTED, cause="NoBucket", message="latency: no bucket at 50ms")
    assert ready(world) == ("False", "NoBucket")
    await seconds_until_asked(world)
    await answer(world, "NoData", COUNTED, cause="CountsProbes", message="errors: counts probes")
    assert ready(world) == ("False", "CountsProbes")


async def test_no_request_at_all_and_a_query_without_a_number_are_not_measured(world: World) -> None:
    await serving(world)
    await answer(world, "NoTraffic", replace(COUNTED, state="NoTraffic", requests=0))
    assert ready(world) == ("Unknown", "NoTraffic")
    await seconds_until_asked(world)
    await answer(world, "Healthy", COUNTED, replace(NUMBER, value=None))
    assert ready(world) == ("Unknown", "NoTraffic")
    await seconds_until_asked(world)
    await answer(world, "Undecided", COUNTED, NUMBER)
    assert ready(world) == ("True", "Measured")


@pytest.mark.parametrize(
    ("objective", "reason", "says"),
    [
        (DRIFT | {"provider": "mimir"}, "UnknownProvider", "drift: there is no metrics provider 'mimir', only main"),
        (DRIFT | {"query": "max(drift)"}, "InvalidQuery", "drift: the query cannot be asked: drift must name"),
        ({"name": "p", "template": "x", "below": "1"}, "UnknownTemplate", "p: there is no query 'x'"),
        (DRIFT, None, ""),
    ],
)
async def test_what_cannot_be_asked_is_told_at_once_by_name(
    world: World, objective: dict[str, Any], reason: str | None, says: str
) -> None:
    world.providers = Providers((Provider("main", free_queries=True),), scoped)
    world.restart()
    written = spec("1.0.0")
    written["objectives"] = [objective]
    # when it is applied, then before anything is ready or asked it is known
    world.kubectl_apply(written)
    await world.settle()
    if reason is None:
        assert ready(world)[0] == "Unknown"
        return
    assert ready(world) == ("False", reason)
    assert says in message(world)
    # and the first version serves all the same
    await world.wait(5)
    assert world.status().phase == "Healthy"
    assert ready(world) == ("False", reason)


async def test_an_operator_without_providers_says_so(world: World) -> None:
    world.providers = Providers()
    world.restart()
    await serving(world)
    assert ready(world) == ("False", "NoProvider")


async def test_queries_are_asked_beside_the_counts_in_the_run_and_in_the_watch_window(world: World) -> None:
    await serving(world)
    written = spec("1.1.0")
    written["objectives"] = [*written["objectives"], DRIFT]
    world.kubectl_apply(written)
    await world.settle()
    await world.wait(10)
    question = world.analysis.asked[KEY]
    assert ([o.name for o in question.objectives], [q.name for q in question.queries]) == (["errors"], ["drift"])
    broken = replace(NUMBER, state="Regressed", value="0.5", sureness="3 of the last 4 answers break it")
    world.say("Regressed", objectives=(COUNTED, broken))
    await world.settle()
    status = world.status()
    assert status.phase == "RolledBack"
    assert "drift: 0.5 (limit below 0.2), 3 of the last 4 answers break it" in status.message
    assert status.verdict is not None
    assert status.verdict.objectives[1].evidence == "3 of the last 4 answers break it"


async def test_a_breach_of_a_query_in_the_watch_window_returns_to_the_former_version(world: World) -> None:
    await serving(world)
    written = spec("1.1.0", steps=[])
    written["objectives"] = [DRIFT]
    world.kubectl_apply(written)
    await world.settle()
    await world.wait(10)
    question = world.analysis.asked[KEY]
    assert question.run.endswith("/watch")
    assert [q.name for q in question.queries] == ["drift"]
    world.say("Regressed", objectives=(replace(NUMBER, state="Regressed"),))
    await world.settle()
    assert world.condition("UpToDate") == ("False", "Regressed")
    assert world.weights() == {"1.0.0": 100}
