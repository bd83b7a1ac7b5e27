"""The verbs that steer, over the wire: each has its effect in the engine, is waited for, and its exit code says so."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from aiohttp import web

from tests.fakes import scenes
from tests.fakes.behaviour import Behaviour
from tests.fakes.served import Served
from tests.fakes.terminal import Shell

DONE, FAILED, USAGE, REFUSED, NOT_YET, OTHERWISE = 0, 1, 2, 3, 4, 5


@dataclass
class Raced(Served):
    """A world in which somebody else may be a moment faster."""

    first: Callable[[], object] | None = None
    """What somebody does between our look and our word."""
    heeded: Callable[[], bool] = bool
    """Whether the operator has heeded it: only then does our word arrive."""

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if request.method == "PATCH" and self.first:
            self.first()
            async with asyncio.timeout(20):
                while not self.heeded():
                    await asyncio.sleep(0.01)
        return await super()._handle(request)


@pytest.fixture
async def served():
    async with Raced(pace=20.0) as world:
        yield world


@pytest.fixture
def fairway(served, tmp_path):
    return Shell(served, tmp_path)


HELD = [{"weight": 20, "for": "10h"}, {"weight": 50, "for": "10h"}]


async def tried(served, steps=None):
    """Given a version that is tried, without objectives: only people and time decide."""
    plain = {"objectives": None, "rollout": {"steps": steps or HELD, "watch": {"for": "10h"}}}
    asked = {k: v for k, v in scenes.spec("1.0.0", **plain).items() if v is not None}
    served.kubectl_apply(asked)
    await served.live(5)
    asked = {k: v for k, v in scenes.spec("1.1.0", **plain).items() if v is not None}
    served.kubectl_apply(asked)
    await served.live(8)
    assert served.status().candidate.weight == 20


async def watched(served):
    """Until the program waits for what comes."""
    async with asyncio.timeout(20):
        while not served.watches:
            await asyncio.sleep(0.01)


async def test_promote_one_step_then_all(served, fairway):
    await tried(served)
    ended = await fairway("promote", "churn", "--wait")
    assert ended.code == DONE
    said, done = ended.out.splitlines()
    assert said == "churn: ends step 1 of run-2: 1.1.0 goes from 20% to 50%, whatever the samples say"
    assert "1.1.0 at 50%" in done
    assert served.weights() == {"1.0.0": 50, "1.1.0": 50}
    ended = await fairway("promote", "churn", "--full", "--wait")
    assert (ended.code, ended.out.splitlines()[-1]) == (DONE, "churn: 1.1.0 serves everything: by command")
    assert served.weights() == {"1.1.0": 100}


async def test_abort_retry_and_what_ci_sees(served, fairway):
    await tried(served)
    ended = await fairway("abort", "churn", "--wait")
    assert (ended.code, ended.out.splitlines()[-1]) == (
        DONE,
        "churn: 1.1.0 was rolled back: Aborted: run-2 was aborted",
    )
    waited = await fairway("wait", "churn", "--timeout", "5s")
    assert (waited.code, waited.err) == (OTHERWISE, "churn: Aborted: run-2 was aborted\n")
    assert (await fairway("retry", "churn", "--wait")).code == DONE
    assert served.status().run.id == "run-3"
    assert (await fairway("wait", "churn", "--for", "step=1", "--timeout", "20s")).code == DONE


async def test_rollback(served, fairway):
    await tried(served)
    assert (await fairway("promote", "churn", "--full", "--wait")).code == DONE
    ended = await fairway("rollback", "churn", "--wait")
    assert (ended.code, ended.out.splitlines()[-1]) == (DONE, "churn: 1.0.0 serves everything")
    assert served.condition("UpToDate") == ("False", "RolledBackByCommand")


@pytest.mark.parametrize("verb", ["approve", "deny"])
async def test_an_approval_carries_who_and_why(served, fairway, verb):
    await tried(
        served,
        [{"weight": 20, "for": "0s"}, {"approval": "risk", "approvers": ["risk-team"]}, {"weight": 50, "for": "10h"}],
    )
    await served.live(10)
    ended = await fairway(verb, "churn", "-m", "looks\nfine", "--wait")
    assert ended.code == DONE
    assert "as ann" in ended.out
    if verb == "approve":
        given = served.status().run.approvals[0]
        assert (given.name, given.by, given.comment) == ("risk", "ann", "looks fine")
    else:
        assert served.status().rejected[0].message == "risk was denied by ann: looks fine"


GATED = [{"weight": 20, "for": "0s"}, {"approval": "risk"}, {"weight": 50, "for": "10h"}]


async def test_a_denial_that_comes_after_an_approval_ends_at_once(served, fairway):
    """Given somebody else's yes, heeded between our look and our no, when waited for, then it is told who was first."""
    await tried(served, GATED)
    await served.live(10)
    served.first = lambda: served.command("approve", "run-2/risk by bob: fine")
    served.heeded = lambda: bool(served.status().run.approvals)
    ended = await fairway("deny", "churn", "--wait", "--timeout", "20s")
    told = "churn: risk of run-2 was approved by bob: 1.1.0 goes on; fairway abort churn takes it out"
    assert (ended.code, ended.err.splitlines()[-1]) == (OTHERWISE, told)


async def test_an_approval_that_comes_after_a_denial_ends_at_once(served, fairway):
    await tried(served, GATED)
    await served.live(10)
    served.first = lambda: served.command("deny", "run-2/risk by bob: drift")
    served.heeded = lambda: served.status().run is None
    ended = await fairway("approve", "churn", "--wait", "--timeout", "20s")
    told = "churn: 1.1.0 was rolled back: Denied: risk was denied by bob: drift"
    assert (ended.code, ended.err.splitlines()[-1]) == (OTHERWISE, told)


async def test_a_promotion_that_comes_after_a_pause_says_what_it_takes(served, fairway):
    await tried(served)
    served.first = lambda: served.kubectl_apply({**served.model()["spec"], "paused": True})
    served.heeded = lambda: served.condition("Paused") == ("True", "PausedBySpec")
    ended = await fairway("promote", "churn", "--wait", "--timeout", "20s")
    told = "churn: spec.paused holds run-2: fairway resume churn lets it go on"
    assert (ended.code, ended.err.splitlines()[-1]) == (NOT_YET, told)


async def test_only_approvers_are_let_through(served, fairway):
    await tried(served, [{"weight": 20, "for": "0s"}, {"approval": "risk", "approvers": ["bob"]}])
    await served.live(10)
    ended = await fairway("approve", "churn")
    assert (ended.code, ended.err) == (REFUSED, "fairway: you are ann; only bob may decide risk\n")
    assert served.status().run.approvals == ()


async def test_pause_and_resume(served, fairway):
    await tried(served)
    assert (await fairway("pause", "churn", "--wait")).code == DONE
    assert served.condition("Paused") == ("True", "PausedBySpec")
    assert (await fairway("pause", "churn")).code == REFUSED
    assert (await fairway("resume", "churn", "--wait")).code == DONE
    assert served.condition("Paused") is None
    assert "paused" not in served.model()["spec"]


async def test_restart_waits_for_the_last_new_pod(served, fairway):
    await scenes.serving(served)
    before = {pod["metadata"]["uid"] for pod in served.pods("1.0.0")}
    ended = await fairway("restart", "churn", "--wait")
    assert (ended.code, ended.out.splitlines()[-1]) == (DONE, "churn: 4 of 4 pods replaced")
    assert not before & {pod["metadata"]["uid"] for pod in served.pods("1.0.0")}


async def test_restart_of_a_canary_waits_for_the_candidates_pods_too(served, fairway):
    await tried(served)
    before = {pod["metadata"]["uid"] for version in ("1.0.0", "1.1.0") for pod in served.pods(version)}
    ended = await fairway("restart", "churn", "--wait")
    assert ended.code == DONE
    assert ended.out.splitlines()[-1] == f"churn: {len(before)} of {len(before)} pods replaced"
    assert not before & {pod["metadata"]["uid"] for version in ("1.0.0", "1.1.0") for pod in served.pods(version)}


async def test_a_restart_is_waited_for_while_pods_cannot_be_read(served, fairway):
    """Given an API server in trouble, when the time is over, then it is said what was not seen."""
    await scenes.serving(served)
    served.broken.add("pods")
    ended = await fairway("restart", "churn", "--wait", "--timeout", "1s")
    assert (ended.code, ended.err.splitlines()[-1]) == (NOT_YET, "churn: not within 1s: pods is broken")


async def test_a_restart_that_gets_no_new_pods_has_its_own_code(served, fairway):
    await scenes.serving(served)
    served.behaviours["1.0.0"] = Behaviour(never_ready=True)
    ended = await fairway("restart", "churn", "--wait", "--timeout", "2s")
    assert ended.code == NOT_YET
    assert "churn: not within 2s: " in ended.err
    assert ended.err.endswith("pods replaced\n")


async def test_a_dry_run_says_and_does_nothing(served, fairway):
    await tried(served)
    ended = await fairway("abort", "churn", "--dry-run")
    assert ended.code == DONE
    assert ended.out.endswith("(not done: --dry-run)\n")
    assert "PATCH" not in {method for method, _ in served.requests}


async def test_without_a_terminal_nobody_waits_and_at_one_everybody_does(served, fairway):
    await tried(served)
    assert len((await fairway("promote", "churn")).out.splitlines()) == 1
    await served.live(10)
    at_terminal = await fairway("promote", "churn", terminal=True)
    assert len(at_terminal.out.splitlines()) == 2
    assert at_terminal.code == DONE


async def test_an_effect_that_does_not_come_has_its_own_code(served, fairway):
    """Given pods that never get ready, when promoted, then the time runs out, and it is said what is waited for."""
    await tried(served)
    served.behaviours["1.1.0"] = Behaviour(never_ready=True)
    ended = await fairway("promote", "churn", "--full", "--wait", "--timeout", "2s")
    assert ended.code == NOT_YET
    assert "not within 2s" in ended.err


async def test_the_opposite_has_its_own_code(served, fairway):
    """Given a promotion that is waited for, when the candidate crashes, then the rollback is told at once."""
    await tried(served)
    served.behaviours["1.1.0"] = Behaviour(never_ready=True)
    waiting = asyncio.create_task(fairway("promote", "churn", "--full", "--wait", "--timeout", "30s"))
    await watched(served)
    served.behaviours["1.1.0"] = Behaviour(crash_after=0.0, crash_at_start=True)
    ended = await waiting
    assert ended.code == OTHERWISE
    assert "1.1.0 was rolled back: Crashed" in ended.err


async def test_a_missing_right_to_steer_is_named(served, fairway):
    await tried(served)
    served.forbidden.add(("patch", "modeldeployments"))
    ended = await fairway("abort", "churn")
    assert ended.code == FAILED
    assert ended.err == "fairway: you may not patch modeldeployments.fairway.dev in namespace ml: ask for that right\n"


async def test_steering_writes_only_modeldeployments(served, fairway):
    await tried(served)
    await fairway("promote", "churn")
    written = {path for method, path in served.requests if method == "PATCH"}
    assert written == {"/apis/fairway.dev/v1alpha1/namespaces/ml/modeldeployments/churn"}


async def test_wait_goes_on_until_it_is_so(served, fairway):
    served.behaviours["1.0.0"] = Behaviour(load=20)
    served.kubectl_apply(scenes.spec("1.0.0"))
    ended = await fairway("wait", "churn", "--for", "ready", "--timeout", "20s")
    assert (ended.code, ended.out) == (DONE, "churn: 1.0.0 serves\n")
    assert (await fairway("wait", "churn", "--for", "never")).code == USAGE


@pytest.mark.parametrize("words", [("abort", "churn"), ("wait", "churn")])
async def test_a_time_that_is_none_is_refused_before_anything_is_written(served, fairway, words):
    await tried(served)
    ended = await fairway(*words, "--wait" if words[0] == "abort" else "--for=ready", "--timeout", "soon")
    assert ended.code == USAGE
    assert "argument --timeout: 'soon' is not a time such as 90s, 10m or 1h" in ended.err
    assert "PATCH" not in {method for method, _ in served.requests}


async def test_a_deleted_object_is_not_waited_for(served, fairway):
    await tried(served)
    waiting = asyncio.create_task(fairway("wait", "churn", "--timeout", "20s"))
    await watched(served)
    served.remove("ModelDeployment", "churn")
    ended = await waiting
    assert (ended.code, ended.err.splitlines()[-1]) == (OTHERWISE, "fairway: churn was deleted")
