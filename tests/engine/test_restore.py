"""What docs/operations.md says about backups: a ModelDeployment that is made anew, with and without what was known."""

import json

import pytest

from fairway.core import names
from tests.fakes import scenes
from tests.fakes.world import World


async def saved(scene: str) -> World:
    """Given the moment at which the backup was made."""
    world = World()
    await scenes.SCENES[scene](world)
    return world


async def restored(old: World, *, status: bool = False, records: bool = False, uids: bool = True) -> World:
    """Given another cluster an hour later, with the same ModelDeployment under a UID of its own."""
    world = World()
    world.time = old.time + 3600
    was = old.model()["metadata"]["uid"]
    kinds = {"ModelDeployment", "Gateway", *(["ControllerRevision"] if records else [])}
    for found in [each for each in old.objects.values() if each["kind"] in kinds]:
        text = json.dumps(found)
        made = json.loads(text.replace(f'"{was}"', '"anew"') if uids else text)
        if made["kind"] == "ModelDeployment":
            made["metadata"]["uid"] = "anew"
            made = made if status else {name: value for name, value in made.items() if name != "status"}
        world._keep(made)
    world.restart()
    return world


@pytest.mark.parametrize("scene", ["canary", "rolled_back"])
async def test_without_its_status_a_model_begins_anew_with_what_the_spec_asks_for(scene: str) -> None:
    """Given a version that was tried or refused, when its status is lost, then it serves at once, and unjudged."""
    world = await restored(await saved(scene))
    await world.live(1)
    assert world.weights() == {"1.1.0": 100}
    assert world.status().phase == "Pending"
    await world.live(60)
    status = world.status()
    assert (status.phase, status.runs, status.rejected) == ("Healthy", 1, ())
    assert [(entry.run, entry.version) for entry in status.history] == [("run-1", "1.1.0")]


async def test_with_what_served_in_its_spec_only_the_memory_is_lost() -> None:
    old = await saved("rolled_back")
    old.kubectl_apply(scenes.spec("1.0.0"))
    world = await restored(old)
    await world.live(60)
    assert world.weights() == {"1.0.0": 100}
    assert world.status().phase == "Healthy"


async def test_commands_of_before_meet_runs_of_the_same_name() -> None:
    """Given an old command in the backup, when runs are counted anew, then it acts once more."""
    old = await saved("canary")
    old.command("abort", "run-2")
    await old.live(5)
    old.kubectl_apply(scenes.spec("1.0.0"))
    world = await restored(old)
    await world.live(60)
    world.kubectl_apply(scenes.spec("1.2.0"))
    await world.live(5)
    assert world.status().rejected[0].reason == "Aborted"


async def test_with_status_and_records_a_rollback_is_remembered() -> None:
    """Given both with the new UID everywhere, then the same version serves, and the bad one stays out."""
    world = await restored(await saved("rolled_back"), status=True, records=True)
    await world.live(60)
    status = world.status()
    assert (status.phase, world.weights()) == ("RolledBack", {"1.0.0": 100})
    assert [entry.version for entry in status.rejected] == ["1.1.0"]
    assert [entry.run for entry in status.history] == ["run-2", "run-1"]


async def test_with_status_and_records_a_run_goes_on_with_pods_of_its_own() -> None:
    world = await restored(await saved("canary"), status=True, records=True)
    await world.live(1)
    assert world.weights() == {"1.0.0": 100, "1.1.0": 0}
    await world.live(60)
    run = world.status().run
    assert run is not None
    assert run.id == "run-2"
    assert world.weights() == {"1.0.0": 95, "1.1.0": 5}


async def test_records_with_the_uid_of_before_are_a_stranger_s() -> None:
    """Given records as they were saved, then they are refused by name; the model comes up all the same."""
    world = await restored(await saved("serving"), records=True, uids=False)
    await world.live(60)
    assert "is not ours" in world.status().message
    assert (world.condition("Ready"), len(world.pods("1.0.0"))) == (("True", "Serving"), 4)


async def test_a_status_without_its_records_serves_what_the_spec_asks_for_or_nothing() -> None:
    """Given that stable is not what the spec asks for, then nobody knows its pods, until the spec asks for it."""
    world = await restored(await saved("rolled_back"), status=True)
    await world.live(0)
    assert world.status().phase == "Degraded"
    assert "its ControllerRevision was deleted" in world.status().message
    world.kubectl_apply(scenes.spec("1.0.0"))
    await world.live(60)
    assert (world.status().phase, world.weights()) == ("Healthy", {"1.0.0": 100})


async def test_records_name_their_owner_in_the_pods_too() -> None:
    """So a UID has to be replaced everywhere, not in the metadata alone."""
    old = await saved("serving")
    (record,) = (each for each in old.objects.values() if each["kind"] == "ControllerRevision")
    assert record["data"]["template"]["metadata"]["labels"][names.OWNER] == old.model()["metadata"]["uid"]
