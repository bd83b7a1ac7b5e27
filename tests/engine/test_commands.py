"""What people ask for, over a simulated cluster: each command acts once, on exactly what it names."""

from typing import Any

import pytest

from fairway.core.rollout.situation import Policy
from fairway.core.verdict import ObjectiveReading
from fairway.engine.gather import Defaults
from fairway.engine.reconciler import Reconciler
from tests.engine.test_rollout import BAD, serving, spec
from tests.fakes.world import Behaviour, World

HELD = [{"weight": 20, "for": "10h"}, {"weight": 50, "for": "10h"}]
GATED = [{"weight": 20, "for": "1s"}, {"approval": "risk", "timeout": "10m"}, {"weight": 50, "for": "10h"}]


@pytest.fixture
def world() -> World:
    return World()


async def tried(world: World, version: str = "1.1.0", **more: Any) -> str:
    """Given a run in its first step; return its name."""
    await serving(world)
    world.kubectl_apply(spec(version, **{"judged": False, "steps": HELD, **more}))
    await world.wait(10)
    run = world.status().run
    assert run is not None
    return run.id


async def act(world: World, name: str, value: str, seconds: float = 5) -> None:
    world.command(name, value)
    await world.wait(seconds)


async def test_promote_ends_exactly_the_step_it_names(world: World) -> None:
    run = await tried(world)
    await act(world, "promote", f"{run}/2")
    await act(world, "promote", "run-99/1")
    assert world.weights() == {"1.0.0": 80, "1.1.0": 20}
    await act(world, "promote", f"{run}/1")
    assert world.weights() == {"1.0.0": 50, "1.1.0": 50}
    await act(world, "promote", f"{run}/1", 60)
    assert world.weights() == {"1.0.0": 50, "1.1.0": 50}


async def test_promote_full_waits_for_capacity_and_says_who_it_was(world: World) -> None:
    world.behaviours["1.1.0"] = Behaviour(load=8)
    run = await tried(world)
    await act(world, "promote-full", run)
    assert world.weights() == {"1.0.0": 80, "1.1.0": 20}
    await world.wait(30)
    assert world.weights() == {"1.1.0": 100}
    assert world.status().history[0].reason == "by command"


async def test_abort_retry_abort_each_once(world: World) -> None:
    run = await tried(world)
    await act(world, "abort", run)
    assert world.weights() == {"1.0.0": 100}
    assert world.condition("UpToDate") == ("False", "Aborted")
    await act(world, "retry", "run-99")
    assert world.status().run is None
    await act(world, "retry", run, 10)
    again = world.status().run
    assert again is not None
    assert again.id != run
    assert world.weights() == {"1.0.0": 80, "1.1.0": 20}
    await act(world, "abort", again.id)
    assert world.status().phase == "RolledBack"
    await world.wait(100)
    assert world.status().run is None


async def test_rollback_returns_warm_and_cold(world: World) -> None:
    await serving(world)
    world.kubectl_apply(spec("1.1.0", judged=False, steps=[], watch={"for": "10m"}))
    await world.wait(10)
    assert world.weights() == {"1.1.0": 100}
    await act(world, "rollback", world.status().history[0].run)
    assert world.weights() == {"1.0.0": 100}
    assert world.condition("UpToDate") == ("False", "RolledBackByCommand")
    world.kubectl_apply(spec("1.2.0", judged=False, steps=[], watch={"for": "0s"}))
    await world.wait(60)
    assert world.weights() == {"1.2.0": 100}
    await act(world, "rollback", world.status().history[0].run, 60)
    assert world.weights() == {"1.0.0": 100}
    assert world.status().phase == "RolledBack"


async def test_s10_s52_only_the_right_word_passes_an_approval(world: World) -> None:
    run = await tried(world, steps=GATED)
    assert world.condition("Paused") == ("True", "ApprovalNeeded")
    for name, value in (
        ("promote", f"{run}/2"),
        ("promote-full", run),
        ("approve", f"{run}/other by ann: x"),
        ("approve", "run-9/risk by ann: x"),
        ("approve", f"{run}/risk ann x"),
    ):
        await act(world, name, value)
    assert world.weights() == {"1.0.0": 80, "1.1.0": 20}
    await act(world, "approve", f"{run}/risk by system:user:ann: by all means", 60)
    assert world.weights() == {"1.1.0": 100}
    given = world.status().history[0].approvals[0]
    assert (given.by, given.via, given.comment) == ("system:user:ann", None, "by all means")


@pytest.mark.parametrize("before_any_weight", [False, True])
async def test_s52_an_approval_after_promote_full_goes_on(world: World, before_any_weight: bool) -> None:
    """Given steps of several weights before a gate, when all are skipped, then the yes leads to the promotion."""
    if before_any_weight:
        world.behaviours["1.1.0"] = Behaviour(load=20)
    steps = [
        {"weight": 5, "for": "10h"},
        {"weight": 25, "for": "10h"},
        {"approval": "risk"},
        {"weight": 50, "for": "1h"},
    ]
    run = await tried(world, steps=steps)
    await act(world, "promote-full", run, 60)
    assert world.condition("Paused") == ("True", "ApprovalNeeded")
    await act(world, "approve", f"{run}/risk by ann: fine", 60)
    assert world.weights() == {"1.1.0": 100}


async def test_an_approval_says_through_which_program_it_came(world: World) -> None:
    run = await tried(world, steps=GATED)
    for manager, command in (("kubectl-annotate", "retry"), ("argocd-server", "approve")):
        fields = {"f:metadata": {"f:annotations": {f"f:fairway.dev/{command}": {}}}}
        entry = {"manager": manager, "operation": "Update", "time": "2027-01-15T08:00:09Z", "fieldsV1": fields}
        world.model()["metadata"].setdefault("managedFields", []).append(entry)
    await act(world, "approve", f"{run}/risk by ann: fine")
    after = world.status().run
    assert after is not None
    assert [(given.by, given.via) for given in after.approvals] == [("ann", "argocd-server")]


async def test_without_the_policy_a_name_is_only_what_somebody_wrote(world: World) -> None:
    run = await tried(world, steps=GATED)
    world.reconciler = Reconciler(
        cluster=world,
        store=world.store,
        recorder=world,
        analysis=world.analysis,  # type: ignore[arg-type]
        clock=world,
        defaults=Defaults(policy=Policy(verified=False)),
    )
    await act(world, "approve", f"{run}/risk by ann: fine")
    after = world.status().run
    assert after is not None
    (given,) = after.approvals
    assert (given.by, given.comment) == ("unverified", "fine")
    assert ("Approved", "risk was approved by ann (unverified): fine") in world.events


async def test_a_denial_is_a_rollback_with_who_and_why(world: World) -> None:
    run = await tried(world, steps=GATED)
    await act(world, "deny", f"{run}/risk by bob: too risky")
    assert world.weights() == {"1.0.0": 100}
    assert world.condition("UpToDate") == ("False", "Denied")
    assert "bob: too risky" in world.status().message


async def test_an_approval_that_does_not_come_in_time_is_a_denial(world: World) -> None:
    await tried(world, steps=GATED)
    await world.wait(605, step=5)
    assert world.condition("UpToDate") == ("False", "ApprovalTimeout")


async def test_restart_marks_the_pods_that_serve(world: World) -> None:
    await serving(world)
    before = world.status()
    await act(world, "restart", "2026-11-21T06:00:00Z")
    (deployment,) = (o for (kind, _), o in world.objects.items() if kind == "Deployment")
    marks = deployment["spec"]["template"]["metadata"]["annotations"]
    assert marks["fairway.dev/restarted-at"] == "2026-11-21T06:00:00Z"
    await world.wait(60)
    assert world.status().stable == before.stable
    writes = len(world.writes)
    await world.wait(60)
    assert world.writes[writes:] == []


async def test_paused_holds_the_run_but_not_a_rollback(world: World) -> None:
    await serving(world)
    world.kubectl_apply({**spec("1.1.0"), "paused": True})
    await world.wait(60)
    assert world.weights() == {"1.0.0": 100}
    assert world.condition("Paused") == ("True", "PausedBySpec")
    world.kubectl_apply(spec("1.1.0"))
    await world.wait(10)
    world.kubectl_apply({**spec("1.1.0"), "paused": True})
    world.say("Healthy")
    await world.wait(120)
    assert world.weights() == {"1.0.0": 80, "1.1.0": 20}
    world.say("Regressed", objectives=BAD)
    await world.settle()
    assert world.weights() == {"1.0.0": 100}


@pytest.mark.parametrize("proven", [{}, {"fastReturn": 0}])
async def test_neither_pause_nor_steps_delay_the_return_to_a_version_without_pods(
    world: World, proven: dict[str, int]
) -> None:
    await serving(world)
    world.kubectl_apply(spec("1.1.0", judged=False, steps=[], watch={"for": "0s"}))
    await world.wait(60)
    assert world.pods("1.0.0") == []
    world.kubectl_apply({**spec("1.1.0", judged=False, **proven), "paused": True})
    await act(world, "rollback", world.status().history[0].run, 60)
    assert world.weights() == {"1.0.0": 100}
    assert world.status().phase == "RolledBack"


async def test_suspended_takes_all_pods_and_comes_back(world: World) -> None:
    await serving(world)
    world.kubectl_apply({**spec("1.0.0"), "state": "Suspended"})
    await world.wait(5)
    assert world.pods("1.0.0") == []
    assert world.condition("Ready") == ("False", "Suspended")
    world.kubectl_apply(spec("1.0.0"))
    await world.settle()
    assert world.condition("Ready") == ("Unknown", "Resuming")
    await world.wait(5)
    assert world.status().phase == "Healthy"


async def test_on_regression_pause_waits_for_a_person(world: World) -> None:
    run = await tried(world, judged=True, onRegression="Pause")
    world.say("Regressed", objectives=BAD)
    await world.wait(60)
    assert world.weights() == {"1.0.0": 80, "1.1.0": 20}
    assert world.condition("Paused") == ("True", "Regressed")
    await act(world, "abort", run)
    assert world.weights() == {"1.0.0": 100}


@pytest.mark.parametrize(
    ("then", "state", "weights"),
    [
        ("Pause", "Undecided", {"1.0.0": 80, "1.1.0": 20}),
        ("Rollback", "Undecided", {"1.0.0": 100}),
        ("Rollback", "NoData", {"1.0.0": 80, "1.1.0": 20}),
        ("Promote", "NoTraffic", {"1.0.0": 50, "1.1.0": 50}),
        ("Promote", "ProviderError", {"1.0.0": 80, "1.1.0": 20}),
    ],
)
async def test_on_undecided(world: World, then: str, state: str, weights: dict[str, int]) -> None:
    steps = [{"weight": 20, "for": "5s"}, {"weight": 50, "for": "10h"}]
    await tried(world, judged=True, steps=steps, onUndecided={"after": "30s", "then": then})
    world.say(state)
    await world.wait(60)
    assert world.weights() == weights


async def test_watch_keeps_a_share_and_on_breach_pause_stays(world: World) -> None:
    await serving(world)
    watch = {"for": "10m", "keep": "50%", "onBreach": "Pause"}
    world.kubectl_apply(spec("1.1.0", steps=[], watch=watch))
    await world.wait(10)
    assert len(world.pods("1.0.0")) == 4  # requests in flight
    await world.wait(30)
    assert len(world.pods("1.0.0")) == 2
    world.say("Regressed", objectives=BAD)
    await world.wait(60)
    assert world.weights() == {"1.1.0": 100}


async def test_fast_return_can_be_switched_off(world: World) -> None:
    await serving(world)
    world.kubectl_apply(spec("1.1.0", judged=False, steps=[], watch={"for": "0s"}))
    await world.wait(60)
    world.kubectl_apply(spec("1.0.0", judged=False, steps=HELD, fastReturn=0))
    await world.wait(60)
    assert world.weights() == {"1.1.0": 80, "1.0.0": 20}


@pytest.mark.parametrize(
    ("name", "value"), [("approve", "{}/risk by ann: fine"), ("deny", "{}/risk by ann: no"), ("promote-full", "{}")]
)
async def test_who_is_late_with_a_word_changes_nothing_about_a_rollback(world: World, name: str, value: str) -> None:
    run = await tried(world, steps=GATED)
    world.behaviours["1.0.0"] = Behaviour(never_ready=True)
    await world.wait(3)
    await act(world, "abort", run)
    before = world.status()
    await act(world, name, value.format(run))
    after = world.status()
    assert (after.phase, after.run, after.commands) == ("RollingBack", before.run, before.commands)
    world.behaviours["1.0.0"] = Behaviour()
    await world.wait(5)
    assert world.weights() == {"1.0.0": 100}
    assert world.condition("UpToDate") == ("False", "Aborted")


async def test_a_rollback_waits_for_stables_first_ready_pod(world: World) -> None:
    run = await tried(world)
    world.behaviours["1.0.0"] = Behaviour(never_ready=True)
    await world.wait(3)
    await act(world, "abort", run)
    assert world.weights() == {"1.0.0": 0, "1.1.0": 100}
    assert world.status().phase == "RollingBack"
    world.behaviours["1.0.0"] = Behaviour()
    await world.wait(5)
    assert world.weights() == {"1.0.0": 100}
    assert world.condition("UpToDate") == ("False", "Aborted")


async def test_enough_requests_are_shown_as_healthy(world: World) -> None:
    await tried(world, judged=True)
    enough = ObjectiveReading("errors", "Undecided", "1%", requests=400, sufficient=True)
    world.say("Undecided", objectives=(enough,))
    await world.wait(35)
    verdict = world.status().verdict
    assert verdict is not None
    assert (verdict.state, verdict.objectives[0].state) == ("Healthy", "Healthy")


async def test_a_rollback_does_not_try_what_the_spec_still_asks_for_and_was_aborted(world: World) -> None:
    await serving(world)
    world.kubectl_apply(spec("2.0.0", judged=False, steps=[], watch={"for": "0s"}))
    await world.wait(120)
    promoted = world.status().history[0].run
    world.kubectl_apply(spec("2.1.0", judged=False, steps=HELD))
    await world.wait(10)
    run = world.status().run
    assert run is not None
    await act(world, "abort", run.id)
    await act(world, "rollback", promoted, 60)
    status = world.status()
    assert (status.stable and status.stable.version, status.run, status.phase) == ("1.0.0", None, "RolledBack")
    assert world.condition("UpToDate") == ("False", "Aborted")
