"""Children that lose the label by which we watch them, as when somebody lets Helm adopt them: they live, unseen."""

import pytest

from fairway.core import names
from fairway.ports import ClusterError
from tests.engine.test_rollout import BAD, serving, spec
from tests.fakes.world import World


@pytest.fixture
def world() -> World:
    return World()


def label(world: World, kind: str, name: str) -> str:
    return str(world.objects[kind, name]["metadata"]["labels"][names.MANAGED_BY])


def hide(world: World, kind: str, name: str) -> None:
    """Given that somebody has overwritten our label."""
    world.relabel(kind, name, names.MANAGED_BY, "Helm")
    known = {(child["kind"], child["metadata"]["name"]) for child in world.store.children(owner(world))}
    assert (kind, name) not in known


def owner(world: World) -> str:
    return str(world.model()["metadata"]["uid"])


@pytest.mark.parametrize("kind", ["HTTPRoute", "Deployment", "Service"])
async def test_a_child_gets_its_label_back_at_once_and_stays_what_it_is(world: World, kind: str) -> None:
    """Given a model that serves, when a child loses its label, then the next pass gives it back and nothing else."""
    await serving(world)
    names_of = [name for known, name in world.objects if known == kind]
    before = {name: world.objects[kind, name] for name in names_of}
    for name in names_of:
        hide(world, kind, name)
    await world.live(5)
    for name, was in before.items():
        now = world.objects[kind, name]
        assert (now["metadata"]["labels"], now["spec"]) == (was["metadata"]["labels"], was["spec"])
        assert now["metadata"]["uid"] == was["metadata"]["uid"]
    writes = len(world.writes)
    await world.live(600)
    assert world.writes[writes:] == []


async def test_a_rollback_reaches_a_route_that_had_lost_its_label(world: World) -> None:
    """Given a canary with 20 percent, when its route loses its label, then a later rollback takes the weight."""
    await serving(world)
    world.kubectl_apply(spec("1.1.0"))
    await world.live(10)
    assert world.weights() == {"1.0.0": 80, "1.1.0": 20}
    hide(world, "HTTPRoute", "churn")
    await world.live(5)
    world.say("Regressed", objectives=BAD)
    await world.live(60)
    assert world.weights() == {"1.0.0": 100}
    assert label(world, "HTTPRoute", "churn") == names.MANAGER


async def test_pods_of_a_deployment_that_had_lost_its_label_still_go(world: World) -> None:
    """Given a canary whose Deployment loses its label, when it is rolled back, then its pods go in the end."""
    await serving(world)
    world.kubectl_apply(spec("1.1.0"))
    await world.live(10)
    candidate = world.status().candidate
    assert candidate is not None
    hide(world, "Deployment", f"churn-{candidate.revision}")
    await world.live(5)
    world.say("Regressed", objectives=BAD)
    await world.live(600)
    assert len(world.pods("1.0.0")) == 4
    assert world.pods("1.1.0") == []


async def test_a_record_without_its_label_is_made_anew_as_it_was(world: World) -> None:
    """Given a record that may not be changed, when it loses its label, then the same record is there with its label."""
    await serving(world)
    ((kind, name),) = [key for key in world.objects if key[0] == "ControllerRevision"]
    before = world.objects[kind, name]
    hide(world, kind, name)
    await world.live(5)
    now = world.objects[kind, name]
    assert now["metadata"]["labels"] == before["metadata"]["labels"]
    assert (now["data"], now["metadata"]["annotations"]) == (before["data"], before["metadata"]["annotations"])
    assert now["metadata"]["uid"] != before["metadata"]["uid"]
    assert world.status().phase == "Healthy"
    assert "apply" not in {verb for verb, what, _ in world.writes if what == kind}


async def test_nothing_is_pruned_while_a_hidden_route_that_names_it_cannot_be_changed(world: World) -> None:
    """Given a run, when the route loses its label and changes of it are refused, then what it names stays."""
    await serving(world)
    world.kubectl_apply(spec("1.1.0"))
    await world.live(10)
    hide(world, "HTTPRoute", "churn")
    apply, services = world.apply, {name for kind, name in world.objects if kind == "Service"}

    async def refusing(manifest: dict[str, object], live: dict[str, object]) -> dict[str, object]:
        if manifest["kind"] == "HTTPRoute":
            raise ClusterError(403, "Forbidden", "a policy of somebody's")
        return await apply(manifest, live)

    world.apply = refusing  # type: ignore[method-assign]
    world.say("Regressed", objectives=BAD)
    await world.live(900)
    assert {name for kind, name in world.objects if kind == "Service"} == services
    assert world.condition("Stalled") == ("True", "WriteRefused")
