"""A spec whose model server cannot be resolved: what serves and what is tried is looked after all the same."""

import pytest

from tests.engine.test_decisions import by_runtime, runtime
from tests.engine.test_rollout import serving, spec
from tests.fakes.world import World


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
