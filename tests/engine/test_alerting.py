"""Alerts of models over a simulated cluster: made, kept, changed and taken away with the objectives alone."""

from typing import Any

import pytest

from fairway.core.alerting import Alerting
from fairway.core.build.alerts import ALERT, KIND
from fairway.ports import ClusterError, Manifest
from tests.engine.test_rollout import spec
from tests.fakes.world import World

NO_KIND = ClusterError(404, "NotFound", "the server could not find the requested resource")
LATENCY = {"name": "latency", "latency": {"percentile": 99, "below": "50ms"}}


@pytest.fixture
def world() -> World:
    made = World()
    made.alerting = Alerting(labels={"release": "prometheus"})
    made.restart()
    return made


async def serving(world: World, **more: Any) -> None:
    world.kubectl_apply({**spec("1.0.0"), **more})
    await world.wait(10)
    assert world.status().phase == "Healthy"


def rule(world: World) -> Manifest | None:
    return world.objects.get((KIND, "churn"))


def watched(world: World) -> list[str]:
    found = rule(world)
    assert found is not None
    (group,) = found["spec"]["groups"]
    assert {each["alert"] for each in group["rules"]} == {ALERT}
    return [each["labels"]["objective"] for each in group["rules"]]


def is_stalled(world: World) -> bool:
    return (world.condition("Stalled") or ("False", ""))[0] == "True"


def of_rules(world: World, since: int = 0) -> list[str]:
    return [verb for verb, kind, _ in world.writes[since:] if kind == KIND]


async def test_a_model_that_serves_has_a_rule_from_then_on(world: World) -> None:
    await serving(world)
    found = rule(world)
    assert found is not None
    assert found["metadata"]["labels"]["release"] == "prometheus"
    assert watched(world) == ["errors"]
    before = len(world.writes)
    await world.wait(600, step=30)
    world.restart()
    await world.settle()
    assert world.writes[before:] == []
    assert of_rules(world) == ["create"]


async def test_the_rule_changes_with_the_objectives_and_goes_with_the_last(world: World) -> None:
    await serving(world)
    errors = {"name": "errors", "errors": {"below": "1%"}}
    world.kubectl_apply({**spec("1.0.0"), "objectives": [errors, LATENCY]})
    await world.wait(5)
    assert watched(world) == ["errors", "latency"]
    world.kubectl_apply({**spec("1.0.0"), "objectives": [LATENCY]})
    await world.wait(5)
    assert watched(world) == ["latency"]
    world.kubectl_apply(spec("1.0.0", judged=False))
    await world.wait(5)
    assert rule(world) is None
    assert of_rules(world) == ["create", "apply", "apply", "delete"]
    assert world.status().runs == 1


async def test_what_somebody_bends_is_straightened_and_what_goes_comes_back(world: World) -> None:
    await serving(world)
    found = rule(world)
    assert found is not None
    world._keep({**found, "spec": {"groups": []}})
    await world.wait(2)
    assert watched(world) == ["errors"]
    world._forget(found)
    await world.wait(2)
    assert watched(world) == ["errors"]


async def test_p6_a_promotion_writes_no_rule(world: World) -> None:
    """Given alerts, when a version is promoted, then as many writes as without them."""

    async def promoted(here: World) -> list[tuple[str, str]]:
        await serving(here)
        before = len(here.writes)
        steps = [{"weight": weight, "for": "10s"} for weight in (5, 20, 40, 60, 80)]
        here.kubectl_apply(spec("1.1.0", steps=steps))
        for _ in range(120):
            here.say("Healthy")
            await here.wait(1)
        status = here.status()
        assert status.stable is not None
        assert status.stable.version == "1.1.0"
        return [(verb, kind) for verb, kind, _ in here.writes[before:]]

    assert await promoted(world) == await promoted(World())


async def test_a_kind_that_is_not_there_holds_nothing_and_is_looked_for_again(world: World) -> None:
    """Given no Prometheus Operator, then nothing is tried and nothing is said; when it comes, the rule does, too."""
    world.store.found(KIND, there=False)
    await serving(world)
    world.kubectl_apply(spec("1.1.0", judged=False, steps=[]))
    await world.wait(30)
    world.kubectl_apply(spec("1.1.0", steps=[]))
    await world.wait(5)
    assert of_rules(world) == []
    assert not is_stalled(world)
    world.store.found(KIND, there=True)
    await world.settle()
    assert watched(world) == ["errors"]


async def test_a_kind_that_has_just_gone_holds_nothing(world: World) -> None:
    """Given a definition that was removed unseen, when rules are made or changed, then it is as if they were not."""
    world.refuse = {KIND: NO_KIND}
    await serving(world)
    assert rule(world) is None
    world.kubectl_apply(spec("1.1.0", judged=False, steps=[], watch={"for": "0s"}))
    await world.wait(60)
    assert world.weights() == {"1.1.0": 100}
    assert world.pods("1.0.0") == []
    assert not is_stalled(world)


async def test_a_rule_of_somebody_else_is_not_taken_over(world: World) -> None:
    theirs = {"apiVersion": "monitoring.coreos.com/v1", "kind": KIND, "spec": {"groups": []}}
    world._keep({**theirs, "metadata": {"name": "churn", "namespace": "ml", "uid": "theirs"}})
    world.kubectl_apply(spec("1.0.0"))
    await world.live(10)
    assert world.condition("Stalled") == ("True", "WriteRefused")
    assert world.weights() == {"1.0.0": 100}
    found = rule(world)
    assert found is not None
    assert found["spec"] == {"groups": []}


async def test_without_alerting_there_is_no_rule() -> None:
    world = World()
    await serving(world)
    assert of_rules(world) == []
