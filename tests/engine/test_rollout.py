"""The engine over a simulated cluster: every rule of the rollout, in the words of its scenario."""

from typing import Any

import pytest

from fairway.core.verdict import ObjectiveReading
from fairway.ports import ClusterError
from tests.fakes.world import Behaviour, Killed, World

FIRED = {"value": "50%", "stable_value": "0.1%", "requests": 40, "log10_evidence": 9.1}
BAD = (ObjectiveReading("errors", "Regressed", "1%", **FIRED),)


def spec(version: str, *, judged: bool = True, **rollout: Any) -> dict[str, Any]:
    """A ModelDeployment's spec as most users would write it."""
    written: dict[str, Any] = {
        "model": {"version": version},
        "runtime": {"image": f"registry.example/churn:{version}", "port": 8080},
        "scaling": {"replicas": 4},
        "traffic": {"hostnames": ["churn.example"], "gateway": {"name": "models", "namespace": "gateways"}},
        "rollout": {"steps": [{"weight": 20, "for": "30s"}, {"weight": 50, "for": "30s"}], "watch": {"for": "2m"}},
    }
    written["rollout"].update(rollout)
    if judged:
        written["objectives"] = [{"name": "errors", "errors": {"below": "1%"}}]
    return written


async def serving(world: World, version: str = "1.0.0", **more: Any) -> World:
    """Given a world in which this version serves."""
    world.kubectl_apply(spec(version, **more))
    await world.settle()
    await world.wait(5)
    assert world.status().phase == "Healthy"
    return world


@pytest.fixture
def world() -> World:
    return World()


async def test_s4_the_first_revision_goes_straight_to_full_replicas(world: World) -> None:
    world.kubectl_apply(spec("1.0.0"))
    await world.settle()
    assert world.condition("Ready") == ("Unknown", "Starting")
    assert len(world.pods("1.0.0")) == 4
    await world.wait(3)
    status = world.status()
    assert (status.phase, status.stable and status.stable.version) == ("Healthy", "1.0.0")
    assert world.condition("UpToDate") == ("True", "Promoted")
    assert world.weights() == {"1.0.0": 100}


async def test_s3_a_settled_model_is_left_alone(world: World) -> None:
    await serving(world)
    before = len(world.writes)
    await world.wait(600, step=30)
    world.restart()
    await world.settle()
    assert world.writes[before:] == []


async def test_p6_a_promotion_in_five_steps_takes_two_writes_a_step_and_seven(world: World) -> None:
    one = {"scaling": {"replicas": 1}}
    world.kubectl_apply(spec("1.0.0", judged=False) | one)
    await world.wait(10)
    before = len(world.writes)
    steps = [{"weight": weight, "for": "10s"} for weight in (5, 20, 40, 60, 80)]
    world.kubectl_apply(spec("1.1.0", judged=False, steps=steps) | one)
    await world.wait(90, step=1)
    status = world.status()
    assert (status.phase, status.stable and status.stable.version) == ("Healthy", "1.1.0")
    kinds = [f"{verb} {kind}" for verb, kind, _ in world.writes[before:]]
    opened = ["status ModelDeployment", "create ControllerRevision", "create Deployment", "create Service"]
    step = ["status ModelDeployment", "apply HTTPRoute"]
    assert kinds == [*opened, *step * 5, *step, "apply Service"]


async def test_s6_steps_come_in_order_and_only_with_ready_pods(world: World) -> None:
    await serving(world)
    world.behaviours["1.1.0"] = Behaviour(load=10)
    world.kubectl_apply(spec("1.1.0"))
    await world.settle()
    assert world.weights() == {"1.0.0": 100}
    assert len(world.pods("1.1.0")) == 1
    await world.wait(11)
    assert world.weights() == {"1.0.0": 80, "1.1.0": 20}
    world.say("Healthy")
    await world.wait(34)
    assert len(world.pods("1.1.0")) == 2
    assert world.weights() == {"1.0.0": 80, "1.1.0": 20}
    await world.wait(11)
    assert world.weights() == {"1.0.0": 50, "1.1.0": 50}
    world.say("Healthy")
    uids = {pod["metadata"]["uid"] for pod in world.pods("1.1.0")}
    await world.wait(50)
    status = world.status()
    assert status.stable is not None
    assert (status.stable.version, status.phase) == ("1.1.0", "Healthy")
    assert status.former is not None
    assert status.former.version == "1.0.0"
    assert uids <= {pod["metadata"]["uid"] for pod in world.pods("1.1.0")}
    assert world.weights() == {"1.1.0": 100}
    assert len(world.pods("1.0.0")) == 4
    await world.wait(180)
    assert world.pods("1.0.0") == []
    assert [entry.outcome for entry in world.status().history] == ["Promoted", "Promoted"]


async def test_i10_history_says_where_a_model_came_from_but_no_signature(world: World) -> None:
    digest = "sha256:" + "a" * 64
    signed = {"uri": "https://models.example/churn.tar.gz?X-Signature=geheim", "digest": digest}
    written = spec("1.0.0")
    world.kubectl_apply(written | {"model": written["model"] | signed})
    await world.wait(5)
    entry = world.status().history[0]
    assert (entry.uri, entry.digest) == ("https://models.example/churn.tar.gz", digest)
    assert "geheim" not in world.status().model_dump_json()


@pytest.mark.no_cover
async def test_p3_missing_evidence_holds(world: World) -> None:
    await serving(world)
    world.kubectl_apply(spec("1.1.0"))
    await world.wait(10)
    for state in ("ProviderError", "NoData", "Undecided", "NoTraffic", "SharedDegradation"):
        world.say(state, message="why")
        await world.wait(60)
        assert world.weights() == {"1.0.0": 80, "1.1.0": 20}
    assert world.status().phase == "Progressing"


async def test_minimum_of_requests_within_the_limit_ends_a_step(world: World) -> None:
    await serving(world)
    world.kubectl_apply(spec("1.1.0"))
    await world.wait(10)
    enough = ObjectiveReading("errors", "Undecided", "1%", requests=400, sufficient=True)
    world.say("Undecided", objectives=(enough,))
    await world.wait(30)
    assert world.weights() == {"1.0.0": 50, "1.1.0": 50}


async def test_s22_a_regression_takes_the_weight_at_once_and_is_not_retried(world: World) -> None:
    await serving(world)
    world.kubectl_apply(spec("1.2.0"))
    await world.wait(10)
    world.say("Regressed", objectives=BAD)
    await world.settle()
    assert world.weights() == {"1.0.0": 100}
    status = world.status()
    assert status.phase == "RolledBack"
    assert status.candidate is not None
    assert "errors: 50% vs 0.1% stable (limit 1%), evidence 10^9.1" in (status.candidate.rejected_reason or "")
    assert world.condition("UpToDate") == ("False", "Regressed")
    assert world.condition("Ready") == ("True", "Serving")
    assert [r.version for r in status.rejected] == ["1.2.0"]
    assert len(world.pods("1.2.0")) == 1
    await world.wait(120)
    assert world.pods("1.2.0") == []
    assert world.weights() == {"1.0.0": 100}
    world.restart()
    await world.wait(60)
    assert world.weights() == {"1.0.0": 100}
    assert world.reasons().count("RolledBack") == 1


async def test_s24_a_breach_in_the_watch_window_returns_without_waiting(world: World) -> None:
    await serving(world)
    world.kubectl_apply(spec("1.1.0", steps=[]))
    await world.wait(10)
    assert world.weights() == {"1.1.0": 100}
    world.say("Regressed", objectives=BAD)
    await world.settle()
    assert world.weights() == {"1.0.0": 100}
    assert world.status().phase == "RolledBack"
    assert world.status().history[0].outcome == "RolledBack"
    await world.wait(60)
    assert world.weights() == {"1.0.0": 100}
    assert world.pods("1.1.0") == []


@pytest.mark.no_cover
async def test_evidence_of_the_watch_window_survives_a_restart(world: World) -> None:
    await serving(world)
    world.kubectl_apply(spec("1.1.0", steps=[], watch={"for": "10m"}))
    await world.wait(10)
    assert world.weights() == {"1.1.0": 100}
    world.say("Undecided", checkpoint=lambda: "what was seen")
    await world.settle()
    assert world.status().evidence == "what was seen"
    # given a newer reading, then it is written with the numbers, and not more often
    world.say("Undecided", checkpoint=lambda: "what was seen since")
    await world.settle()
    assert world.status().evidence == "what was seen"
    world.time += 30
    world.say("Undecided", checkpoint=lambda: "what was seen since")
    await world.settle()
    assert world.status().evidence == "what was seen since"
    world.analysis.asked.clear()
    world.restart()
    await world.settle()
    assert world.analysis.asked["ml", "churn"].checkpoint == "what was seen since"
    await world.wait(600)
    assert (world.status().former, world.status().evidence) == (None, None)


async def test_s12_and_s13_another_version_supersedes_from_step_one(world: World) -> None:
    await serving(world)
    world.kubectl_apply(spec("1.1.0"))
    await world.wait(10)
    world.kubectl_apply(spec("1.2.0"))
    await world.settle()
    assert world.weights() == {"1.0.0": 100}
    assert len(world.pods("1.1.0")) == 1
    await world.wait(5)
    assert world.weights() == {"1.0.0": 80, "1.2.0": 20}
    assert world.status().history[0].outcome == "Superseded"
    await world.wait(40)
    assert world.pods("1.1.0") == []


async def test_s14_back_to_stable_needs_no_analysis(world: World) -> None:
    await serving(world)
    world.kubectl_apply(spec("1.1.0"))
    await world.wait(10)
    world.kubectl_apply(spec("1.0.0"))
    await world.settle()
    assert world.weights() == {"1.0.0": 100}
    assert world.status().phase == "Healthy"


async def test_s15_a_proven_revision_returns_without_steps(world: World) -> None:
    await serving(world)
    world.kubectl_apply(spec("1.1.0", steps=[]))
    await world.wait(10)
    assert world.weights() == {"1.1.0": 100}
    world.kubectl_apply(spec("1.0.0"))
    await world.wait(10)
    assert world.weights() == {"1.0.0": 100}


async def test_s16_a_first_revision_that_never_starts_gives_way(world: World) -> None:
    world.behaviours["1.0.0"] = Behaviour(crash_at_start=True)
    world.kubectl_apply(spec("1.0.0"))
    await world.wait(60)
    assert world.status().phase == "Degraded"
    assert world.condition("Ready") == ("False", "FirstRevisionFailed")
    world.kubectl_apply(spec("1.0.1"))
    await world.wait(5)
    assert world.status().phase == "Healthy"
    assert world.weights() == {"1.0.1": 100}


async def test_s17_the_open_run_keeps_its_plan(world: World) -> None:
    await serving(world)
    world.kubectl_apply(spec("1.1.0"))
    await world.wait(10)
    world.kubectl_apply(spec("1.1.0", steps=[{"weight": 90, "for": "1s"}]))
    world.say("Healthy")
    await world.wait(31)
    assert world.weights() == {"1.0.0": 50, "1.1.0": 50}


async def test_s25_an_image_that_does_not_exist_never_gets_weight(world: World) -> None:
    await serving(world)
    world.behaviours["1.4.0"] = Behaviour(pull_error="rpc error: registry.example/churn:1.4.0: not found")
    world.kubectl_apply(spec("1.4.0", deadlines={"pull": "20s"}))
    await world.wait(15)
    assert world.status().phase == "Progressing"
    assert "not found" in world.status().message
    await world.wait(10)
    status = world.status()
    assert status.phase == "RolledBack"
    assert world.condition("UpToDate") == ("False", "ImagePull")
    assert world.weights() == {"1.0.0": 100}


async def test_s25_a_model_that_cannot_be_fetched_is_rejected_after_the_pull_deadline(world: World) -> None:
    await serving(world)
    world.behaviours["1.4.0"] = Behaviour(failing_fetch="permanent: digest mismatch: got sha256:1 wanted sha256:2")
    world.kubectl_apply(spec("1.4.0", deadlines={"pull": "20s"}))
    await world.wait(15)
    assert (world.status().phase, world.weights()) == ("Progressing", {"1.0.0": 100})
    await world.wait(10)
    assert world.condition("UpToDate") == ("False", "ModelFetch")
    assert "model fetch: digest mismatch: got sha256:1" in world.status().message


@pytest.mark.no_cover
async def test_s25_a_fetch_that_may_yet_succeed_is_waited_for(world: World) -> None:
    await serving(world)
    world.behaviours["1.4.0"] = Behaviour(failing_fetch="temporary: the server answered 503")
    world.kubectl_apply(spec("1.4.0", deadlines={"pull": "20s", "ready": "5m"}))
    await world.wait(240)
    assert world.status().phase == "Progressing"
    assert "the server answered 503" in world.status().message
    await world.wait(80)
    assert world.condition("UpToDate") == ("False", "NotReadyInTime")


async def test_s25_a_crash_loop_is_rejected_and_named(world: World) -> None:
    await serving(world)
    world.behaviours["1.4.0"] = Behaviour(crash_at_start=True)
    world.kubectl_apply(spec("1.4.0"))
    await world.wait(30)
    assert world.condition("UpToDate") == ("False", "Crashed")
    assert "exit code 1" in world.status().message


async def test_s25_a_model_that_never_gets_ready_is_rejected_at_its_deadline(world: World) -> None:
    await serving(world)
    world.behaviours["1.4.0"] = Behaviour(never_ready=True)
    world.kubectl_apply(spec("1.4.0", deadlines={"ready": "60s"}))
    await world.wait(58)
    assert world.status().phase == "Progressing"
    await world.wait(10)
    assert world.condition("UpToDate") == ("False", "NotReadyInTime")


async def test_s25_a_pod_without_a_node_blames_nobody(world: World) -> None:
    await serving(world)
    world.behaviours["1.4.0"] = Behaviour(unschedulable=True)
    world.kubectl_apply(spec("1.4.0", deadlines={"ready": "60s"}))
    await world.wait(600, step=10)
    assert world.status().phase == "Progressing"
    assert "Unschedulable" in world.status().message


async def test_s26_a_crash_under_weight_takes_it_before_the_metrics_know(world: World) -> None:
    await serving(world)
    world.behaviours["1.1.0"] = Behaviour(crash_after=15)
    world.kubectl_apply(spec("1.1.0"))
    await world.wait(10)
    assert world.weights() == {"1.0.0": 80, "1.1.0": 20}
    await world.wait(6)
    assert world.weights() == {"1.0.0": 100}
    assert world.condition("UpToDate") == ("False", "Crashed")


async def test_s26_a_pod_that_is_only_gone_is_no_rejection(world: World) -> None:
    await serving(world)
    world.kubectl_apply(spec("1.1.0"))
    await world.wait(10)
    for pod in world.pods("1.1.0"):
        world._forget(pod)
    await world.settle()
    assert world.weights() == {"1.0.0": 100, "1.1.0": 0}
    assert world.status().phase == "Progressing"
    await world.wait(5)
    assert world.weights() == {"1.0.0": 80, "1.1.0": 20}


async def test_s38_a_stranger_of_our_name_is_not_adopted(world: World) -> None:
    stranger = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "churn", "namespace": "ml", "uid": "x"}}
    world.objects["Service", "churn"] = stranger
    world.kubectl_apply(spec("1.0.0"))
    with pytest.raises(ClusterError, match="not ours"):
        await world.settle()
    with pytest.raises(ClusterError, match="not ours"):
        await world.settle()
    assert "not ours" in world.status().message
    assert world.objects["Service", "churn"] is stranger


async def test_s41_a_route_that_is_not_accepted_holds(world: World) -> None:
    await serving(world)
    world.route_accepts = False
    world.kubectl_apply(spec("1.1.0", judged=False))
    await world.wait(100)
    status = world.status()
    assert status.run is not None
    assert (status.run.step, status.run.unconfirmed) == (0, True)
    assert "the route" in status.message
    world.route_accepts = True
    await world.wait(20)
    assert world.weights() == {"1.0.0": 80, "1.1.0": 20}
    await world.wait(20)
    assert world.weights() == {"1.0.0": 50, "1.1.0": 50}


async def test_s41_the_gateways_own_reason_stands_in_the_condition(world: World) -> None:
    await serving(world)
    world.route_refusal = "NotAllowedByListeners", "no listener takes this hostname"
    await world.wait(5)
    assert world.condition("RouteReady") == ("False", "NotAllowedByListeners")
    world.route_refusal = None
    await world.wait(5)
    assert world.condition("RouteReady") == ("True", "Accepted")


async def test_without_a_gateway_pods_split_the_requests(world: World) -> None:
    plain = {**spec("1.0.0"), "traffic": None}
    world.kubectl_apply({k: v for k, v in plain.items() if v is not None})
    await world.wait(5)
    entry = world.objects["Service", "churn"]["spec"]["selector"]
    assert len(entry) == 2
    plain = {**spec("1.1.0"), "traffic": None}
    world.kubectl_apply({k: v for k, v in plain.items() if v is not None})
    await world.wait(5)
    assert len(world.objects["Service", "churn"]["spec"]["selector"]) == 1
    world.say("Regressed", objectives=BAD)
    await world.settle()
    assert world.objects["Service", "churn"]["spec"]["selector"] == entry


async def test_stable_without_pods_is_relieved_by_a_ready_candidate(world: World) -> None:
    await serving(world)
    world.kubectl_apply(spec("1.1.0"))
    await world.wait(10)
    world.behaviours["1.0.0"] = Behaviour(never_ready=True)
    await world.wait(2)
    assert world.weights() == {"1.0.0": 0, "1.1.0": 100}
    world.behaviours["1.0.0"] = Behaviour()
    await world.wait(2)
    assert world.weights() == {"1.0.0": 80, "1.1.0": 20}


@pytest.mark.no_cover
@pytest.mark.parametrize("outcome", ["promotion", "rollback"])
async def test_p4_killed_at_every_write_the_end_is_the_same(outcome: str) -> None:
    clean = await _story(outcome, None)
    total = len(clean.writes)
    assert total > 10
    for kill_at in range(total):
        world = await _story(outcome, kill_at)
        assert _end(world) == _end(clean), f"killed at write {kill_at}: {clean.writes[kill_at]}"


async def _story(outcome: str, kill_at: int | None) -> World:
    world = World(kill_at=kill_at)
    world.kubectl_apply(spec("1.0.0"))
    await _live_on(world, 5)
    world.kubectl_apply(spec("1.1.0"))
    await _live_on(world, 10)
    world.say("Regressed" if outcome == "rollback" else "Healthy", objectives=BAD)
    await _live_on(world, 400)
    return world


async def _live_on(world: World, seconds: float) -> None:
    end = world.time + seconds
    while True:
        try:
            return await world.live(end - world.time)
        except Killed:
            world.kill_at = None
            world.restart()


def _end(world: World) -> Any:
    status = world.status()
    return (
        status.phase,
        status.stable and (status.stable.version, status.stable.ready),
        [(r.version, r.reason) for r in status.rejected],
        [(h.version, h.outcome) for h in status.history],
        world.weights(),
        sorted((kind, name) for kind, name in world.objects if kind != "Pod"),
        len(world.pods("1.0.0")) + len(world.pods("1.1.0")),
    )
