"""What the API server does not take: what passes is tried again in silence, what lasts is told, what ends is left."""

from typing import Any

import pytest

from fairway.api.types import format_time
from fairway.ports import ClusterError, Manifest
from tests.engine.test_commands import HELD
from tests.engine.test_rollout import serving, spec
from tests.fakes.apiserver import NAMESPACE
from tests.fakes.world import Fault, World

KEY = (NAMESPACE, "churn")
ENDING = ClusterError(403, "NamespaceTerminating", "namespace ml is being terminated")
PASSING = [
    ClusterError(409, "Conflict", "the object has been modified"),
    ClusterError(404, "NotFound", "deployments.apps not found"),
    ClusterError(429, "TooManyRequests", "later"),
    ClusterError(0, "Unreachable", "no answer"),
]
LASTING = [
    ClusterError(403, "Forbidden", "exceeded quota"),
    ClusterError(422, "Invalid", "no"),
    ClusterError(500, "InternalError", "failed calling webhook"),
    ClusterError(409, "NameTaken", "not ours"),
]


@pytest.fixture
def world() -> World:
    return World()


# --- a namespace that is being deleted ----------------------------------------------------------------------------


async def test_nothing_is_created_twice_in_a_namespace_that_is_being_deleted(world: World) -> None:
    await serving(world)
    world.kubectl_apply(spec("1.1.0"))
    tried: list[str] = []

    async def create(manifest: dict[str, object]) -> dict[str, object]:
        tried.append(str(manifest["kind"]))
        raise ENDING

    world.create = create  # type: ignore[method-assign, assignment]
    assert await world.reconciler.reconcile(KEY) is None
    assert len(tried) == 1
    assert KEY not in world.analysis.asked
    writes = len(world.writes)
    for _ in range(3):
        assert await world.reconciler.reconcile(KEY) is None
    assert (len(tried), len(world.writes)) == (1, writes)
    assert world.condition("Stalled") is None


async def test_nothing_is_pruned_in_a_namespace_that_is_being_deleted(world: World) -> None:
    await serving(world)
    world.remove("ControllerRevision", f"churn-{world.status().stable.revision}")  # type: ignore[union-attr]
    world.refuse = {"ControllerRevision": ENDING}
    writes = len(world.writes)
    await world.once()
    assert [verb for verb, *_ in world.writes[writes:] if verb != "status"] == []


async def test_a_model_of_the_same_name_in_a_new_namespace_is_served(world: World) -> None:
    world.refuse = {"ControllerRevision": ENDING}
    world.kubectl_apply(spec("1.0.0"))
    await world.settle()
    world.remove("ModelDeployment", "churn")
    world.refuse = {}
    world.kubectl_apply(spec("1.0.0"))
    await world.wait(10)
    assert world.status().phase == "Healthy"


async def test_a_model_that_is_gone_with_its_namespace_is_forgotten(world: World) -> None:
    world.refuse = {"ControllerRevision": ENDING}
    world.kubectl_apply(spec("1.0.0"))
    await world.settle()
    world.remove("ModelDeployment", "churn")
    assert await world.reconciler.reconcile(KEY) is None
    assert world.reconciler._ending == {}


# --- what passes, and what lasts ----------------------------------------------------------------------------------


@pytest.mark.parametrize("error", PASSING, ids=lambda error: error.reason)
async def test_what_passes_by_itself_is_tried_again_and_not_told(world: World, error: ClusterError) -> None:
    await serving(world)
    world.kubectl_apply(spec("1.1.0"))
    world.faults = [Fault("refuse", 1, error), Fault("refuse", 3, error)]
    stalled = []
    world.watchers.append(lambda write: stalled.append(world.condition("Stalled")))
    await world.live(10)
    assert error in world.errors
    assert set(stalled) == {None}
    assert world.weights() == {"1.0.0": 80, "1.1.0": 20}


@pytest.mark.parametrize("error", LASTING, ids=lambda error: error.reason)
async def test_what_lasts_is_told_until_it_is_over(world: World, error: ClusterError) -> None:
    await serving(world)
    world.refuse = {"Deployment": error}
    world.kubectl_apply(spec("1.1.0"))
    await world.live(10)
    assert world.condition("Stalled") == ("True", "WriteRefused")
    assert error.message in world.status().message
    world.refuse = {}
    await world.live(60)
    assert world.condition("Stalled") is None


async def test_what_lasts_is_told_although_something_else_passes(world: World) -> None:
    await serving(world)
    world.refuse = {"Deployment": LASTING[0], "Service": PASSING[0]}
    world.kubectl_apply(spec("1.1.0"))
    await world.live(10)
    assert "exceeded quota" in world.status().message
    # given that only what passes is left, then nothing new is told
    world.refuse = {"Deployment": PASSING[2]}
    await world.live(60)
    assert world.condition("Stalled") == ("True", "WriteRefused")


# --- one that is refused does not hold up the others ---------------------------------------------------------------


AT_ONCE: dict[str, Any] = {"judged": False, "steps": [], "watch": {"for": "0s"}}


def pods(world: World, *versions: str) -> dict[str, int]:
    return {version: len(world.pods(version)) for version in versions}


async def test_old_versions_go_although_a_name_is_taken(world: World) -> None:
    """Given a stranger who has the entry Service's name for ever, then versions come and go as ever."""
    stranger = {"name": "churn", "namespace": NAMESPACE, "uid": "a-stranger"}
    world.objects["Service", "churn"] = {"apiVersion": "v1", "kind": "Service", "metadata": stranger}
    for version in ("1.0.0", "1.1.0", "1.2.0"):
        world.kubectl_apply(spec(version, **AT_ONCE))
        await world.live(600)
    assert world.condition("Stalled") == ("True", "WriteRefused")
    assert pods(world, "1.0.0", "1.1.0", "1.2.0") == {"1.0.0": 0, "1.1.0": 0, "1.2.0": 4}


async def test_a_quota_on_objects_is_not_filled_by_what_is_no_longer_wanted(world: World) -> None:
    """Given room for two Deployments, when a third version is asked for in mid-run, then the second makes room."""
    await serving(world)
    sound = world.create

    async def create(manifest: Manifest) -> Manifest:
        if manifest["kind"] == "Deployment" and sum(kind == "Deployment" for kind, _ in world.objects) > 1:
            raise ClusterError(403, "Forbidden", "exceeded quota: objects, limited: count/deployments.apps=2")
        return await sound(manifest)

    world.create = create  # type: ignore[method-assign]
    for version in ("1.1.0", "1.2.0"):
        world.kubectl_apply(spec(version, judged=False, steps=HELD))
        await world.live(600)
    assert world.weights() == {"1.0.0": 80, "1.2.0": 20}
    assert world.condition("Stalled") is None


async def test_nothing_is_pruned_while_the_route_that_may_name_it_cannot_be_changed(world: World) -> None:
    await serving(world)
    world.refuse = {"HTTPRoute": LASTING[0]}
    world.kubectl_apply(spec("1.1.0", **AT_ONCE))
    await world.live(600)
    assert pods(world, "1.0.0", "1.1.0") == {"1.0.0": 4, "1.1.0": 4}


async def test_a_refusal_whose_words_hold_the_time_is_tried_with_patience_and_told_once(world: World) -> None:
    """Given a webhook whose certificate has expired, then the tries become rare, although each has other words."""
    await serving(world)
    sound, tries = world.create, []

    async def create(manifest: Manifest) -> Manifest:
        if manifest["kind"] != "Deployment":
            return await sound(manifest)
        world.time += 1.4  # the client has tried it four times
        tries.append(world.time)
        words = (
            f"failed calling webhook: x509: certificate has expired: current time {format_time(world.time)} is after"
        )
        raise ClusterError(500, "InternalError", words)

    world.create = create  # type: ignore[method-assign]
    before = len(world.writes)
    world.kubectl_apply(spec("1.1.0", judged=False, steps=HELD))
    await world.live(600)
    assert 4 < len(tries) < 40
    assert sum(write[0] == "status" for write in world.writes[before:]) < 5
