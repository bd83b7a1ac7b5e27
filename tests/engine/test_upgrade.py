"""A new build of the operator, with other defaults and other rendering: no model restarts, no run opens."""

import json
from typing import Any

import pytest

from fairway.api.spec import GatewayRef, ModelDeploymentSpec
from fairway.core import names
from fairway.core.build.common import Owner
from fairway.core.build.deployment import deployment
from fairway.core.revision import Record, digest, intent
from fairway.core.rollout.situation import Policy
from fairway.engine.gather import Defaults
from fairway.engine.reconciler import Reconciler
from fairway.ports import Manifest
from tests.contract.refusals import FULL, MINIMAL
from tests.fakes.world import World

OTHER = Defaults(
    gateway=GatewayRef(name="another", namespace="gateways"),
    policy=Policy(settle=17.0, scale_down_delay=99.0),
    fetch_image="registry.example/fairway:next",
)


BEFORE = {**FULL, "runtime": {name: value for name, value in FULL["runtime"].items() if name != "securityContext"}}
"""All that could be asked for before that field was there."""


def spec(version: str, **more: Any) -> dict[str, Any]:
    return {
        "model": {"version": version, "uri": "pvc://models/churn"},
        "runtime": {"image": f"registry.example/churn:{version}", "port": 8080},
        "scaling": {"minReplicas": 2, "maxReplicas": 6},
        "traffic": {"hostnames": ["churn.example"], "gateway": {"name": "models", "namespace": "gateways"}},
        "rollout": {"steps": [{"weight": 20, "for": "10m"}], "watch": {"for": "2m"}},
        **more,
    }


async def serving() -> World:
    """Given a version that serves, and nothing under way."""
    world = World()
    world.kubectl_apply(spec("1.0.0"))
    await world.wait(600, step=10)  # also until the size that it took over is held no longer
    assert world.status().phase == "Healthy"
    return world


def upgrade(world: World, defaults: Defaults = OTHER) -> None:
    """Start a newer build in the place of the old one."""
    world.restart()
    world.reconciler = Reconciler(
        cluster=world,
        store=world.store,
        recorder=world,
        analysis=world.analysis,  # type: ignore[arg-type]
        clock=world,
        defaults=defaults,
    )


def as_an_older_build_rendered_it(world: World) -> None:
    """Give every revision the template of a build that knew other probes, another drain and another label."""
    model = world.model()["metadata"]
    owner = Owner(model["namespace"], model["name"], model["uid"])
    for (kind, name), found in list(world.objects.items()):
        if kind != "ControllerRevision":
            continue
        data = json.loads(json.dumps(found["data"]))
        pod = data["template"]["spec"]
        pod["terminationGracePeriodSeconds"] = 31
        pod["containers"][0].pop("lifecycle")
        pod["containers"][0]["readinessProbe"]["periodSeconds"] = 7
        data["template"]["metadata"]["labels"]["fairway.dev/of-old"] = "yes"
        world.objects[kind, name] = {**found, "data": data}
        manifest = deployment(owner, Record.load(found["metadata"]["labels"][names.REVISION], data))
        live = world.objects["Deployment", name]
        meta = {**live["metadata"], "annotations": {names.APPLIED: digest(manifest)}}
        kept = {**live["spec"], **manifest["spec"]}
        world.objects["Deployment", name] = {**live, "metadata": meta, "spec": kept}
    world.restart()


def pods(world: World) -> set[str]:
    return {found["metadata"]["uid"] for (kind, _), found in world.objects.items() if kind == "Pod"}


def templates(world: World) -> dict[str, Manifest]:
    return {name: found["spec"]["template"] for (kind, name), found in world.objects.items() if kind == "Deployment"}


async def test_other_defaults_write_nothing_for_a_model_that_serves() -> None:
    world = await serving()
    before, uids = len(world.writes), pods(world)
    upgrade(world)
    await world.wait(600, step=30)
    assert world.writes[before:] == []
    assert pods(world) == uids
    assert [entry.run for entry in world.status().history] == ["run-1"]


async def test_what_an_older_build_rendered_is_left_as_it_is() -> None:
    world = await serving()
    as_an_older_build_rendered_it(world)
    await world.wait(120)  # its pods come up
    before, uids, rendered = len(world.writes), pods(world), templates(world)
    assert "fairway.dev/of-old" in json.dumps(rendered)
    upgrade(world)
    await world.wait(600, step=30)
    assert world.writes[before:] == []
    assert (pods(world), templates(world)) == (uids, rendered)
    assert world.status().runs == 1


async def test_a_build_that_marks_its_writes_otherwise_restarts_nothing() -> None:
    """Given marks that the new build does not recognise, then it writes what is there already, once."""
    world = await serving()
    uids, rendered = pods(world), templates(world)
    generations = {name: found["metadata"].get("generation") for name, found in world.objects.items()}
    for key, found in list(world.objects.items()):
        if names.APPLIED in found["metadata"].get("annotations", {}):
            marks = {**found["metadata"]["annotations"], names.APPLIED: "of another build"}
            world.objects[key] = {**found, "metadata": {**found["metadata"], "annotations": marks}}
    upgrade(world)
    before = len(world.writes)
    await world.wait(60)
    assert {verb for verb, _, _ in world.writes[before:]} == {"apply"}
    assert (pods(world), templates(world)) == (uids, rendered)
    assert {name: found["metadata"].get("generation") for name, found in world.objects.items()} == generations
    assert world.status().runs == 1


@pytest.mark.no_cover
async def test_a_run_goes_on_where_it_was() -> None:
    world = await serving()
    world.kubectl_apply(spec("1.1.0"))
    await world.wait(30)
    assert world.weights() == {"1.0.0": 80, "1.1.0": 20}
    as_an_older_build_rendered_it(world)
    await world.wait(60)
    run, uids = world.status().run, pods(world)
    assert run is not None
    upgrade(world)
    await world.wait(1)
    before = len(world.writes)
    await world.wait(120)
    now = world.status().run
    assert now is not None
    assert now.model_copy(update={"deadline": run.deadline}) == run  # the settle time of the new build counts
    assert (pods(world), world.writes[before:]) == (uids, [])
    await world.wait(600)
    assert world.status().stable is not None
    assert world.status().history[0].outcome == "Promoted"


async def test_the_new_build_renders_what_is_new_its_own_way() -> None:
    """The defaults are not ignored: the next revision has them. So the silence above is no accident."""
    world = await serving()
    as_an_older_build_rendered_it(world)
    upgrade(world)
    digested = f"sha256:{'0' * 64}"
    world.kubectl_apply(spec("1.1.0", model={"version": "1.1.0", "uri": "pvc://models/churn", "digest": digested}))
    await world.wait(20)
    new = next(each for name, each in templates(world).items() if "1.1.0" in json.dumps(each))
    assert "fairway.dev/of-old" not in json.dumps(new)
    assert new["spec"]["initContainers"][0]["image"] == OTHER.fetch_image


@pytest.mark.parametrize(
    ("written", "known"),
    [
        (MINIMAL, "5cd6f4e6e57b01af079673767563189a11d65d95ce847acc6f4e51c7db196c3d"),
        (BEFORE, "9380d1a26faad3b3aef29e4a4ce77ce1be894259e614a097cc68bf23ccee8247"),
        (FULL, "17e27c6fa77c02147fba19d60693472f9b7664b7c935ce3f915356d368aa6cb7"),
    ],
    ids=["minimal", "before", "full"],
)
def test_what_a_spec_asks_for_has_the_same_name_in_every_build(written: dict[str, Any], known: str) -> None:
    """An intent that came out otherwise would open a run for every model: new fields are absent by default."""
    assert intent(ModelDeploymentSpec.model_validate(written), "churn") == known
