"""The kubectl plugin on the real cluster, as people with few rights use it: every verb, and what it then did."""

import asyncio
import json
import os
import re
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.harness import Namespace, condition, epoch, serves
from tests.e2e.programs import environment, kubectl
from tests.e2e.specs import ONE, standin

pytestmark = pytest.mark.e2e

BIN = Path(sys.executable).parent
HELD = [{"weight": 20, "for": "10m"}, {"weight": 50, "for": "10m"}]
DONE, FAILED, REFUSED, OTHERWISE = 0, 1, 3, 5


@dataclass(frozen=True)
class Ended:
    """How a call ended, and what it said."""

    code: int
    out: str
    err: str


Fairway = Callable[..., Awaitable[Ended]]


async def user(ns: Namespace, folder: Path, name: str, *roles: str) -> Path:
    """A service account with these ClusterRoles in the namespace, and a kubeconfig for it."""
    await kubectl("-n", ns.name, "create", "serviceaccount", name)
    for role in roles:
        subject = f"--serviceaccount={ns.name}:{name}"
        await kubectl("-n", ns.name, "create", "rolebinding", f"{name}-{role}", f"--clusterrole={role}", subject)
    token = (await kubectl("-n", ns.name, "create", "token", name)).strip()
    shown = json.loads(await kubectl("config", "view", "--raw", "--minify", "-o", "json"))
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "clusters": [{"name": "test", "cluster": shown["clusters"][0]["cluster"]}],
        "users": [{"name": name, "user": {"token": token}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": name, "namespace": ns.name}}],
    }
    path = folder / f"{name}.kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return path


def program(config: Path, *command: str) -> Fairway:
    """Call the installed program with this kubeconfig."""

    async def call(*words: str, seconds: float = 300.0) -> Ended:
        variables = environment() | {"KUBECONFIG": str(config)}
        variables["PATH"] = f"{BIN}{os.pathsep}{variables['PATH']}"
        process = await asyncio.create_subprocess_exec(
            *(command or (str(BIN / "fairway"),)),
            *words,
            env=variables,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(seconds):
                out, err = await process.communicate()
        except TimeoutError:
            process.kill()
            await process.wait()
            raise
        return Ended(process.returncode or 0, out.decode(), err.decode())

    return call


@pytest.fixture
async def owner(ns: Namespace, tmp_path: Path) -> Fairway:
    """A model owner: may write ModelDeployments, and sees nothing of their pods."""
    return program(await user(ns, tmp_path, "owner", "fairway-view", "fairway-edit"))


@pytest.fixture
async def viewer(ns: Namespace, tmp_path: Path) -> Fairway:
    """Somebody who may look at everything in the namespace, and change nothing."""
    return program(await user(ns, tmp_path, "viewer", "view"))


def routed(ns: Namespace, version: str, *, steps: list[dict[str, Any]] | None = None, **more: Any) -> dict[str, Any]:
    """A spec behind the gateway, without objectives: only time and people decide."""
    rollout = {"steps": HELD if steps is None else steps, "watch": {"for": "5m"}}
    return standin(version, **{**ONE, "traffic": {"hostnames": [ns.host]}, "rollout": rollout, **more})


async def tried(ns: Namespace, steps: list[dict[str, Any]] | None = None) -> str:
    """Given 1.0.0 that serves and 1.1.0 at 20 %; return the run."""
    await ns.apply(routed(ns, "1.0.0"))
    await ns.healthy("1.0.0")
    await ns.apply(routed(ns, "1.1.0", steps=steps))
    status = await ns.until("20 %", lambda s: s.get("candidate", {}).get("weight") == 20)
    return str(status["run"]["id"])


async def test_a_viewer_sees_everything(ns: Namespace, viewer: Fairway) -> None:
    """Given a canary, when somebody looks with every verb, then all of it is told, and the status is as it was."""
    run = await tried(ns)
    listed = await viewer("list")
    assert re.search(r"^churn +1\.0\.0 +1\.1\.0 +20% +1/3 +Progressing +True", listed.out, re.MULTILINE), listed
    shown = await viewer("status", "churn")
    assert shown.code == DONE, shown.err
    assert "20% asked" in shown.out
    assert all(pod["metadata"]["name"] in shown.out for pod in await ns.pods("1.1.0"))
    assert run in shown.out
    assert json.loads((await viewer("status", "churn", "-o", "json")).out)["status"]["run"]["id"] == run
    assert "commit 4f2c9d1" in (await viewer("history", "churn")).out
    assert "1.1.0 is being tried against 1.0.0" in (await viewer("why", "churn")).out
    await ns.told("WeightChanged")
    assert "WeightChanged" in (await viewer("events", "churn")).out
    assert (await viewer("logs", "churn", "--tail", "-1")).code == DONE
    refused = await viewer("abort", "churn")
    assert refused.code == FAILED
    assert f"you may not patch modeldeployments.fairway.dev in namespace {ns.name}" in refused.err
    assert (await ns.status())["run"]["id"] == run


async def test_an_owner_without_pod_rights_sees_and_steers(ns: Namespace, owner: Fairway) -> None:
    """Given rights on ModelDeployments only, when promoted, rolled back, retried and aborted, then each is done."""
    run = await tried(ns)
    shown = await owner("status", "churn")
    assert shown.code == DONE, shown.err
    assert run in shown.out
    events = await owner("events", "churn")
    assert "you may not list events" in events.err
    promoted = await owner("promote", "churn", "--wait")
    assert promoted.code == DONE, promoted.err
    await ns.weighs({"1.0.0": 50, "1.1.0": 50})
    full = await owner("promote", "churn", "--full", "--wait")
    assert full.code == DONE, full.err
    assert serves(await ns.status()) == "1.1.0"
    back = await owner("rollback", "churn", "--wait")
    assert back.code == DONE, back.err
    assert condition(await ns.status(), "UpToDate") == ("False", "RolledBackByCommand")
    again = await owner("retry", "churn", "--wait")
    assert again.code == DONE, again.err
    aborted = await owner("abort", "churn", "--wait")
    assert aborted.code == DONE, aborted.err
    waited = await owner("wait", "churn", "--timeout", "60s")
    assert (waited.code, "Aborted" in waited.err) == (OTHERWISE, True)


@pytest.mark.parametrize(("verb", "comment"), [("approve", "looked at"), ("approve", ""), ("deny", "")])
async def test_an_owner_decides_an_approval(ns: Namespace, owner: Fairway, verb: str, comment: str) -> None:
    """Given a gate, when decided, then the record names the account that the API server knows."""
    steps = [{"weight": 20, "for": "1s"}, {"approval": "risk-review"}, {"weight": 50, "for": "1s"}]
    await tried(ns, steps)
    await ns.until("the gate", lambda s: condition(s, "Paused") == ("True", "ApprovalNeeded"))
    refused = await owner("promote", "churn")
    assert (refused.code, "fairway approve churn" in refused.err) == (REFUSED, True)
    ended = await owner(verb, "churn", *(("-m", comment) if comment else ()), "--wait")
    assert ended.code == DONE, ended.err
    by = f"system:serviceaccount:{ns.name}:owner"
    if verb == "approve":
        status = await ns.healthy("1.1.0")
        given = status["history"][0]["approvals"][0]
        assert (given["by"], given.get("comment", "")) == (by, comment)
    else:
        status = await ns.until("denied", lambda s: s["phase"] == "RolledBack")
        assert by in status["message"]


async def test_an_owner_pauses_resumes_and_restarts(ns: Namespace, owner: Fairway) -> None:
    """Given a run, when paused, resumed and restarted, then it holds, goes on, and every pod is new."""
    await tried(ns, [{"weight": 20, "for": "40s"}])
    assert (await owner("pause", "churn", "--wait")).code == DONE
    assert condition(await ns.status(), "Paused") == ("True", "PausedBySpec")
    assert (await owner("resume", "churn", "--wait")).code == DONE
    assert (await owner("wait", "churn", "--for", "uptodate", "--timeout", "300s")).code == DONE
    before = {pod["metadata"]["uid"] for pod in await ns.pods("1.1.0")}
    assert (await owner("restart", "churn", "--wait")).code == DONE
    async with asyncio.timeout(180):
        while before & {pod["metadata"]["uid"] for pod in await ns.pods("1.1.0")}:
            await asyncio.sleep(0.5)


async def test_foreseeing_what_the_cluster_then_does(ns: Namespace, owner: Fairway, tmp_path: Path) -> None:
    """Given a file, when linted, rendered and planned and then applied, then it becomes what was told, in that time."""
    await ns.apply(routed(ns, "1.0.0"))
    await ns.healthy("1.0.0")
    spec = routed(ns, "1.1.0", steps=[{"weight": 20, "for": "5s"}, {"weight": 50, "for": "5s"}])
    document = {
        "apiVersion": "fairway.dev/v1alpha1",
        "kind": "ModelDeployment",
        "metadata": {"name": "churn"},
        "spec": spec,
    }
    file = tmp_path / "churn.yaml"
    file.write_text(yaml.safe_dump(document))
    linted = await owner("lint", "-f", str(file))
    assert linted.code == DONE, linted.out
    told = await owner("plan", "-f", str(file), "--gateway", "gateways/models")
    assert told.code == DONE, told.err
    rendered = await owner("render", "-f", str(file), "--gateway", "gateways/models")
    names = {(o["kind"], o["metadata"]["name"]) for o in yaml.safe_load_all(rendered.out)}
    await ns.apply(spec)
    status = await ns.healthy("1.1.0")
    revision = status["stable"]["revision"]
    assert f"A new revision, {revision}" in told.out
    assert ("Deployment", f"churn-{revision}") in names
    least = re.search(r"At least (\d+)s", told.out)
    assert least is not None, told.out
    run = status["history"][0]
    ready = [c for pod in await ns.pods("1.1.0") for c in pod["status"]["conditions"] if c["type"] == "Ready"]
    started = max(epoch(each["lastTransitionTime"]) for each in ready) - epoch(run["startedAt"])
    seconds = epoch(run["endedAt"]) - epoch(run["startedAt"])
    assert int(least[1]) <= seconds <= int(least[1]) + max(started, 0) + 60, "what is more is the start of the pods"
    broken = {**document, "spec": {**spec, "replicas": 3}}
    file.write_text(yaml.safe_dump(broken))
    linted = await owner("lint", "-f", str(file))
    assert (linted.code, "spec.replicas" in linted.out) == (REFUSED, True)


async def test_a_watch_tells_a_rollback(ns: Namespace, viewer: Fairway, tmp_path: Path) -> None:
    """Given a watch in a pipe, when a version crashes, then the log of the watch has its way and its end."""
    await ns.apply(routed(ns, "1.0.0"))
    await ns.healthy("1.0.0")
    config = tmp_path / "viewer.kubeconfig"
    process = await asyncio.create_subprocess_exec(
        str(BIN / "fairway"), "status", "churn", "--watch", "--kubeconfig", str(config),
        env=environment(), stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        async with asyncio.timeout(300):
            first = (await process.stdout.readline()).decode()
            await ns.apply(routed(ns, "1.1.0", env={"FAULT_CRASH": "start"}))
            seen = ""
            while "was rolled back: Crashed" not in seen:
                line = await process.stdout.readline()
                assert line, f"the watch ended: {seen}"
                seen += line.decode()
        assert "Healthy  1.0.0 serves" in first
        assert "Progressing  1.1.0 at 0%" in seen
    finally:
        process.terminate()
        await process.wait()


@pytest.mark.load
async def test_a_backtest_finds_what_the_run_found(ns: Namespace, viewer: Fairway, tmp_path: Path) -> None:
    """Given a bad version that took itself out, when its hour is replayed, then it would have been taken out."""
    judged = {"objectives": [{"name": "errors", "errors": {"below": "2%"}}]}
    await ns.apply(routed(ns, "1.0.0", **judged))
    await ns.healthy("1.0.0")
    await ns.answers()
    await ns.until("it is measured", lambda s: condition(s, "MetricsReady") == ("True", "Measured"))
    bad = routed(ns, "1.1.0", env={"FAULT_ERROR_SHARE": "0.5"}, **judged)
    async with ns.load(60) as load:
        began = datetime.now(UTC).isoformat()
        await ns.apply(bad)
        status = await ns.until("it is out", lambda s: s["phase"] == "RolledBack")
        await load.stop()
    tried, stable = status["rejected"][0]["revision"], status["stable"]["revision"]
    document = {"apiVersion": "fairway.dev/v1alpha1", "kind": "ModelDeployment", "metadata": {"name": "churn"}}
    file = tmp_path / "churn.yaml"
    file.write_text(yaml.safe_dump({**document, "spec": bad}))
    ended = await viewer(
        "backtest", "-f", str(file), "--prometheus", environment()["FAIRWAY_PROMETHEUS_URL"], "-n", ns.name,
        "--from", began, "--candidate", tried, "--stable", stable,
    )  # fmt: skip
    assert ended.code == OTHERWISE, ended
    assert "Regressed: the candidate would have been rolled back" in ended.out


async def test_kubectl_finds_the_plugin_and_completes_names(ns: Namespace, viewer: Fairway, tmp_path: Path) -> None:
    """Given the program in the PATH, when called through kubectl, then it is the same; names are completed."""
    await ns.apply(routed(ns, "1.0.0"))
    await ns.healthy("1.0.0")
    config = tmp_path / "viewer.kubeconfig"
    through = await program(config, "kubectl", "fairway")("list", "-o", "name")
    assert through.out == (await viewer("list", "-o", "name")).out == "modeldeployment.fairway.dev/churn\n"
    completed = await program(config, str(BIN / "kubectl_complete-fairway"))("status", "")
    assert completed.out == "churn\n:4\n"
