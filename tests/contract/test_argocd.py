"""What Argo CD and kstatus make of a ModelDeployment, at every status that tests have seen; by Argo CD's own code."""

import copy
import json
from datetime import datetime
from typing import Any, get_args

import pytest
import yaml

from fairway.api.status import Phase
from fairway.core.commands import pending
from manifests.argocd import assemble
from tests import stories
from tests.argocd import oracle
from tests.fakes.world import World
from tests.kstatus import kstatus

Object = dict[str, Any]
HEALTH = {
    "Pending": "Progressing",
    "Progressing": "Progressing",
    "RollingBack": "Progressing",
    "Paused": "Suspended",
    "Healthy": "Healthy",
    "RolledBack": "Degraded",
    "Degraded": "Degraded",
    "Suspended": "Suspended",
    "Retired": "Suspended",
}
KSTATUS = {
    **dict.fromkeys(("Pending", "Progressing", "RollingBack", "Paused", "Suspended", "Retired"), "InProgress"),
    "Healthy": "Current",
    "RolledBack": "Failed",
    "Degraded": "Failed",
}
SAMPLE = stories.sample()


def expected(model: Object, table: dict[str, str], *, unread: str, stuck: str) -> str:
    """What the documented table says; a stale status says nothing, and what only a person can mend is stuck."""
    status = model.get("status", {})
    if not status or status["observedGeneration"] != model["metadata"]["generation"]:
        return unread
    held = {c["type"] for c in status["conditions"] if c["status"] == "True"}
    if "Stalled" in held and "Reconciling" not in held:
        return stuck
    return table[status["phase"]]


def model(**status: Any) -> Object:
    return {
        "apiVersion": "fairway.dev/v1alpha1",
        "kind": "ModelDeployment",
        "metadata": {"name": "churn", "namespace": "ml", "generation": 3},
        "spec": {"model": {"version": "1.1.0"}, "objectives": []},
        **({"status": {"observedGeneration": 3, **status}} if status else {}),
    }


STEPS = [{"weight": 5, "for": "2m"}, {"weight": 5, "approval": "risk"}]
OPEN = {
    "phase": "Progressing",
    "stable": {"revision": "a", "version": "1.0.0", "weight": 95},
    "candidate": {"revision": "b", "version": "1.1.0", "weight": 5},
    "run": {"id": "run-7", "step": 0, "stage": "Observing", "plan": STEPS, "approvals": []},
}
GATE = {**OPEN, "phase": "Paused", "run": {**OPEN["run"], "step": 1}}  # type: ignore[dict-item]
PROMOTED = [
    {"run": "run-7", "revision": "b", "outcome": "Promoted"},
    {"run": "run-1", "revision": "a", "outcome": "Promoted"},
]
SERVES = {"phase": "Healthy", "stable": {"revision": "b", "version": "1.1.0", "weight": 100}, "history": PROMOTED}
OUT = {**SERVES, "phase": "RolledBack", "refused": {"revision": "c", "run": "run-8"}}
ALWAYS = {"restart", "pause"}


def test_the_config_map_holds_exactly_the_lua_files() -> None:
    assert assemble.CONFIG.read_text() == assemble.assemble(), "run `make argocd`"
    data = yaml.safe_load(assemble.CONFIG.read_text())["data"]
    files = assemble.actions()
    offered = yaml.safe_load(data["resource.customizations.actions.fairway.dev_ModelDeployment"])
    written = {each["name"]: each["action.lua"] for each in offered["definitions"]}
    assert {**written, "discovery": offered["discovery.lua"]} == files
    assert (
        data["resource.customizations.health.fairway.dev_ModelDeployment"] == (assemble.HERE / "health.lua").read_text()
    )


# --- health ----------------------------------------------------------------------------------------------------


def test_every_phase_has_the_documented_health() -> None:
    assert set(get_args(Phase)) <= set(HEALTH)
    models = [model(phase=phase, conditions=[]) for phase in HEALTH]
    assert dict(zip(HEALTH, oracle.health(models), strict=True)) == HEALTH


def test_what_the_operator_has_not_read_yet_is_progressing() -> None:
    behind = model(phase="Healthy")
    behind["metadata"]["generation"] = 4
    assert oracle.health([model(), behind, model(url="x")]) == ["Progressing"] * 3


def test_a_phase_that_nobody_knows_is_not_called_healthy() -> None:
    assert oracle.health([model(phase="Novel", conditions=[])]) == ["Unknown"]


def test_the_message_is_the_one_of_the_status() -> None:
    (answer,) = oracle.ask([{"ask": "health", "object": model(phase="Healthy", message="1.1.0 serves")}])
    assert answer == {"status": "Healthy", "message": "1.1.0 serves"}


def test_the_sample_has_every_phase() -> None:
    assert {each.get("status", {}).get("phase") for each in SAMPLE.values()} >= {*get_args(Phase), None}


def test_every_sampled_status_has_the_documented_health() -> None:
    wanted = {name: expected(each, HEALTH, unread="Progressing", stuck="Degraded") for name, each in SAMPLE.items()}
    assert dict(zip(SAMPLE, oracle.health(SAMPLE.values()), strict=True)) == wanted


def test_every_sampled_status_has_the_documented_kstatus() -> None:
    wanted = {name: expected(each, KSTATUS, unread="InProgress", stuck="Failed") for name, each in SAMPLE.items()}
    wanted |= {name: "Current" for name, each in SAMPLE.items() if not each.get("status")}  # kstatus knows no better
    assert {name: kstatus(each) for name, each in SAMPLE.items()} == wanted


def test_a_status_that_both_call_fine_serves_what_was_asked_for() -> None:
    for name, each in SAMPLE.items():
        if kstatus(each) == "Current" and each.get("status"):
            told = {c["type"]: c["status"] for c in each["status"]["conditions"]}
            assert (told["Ready"], told["UpToDate"], each["status"].get("run")) == ("True", "True", None), name


@pytest.mark.e2e
@pytest.mark.last
def test_every_story_that_was_recorded_here() -> None:
    """Each moment is as documented, and no run is ever called Healthy between two moments of its way."""
    told = [(name, story) for name, story in stories.recorded() if story]
    assert {name.partition("-")[0] for name, _ in told} >= {"engine", "tests"}, "run `make unit e2e` first"
    different = {stories.looks(moment): moment for _, story in told for moment in story}
    judged = dict(zip(different, oracle.health(different.values()), strict=True))
    for name, story in told:
        seen = [judged[stories.looks(moment)] for moment in story]
        assert seen == [expected(each, HEALTH, unread="Progressing", stuck="Degraded") for each in story], name
        assert healthy_on_the_way(story, seen) == [], name


def healthy_on_the_way(story: list[Object], seen: list[str]) -> list[int]:
    """Moments that are called Healthy although the run of before goes on after them."""
    runs = [(moment.get("status", {}).get("run") or {}).get("id") for moment in story]
    spans: dict[str, list[int]] = {}
    for at, run in enumerate(runs):
        if run:
            spans.setdefault(run, []).append(at)
    return [at for span in spans.values() for at in range(span[0], span[-1]) if seen[at] == "Healthy"]


async def test_a_whole_rollout_is_never_healthy_on_its_way() -> None:
    told: list[Object] = []

    def saw(_number: int, each: Object) -> None:
        told.append(each)

    world = World()
    World.witnesses.append(saw)
    try:
        await _promote_then_regress(world)
    finally:
        World.witnesses.remove(saw)
    seen = oracle.health(told)
    assert healthy_on_the_way(told, seen) == []
    order = [one for at, one in enumerate(seen) if at == 0 or one != seen[at - 1]]
    assert order == [
        "Progressing",
        "Healthy",
        "Progressing",
        "Suspended",
        "Progressing",
        "Healthy",
        "Progressing",
        "Degraded",
    ]


async def _promote_then_regress(world: World) -> None:
    def apply(version: str, steps: list[Object]) -> None:
        world.kubectl_apply(
            {
                "model": {"version": version},
                "runtime": {"image": "registry.example/churn:1", "port": 8080},
                "scaling": {"replicas": 2},
                "objectives": [{"name": "errors", "errors": {"below": "1%"}}],
                "rollout": {"steps": steps, "watch": {"for": "1m"}},
            }
        )

    apply("1.0.0", [])
    await world.wait(10)
    apply("1.1.0", [{"weight": 50, "for": "10s"}, {"approval": "risk"}])
    await world.wait(10)
    world.say("Healthy")
    await world.wait(20)
    world.command("approve", "run-2/risk by ann: fine")
    await world.wait(90)
    apply("1.2.0", [{"weight": 50, "for": "10s"}])
    await world.wait(10)
    world.say("Regressed")
    await world.wait(60)


# --- actions ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "can"),
    [
        ({}, {"pause"}),
        ({"phase": "Pending"}, {"pause"}),
        (OPEN, ALWAYS | {"promote", "promote-full", "abort"}),
        ({**OPEN, "run": {**OPEN["run"], "stage": "Scaling"}}, ALWAYS | {"promote-full", "abort"}),  # type: ignore[dict-item]
        ({**OPEN, "run": {**OPEN["run"], "stage": "RollingBack"}}, ALWAYS),  # type: ignore[dict-item]
        (GATE, ALWAYS | {"promote-full", "abort", "approve", "deny"}),
        (SERVES, ALWAYS | {"rollback"}),
        ({**SERVES, "history": PROMOTED[:1]}, ALWAYS),
        (OUT, ALWAYS | {"retry", "rollback"}),
    ],
    ids=["new", "pending", "observing", "scaling", "rolling-back", "gate", "serving", "first", "rolled-back"],
)
def test_only_what_can_work_is_offered(status: Object, can: set[str]) -> None:
    offered = oracle.offered(model(**status))
    assert {name for name, works in offered.items() if works} == can
    assert set(offered) == {*assemble.actions()} - {"discovery"}


def test_a_paused_run_can_be_resumed_and_not_promoted() -> None:
    paused = model(**OPEN)
    paused["spec"]["paused"] = True
    offered = oracle.offered(paused)
    assert {name for name, works in offered.items() if works} == {"abort", "resume", "restart"}


@pytest.mark.parametrize(
    ("run", "may"),
    [
        ({"plan": [{"approval": "risk", "approvers": ["ann", "ben"]}]}, False),
        ({"plan": [{"approval": "risk", "approvers": ["ann", "argocd"]}]}, True),
        ({"plan": [{"approval": "risk"}], "approvals": [{"name": "risk"}]}, False),
        ({"plan": [{"approval": "risk"}], "approvals": [{"name": "other"}]}, True),
    ],
    ids=["not-among-them", "named", "given", "another-given"],
)
def test_argocd_speaks_only_where_it_is_trusted(run: Object, may: bool) -> None:
    at = model(**{**GATE, "run": {"id": "run-7", "step": 0, "stage": "Observing", **run}})
    offered = oracle.offered(at)
    assert (offered["approve"], offered["deny"]) == (may, may)


@pytest.mark.parametrize(
    ("action", "status", "value"),
    [
        ("promote", OPEN, "run-7/1"),
        ("promote-full", OPEN, "run-7"),
        ("abort", OPEN, "run-7"),
        ("retry", OUT, "run-8"),
        ("rollback", SERVES, "run-7"),
        ("approve", GATE, "run-7/risk by argocd: approved in Argo CD"),
        ("deny", GATE, "run-7/risk by argocd: denied in Argo CD"),
    ],
)
def test_an_action_gives_the_command_that_the_operator_takes(action: str, status: Object, value: str) -> None:
    before = model(**status)
    after = oracle.run(action, copy.deepcopy(before))
    assert after["metadata"].pop("annotations") == {f"fairway.dev/{action}": value}
    assert after == before
    command = pending({f"fairway.dev/{action}": value}, {})[action]
    assert command.run == value.split("/", maxsplit=1)[0]
    assert command.by == ("argocd" if action in ("approve", "deny") else "")


def test_restart_carries_a_time_that_the_operator_takes() -> None:
    before = model(**SERVES)
    before["metadata"]["annotations"] = {"team": "risk"}
    after = oracle.run("restart", copy.deepcopy(before))
    value = after["metadata"]["annotations"].pop("fairway.dev/restart")
    assert after == before
    assert datetime.fromisoformat(value).utcoffset() is not None
    assert set(pending({"fairway.dev/restart": value}, {})) == {"restart"}


@pytest.mark.parametrize(("action", "paused"), [("pause", True), ("resume", False)])
def test_pausing_changes_the_spec_and_nothing_else(action: str, paused: bool) -> None:
    before = model(**OPEN)
    after = oracle.run(action, copy.deepcopy(before))
    assert after["spec"].pop("paused") is paused
    assert after == before


# --- drift -----------------------------------------------------------------------------------------------------


def applied(manifest: Object, status: Object, **annotations: str) -> Object:
    """The live object after a client-side apply, as Argo CD does it, and after us."""
    last = json.dumps(manifest)
    live = copy.deepcopy(manifest)
    live["metadata"]["annotations"] = {"kubectl.kubernetes.io/last-applied-configuration": last, **annotations}
    live["metadata"] |= {"generation": 3, "resourceVersion": "41", "uid": "x"}
    return {**live, "status": status}


@pytest.mark.parametrize("action", sorted({*assemble.actions()} - {"discovery", "pause", "resume"}))
def test_no_command_makes_an_application_out_of_sync(action: str) -> None:
    git = model()
    del git["metadata"]["generation"]
    live = applied(git, {"observedGeneration": 3, **GATE, "history": PROMOTED, "refused": {"run": "run-6"}})
    assert not oracle.out_of_sync(oracle.run(action, live), git)


def test_pausing_is_drift_only_where_git_names_paused() -> None:
    silent, outspoken = model(), model()
    outspoken["spec"]["paused"] = False
    for git, drifts in ((silent, False), (outspoken, True)):
        del git["metadata"]["generation"]
        live = applied(git, {"observedGeneration": 3, **OPEN})
        assert not oracle.out_of_sync(live, git)
        assert oracle.out_of_sync(oracle.run("pause", copy.deepcopy(live)), git) is drifts
        assert not oracle.out_of_sync(oracle.run("resume", copy.deepcopy(live)), git)
