"""Each fault that the random drive has found in the engine, told again as a story."""

from typing import Any

import pytest

from fairway.core import names
from fairway.ports import ClusterError
from tests.engine.test_commands import HELD, tried
from tests.engine.test_rollout import serving, spec
from tests.fakes.controllers import ready
from tests.fakes.world import Behaviour, World, Write

AUTO = {"minReplicas": 2, "maxReplicas": 10}
UNREACHABLE = ClusterError(0, "Unreachable", "connection refused")


@pytest.fixture
def world() -> World:
    return World()


def without_gateway(version: str, **rollout: Any) -> dict[str, Any]:
    return {key: value for key, value in spec(version, judged=False, **rollout).items() if key != "traffic"}


def deployment(world: World, version: str) -> dict[str, Any]:
    (found,) = (
        each for (kind, _), each in world.objects.items()
        if kind == "Deployment" and each["metadata"]["labels"][names.VERSION] == version
    )  # fmt: skip
    return dict(found)


async def test_without_a_gateway_only_stable_and_candidate_get_requests(world: World) -> None:
    """Given a run that gives way to another one, then its pods are gone before the entry Service widens again."""
    world.grace = 20
    served: set[frozenset[str]] = set()

    def saw(write: Write) -> None:
        if write.kind == "Service" and write.after and names.REVISION not in write.after["spec"]["selector"]:
            pods = (each for (kind, _), each in world.objects.items() if kind == "Pod" and ready(each))
            served.add(frozenset(pod["metadata"]["labels"][names.VERSION] for pod in pods))

    world.kubectl_apply(without_gateway("1.0.0"))
    await world.live(10)
    world.kubectl_apply(without_gateway("1.1.0", steps=HELD))
    await world.live(10)
    world.watchers.append(saw)
    world.kubectl_apply(without_gateway("1.2.0", steps=HELD))
    await world.live(120)
    assert served == {frozenset({"1.0.0", "1.2.0"})}


async def test_suspending_in_mid_run_leaves_stable_everything(world: World) -> None:
    await tried(world)
    world.kubectl_apply({**spec("1.1.0", judged=False, steps=HELD), "state": "Suspended"})
    await world.wait(5)
    assert world.weights() == {"1.0.0": 100}


async def test_a_first_revision_that_serves_is_kept_when_another_is_asked_for(world: World) -> None:
    world.kubectl_apply(spec("1.0.0"))
    await world.settle()
    world.time += 5
    world.controllers()
    world.kubectl_apply(spec("1.1.0", judged=False, steps=HELD))
    await world.settle()
    assert world.weights() == {"1.0.0": 100}
    await world.wait(10)
    assert world.weights() == {"1.0.0": 80, "1.1.0": 20}
    assert world.status().history[0].reason == "it serves, and 1.1.0 was asked for"


async def test_pods_that_an_autoscaler_has_just_added_stay_for_the_delay(world: World) -> None:
    """Given a candidate that was scaled up unseen, when its run is aborted, then none of its pods goes early."""
    world.kubectl_apply({**spec("1.0.0", judged=False), "scaling": AUTO})
    await world.wait(5)
    world.kubectl_apply({**spec("1.1.0", judged=False, steps=HELD), "scaling": AUTO})
    await world.wait(10)
    run = world.status().run
    assert run is not None
    world.lag, world.demand = True, 20
    world.controllers()
    assert deployment(world, "1.1.0")["spec"]["replicas"] == 4
    world.command("abort", run.id)
    world.store.put(world.model())
    await world.once()
    world.lag = False
    world.deliver()
    await world.live(20)
    assert world.weights() == {"1.0.0": 100}
    assert len(world.pods("1.1.0")) == 4
    await world.live(20)
    assert world.pods("1.1.0") == []


@pytest.mark.parametrize("kind", ["HTTPRoute", "Service"])
async def test_the_delay_counts_from_the_last_request(world: World, kind: str) -> None:
    """Given a write that is refused, then the pods stay until it has succeeded and the delay has passed."""
    world.grace = 1
    asked = spec if kind == "HTTPRoute" else without_gateway
    world.kubectl_apply(asked("1.0.0"))
    await world.live(10)
    world.kubectl_apply(asked("1.1.0", steps=HELD))
    await world.live(10)
    run = world.status().run
    assert run is not None
    written: list[float] = []
    world.watchers.append(lambda write: written.append(write.time) if write.kind == kind else None)
    world.refuse = {kind: UNREACHABLE}
    world.command("abort", run.id)
    await world.live(50)
    world.refuse = {}
    for _ in range(120):
        if written:
            break
        await world.live(1)
    assert written
    await world.live(28)
    assert len(world.pods("1.1.0")) == 1
    await world.live(10)
    assert world.pods("1.1.0") == []


async def test_the_former_revision_shrinks_after_the_delay_and_only_then(world: World) -> None:
    await serving(world)
    world.kubectl_apply(spec("1.1.0", steps=[], watch={"for": "10m", "keep": "50%"}))
    written: list[float] = []
    world.watchers.append(lambda write: written.append(write.time) if write.kind == "HTTPRoute" else None)
    world.refuse = {"HTTPRoute": UNREACHABLE}
    await world.live(20)
    world.refuse = {}
    while not written:
        await world.live(1)
    assert world.weights() == {"1.1.0": 100}
    await world.live(28)
    assert len(world.pods("1.0.0")) == 4
    await world.live(10)
    assert len(world.pods("1.0.0")) == 2


async def test_a_run_is_paused_when_its_pods_find_no_node_in_time(world: World) -> None:
    await serving(world)
    world.behaviours["1.1.0"] = Behaviour(unschedulable=True)
    world.kubectl_apply(spec("1.1.0", judged=False, deadlines={"schedule": "30s"}))
    await world.live(29)
    assert world.status().phase == "Progressing"
    await world.live(2)
    assert world.condition("Paused") == ("True", "Unschedulable")


async def test_pods_that_a_quota_keeps_out_are_waited_for_and_blame_nobody(world: World) -> None:
    """Given a quota that is full, then the run says so, is paused in time, and goes on as soon as there is room."""
    await serving(world)
    quota = 'pods "churn-4pz8k" is forbidden: exceeded quota: team, requested: pods=1, used: pods=4, limited: pods=4'
    world.behaviours["1.1.0"] = Behaviour(refused=quota)
    deadlines = {"schedule": "30s", "ready": "1m"}
    world.kubectl_apply(spec("1.1.0", judged=False, deadlines=deadlines, watch={"for": "0s"}))
    await world.live(29)
    said = "its pods are refused: exceeded quota: team, requested: pods=1, used: pods=4, limited: pods=4"
    run = world.status().run
    assert run is not None
    assert (world.status().phase, run.deadline) == ("Progressing", None)
    assert said in world.status().message
    await world.live(2)
    assert world.condition("Paused") == ("True", "PodsRefused")
    await world.live(600)
    assert (world.status().phase, world.weights()) == ("Paused", {"1.0.0": 100})
    world.behaviours["1.1.0"] = Behaviour()
    await world.live(1200)
    assert (world.status().phase, world.weights()) == ("Healthy", {"1.1.0": 100})


async def test_a_first_version_whose_pods_are_refused_says_why(world: World) -> None:
    policy = 'pods "churn-x" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true'
    world.behaviours["1.0.0"] = Behaviour(refused=policy)
    world.kubectl_apply(spec("1.0.0", judged=False))
    await world.live(5)
    assert world.status().phase == "Pending"
    assert 'its pods are refused: violates PodSecurity "restricted:latest"' in world.status().message


async def test_weight_rises_by_one_step_per_decision(world: World) -> None:
    """Given steps of no time and pods enough for all of them, then each step is written before the next one."""
    weights: list[int] = []

    def saw(write: Write) -> None:
        status = write.after and write.after.get("status")
        if write.verb == "status" and status:
            weights.append((status.get("run") or {}).get("weight", 100))

    steps = [{"weight": weight, "for": "0s", "replicas": 4} for weight in (10, 40, 80)]
    world.kubectl_apply(without_gateway("1.0.0"))
    await world.live(10)
    world.watchers.append(saw)
    world.kubectl_apply(without_gateway("1.1.0", steps=steps))
    await world.live(10)
    assert list(dict.fromkeys(weights)) == [0, 10, 40, 80, 100]


async def test_no_step_gives_weight_back_to_a_stable_revision_without_pods(world: World) -> None:
    run = await tried(world)
    world.behaviours["1.0.0"] = Behaviour(never_ready=True)
    await world.wait(3)
    assert world.weights() == {"1.0.0": 0, "1.1.0": 100}
    seen: list[dict[str, int]] = []
    world.watchers.append(lambda _: seen.append(world.weights()))
    world.command("promote", f"{run}/1")
    await world.wait(10)
    assert seen
    assert [weights for weights in seen if weights["1.0.0"]] == []


async def test_a_stable_revision_whose_record_was_deleted_is_said_to_be_lost(world: World) -> None:
    """Given a refused version and no pods, when the record of stable is deleted, then nothing can bring it back."""
    run = await tried(world)
    world.command("abort", run)
    await world.wait(5)
    asked = spec("1.1.0", judged=False, steps=HELD)
    world.kubectl_apply({**asked, "state": "Suspended"})
    await world.wait(60)
    stable = world.status().stable
    assert stable is not None
    world.remove("ControllerRevision", f"churn-{stable.revision}")
    world.kubectl_apply(asked)
    await world.wait(10)
    assert world.status().phase == "Degraded"
    assert world.status().message == "1.0.0 has no ready pod: its ControllerRevision was deleted"
    assert world.condition("Ready") == ("False", "NoReadyPods")


async def test_a_pod_that_the_node_refused_does_not_stop_the_clock(world: World) -> None:
    """Given a dead pod that lies around, as after a device plugin's no, then the one beside it has its deadline."""
    await serving(world)
    world.behaviours["1.1.0"] = Behaviour(never_ready=True)
    world.kubectl_apply(spec("1.1.0", judged=False, steps=HELD, deadlines={"ready": "60s"}))
    await world.live(5)
    pod = world.pods("1.1.0")[0]
    meta = {**pod["metadata"], "name": f"{pod['metadata']['name'][:-1]}dead", "uid": "dead"}
    status = {"phase": "Failed", "reason": "UnexpectedAdmissionError"}
    world._keep({**pod, "metadata": meta, "gone_at": world.time + 1e9, "status": status})
    await world.live(120)
    assert world.condition("UpToDate") == ("False", "NotReadyInTime")
