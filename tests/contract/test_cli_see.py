"""The verbs that look, over the wire against an API server with the engine behind it."""

import asyncio
import json
import sys
from pathlib import Path

import pytest
import yaml

from tests.fakes import scenes
from tests.fakes.served import Served
from tests.fakes.terminal import Shell


@pytest.fixture
async def served():
    async with Served() as world:
        world.logs = {"1.0.0": "old 1\nold 2\n", "1.1.0": "loading\nready\n"}
        yield world


@pytest.fixture
def fairway(served, tmp_path):
    return Shell(served, tmp_path)


async def test_list(served, fairway):
    await scenes.canary(served)
    ended = await fairway("list")
    title, line = ended.out.splitlines()
    assert title.split() == ["NAME", "STABLE", "CANDIDATE", "WEIGHT", "STEP", "PHASE", "READY", "AGE"]
    assert line.split() == ["churn", "1.0.0", "1.1.0", "5%", "1/5", "Progressing", "True", "2m48s"]
    assert len(line) <= 80
    wide = (await fairway("list", "-A", "-o", "wide")).out.splitlines()
    assert wide[0].split()[0] == "NAMESPACE"
    assert wide[1].split()[-4:] == ["Undecided", "-", "RunOpen", "http://churn.models.example"]


async def test_list_for_machines(served, fairway):
    await scenes.serving(served)
    assert (await fairway("list", "-o", "name")).out == "modeldeployment.fairway.dev/churn\n"
    assert json.loads((await fairway("list", "-o", "json")).out)["items"][0]["status"]["phase"] == "Healthy"
    assert yaml.safe_load((await fairway("list", "-o", "yaml")).out)["kind"] == "List"


async def test_list_by_labels_and_of_nothing(served, fairway):
    await scenes.serving(served)
    ended = await fairway("list", "-l", "team=risk")
    assert (ended.code, ended.out, ended.err) == (0, "", "no ModelDeployments in namespace ml\n")
    assert (await fairway("-n", "other", "list")).err == "no ModelDeployments in namespace other\n"


async def test_status_is_the_picture(served, fairway):
    await scenes.canary(served)
    ended = await fairway("status", "churn")
    assert ended.code == 0
    assert "├── candidate 1.1.0" in ended.out
    assert "95% asked, 95% served" in ended.out
    assert yaml.safe_load((await fairway("status", "churn", "-o", "yaml")).out)["status"]["run"]["id"] == "run-2"


async def test_status_of_one_who_may_see_only_modeldeployments(served, fairway):
    """Given a user without any right beside ModelDeployments, when looking, then all but pods and route is shown."""
    await scenes.canary(served)
    served.forbidden |= {("list", "pods"), ("get", "httproutes")}
    ended = await fairway("status", "churn")
    assert ended.code == 0
    assert "95% asked, ? served" in ended.out
    assert "churn-m3nnabh2lp-0" not in ended.out
    shown = " ".join(ended.out.replace("│", " ").split())
    assert "pods are not shown: you may not list pods in namespace ml" in shown
    assert "you may not get httproutes.gateway.networking.k8s.io in namespace ml" in shown


async def test_a_watch_asks_only_once_for_what_it_may_not_see(served, fairway):
    """Given a watch without the right to list pods, when the object changes, then pods are not asked for again."""
    await scenes.canary(served)
    served.forbidden |= {("list", "pods"), ("get", "httproutes")}
    watching = asyncio.create_task(fairway("status", "churn", "--watch"))
    async with asyncio.timeout(15):
        while not served.watches:
            await asyncio.sleep(0.01)
        served.command("abort", "run-2")
        await served.live(5)
        await asyncio.sleep(0.2)
        served.remove("ModelDeployment", "churn")
        ended = await watching
    assert "was rolled back: Aborted" in ended.out
    asked = [path.rpartition("/")[2] for _, path in served.requests]
    assert asked.count("pods") == 1


async def test_a_cluster_without_fairway(served, fairway):
    served.installed = False
    for words in (["list"], ["list", "-A"], ["status", "churn"]):
        ended = await fairway(*words)
        assert ended.code == 1
        assert ended.err == "fairway: this cluster has no kind ModelDeployment: Fairway is not installed in it\n"


async def test_a_missing_right_is_named(served, fairway):
    served.forbidden |= {("get", "modeldeployments"), ("list", "modeldeployments"), ("list", "events")}
    ended = await fairway("status", "churn")
    assert ended.code == 1
    assert ended.err == "fairway: you may not get modeldeployments.fairway.dev in namespace ml: ask for that right\n"
    assert "you may not list modeldeployments.fairway.dev in the whole cluster" in (await fairway("list", "-A")).err


async def test_history_why_events(served, fairway):
    await scenes.watched(served)
    history = (await fairway("history", "churn")).out
    assert "✓ run-2  1.1.0  Promoted" in history
    assert "risk-review approved by ann" in history
    assert "commit 4f2c9d1  data 2026-11-01" in history
    assert json.loads((await fairway("history", "churn", "-o", "json")).out)[0]["run"] == "run-2"
    assert "was promoted" in (await fairway("why", "churn", "1.1.0")).out
    assert (await fairway("why", "churn", "9.9.9")).err == "fairway: churn knows no 9.9.9: see fairway history churn\n"
    events = (await fairway("events", "churn")).out
    assert events.index("RunStarted") < events.index("ApprovalNeeded") < events.index("Promoted  1.1.0")


async def test_logs_of_the_candidate_or_of_stable(served, fairway):
    await scenes.canary(served)
    assert (await fairway("logs", "churn")).out == "loading\nready\n"
    assert (await fairway("logs", "churn", "--tail", "1", "-f")).out == "ready\n"
    stable = (await fairway("logs", "churn", "stable", "--tail", "1")).out.splitlines()
    assert stable == [f"[churn-m3nnabh2lp-{n}] old 2" for n in range(4)]
    served.forbidden |= {("get", "pods/log"), ("get", "pods")}
    refused = await fairway("logs", "churn")
    assert refused.code == 1
    assert "you may not get pods/log in namespace ml" in refused.err


@pytest.mark.parametrize("more", [(), ("-f",)])
async def test_logs_that_break_off_are_not_all(served, fairway, more):
    """Given a connection that breaks, when logs are read, then what came is printed, and that it is not all."""
    await scenes.canary(served)
    served.cut_logs = True
    ended = await fairway("logs", "churn", *more)
    assert (ended.code, ended.out) == (1, "loading\nready\n")
    assert "the answer broke off" in ended.err


async def test_logs_of_more_pods_than_are_read(served, fairway):
    served.kubectl_apply(scenes.spec("1.0.0", scaling={"replicas": 23}))
    await served.live(60)
    ended = await fairway("logs", "churn", "--tail", "1")
    assert (ended.code, ended.err) == (0, "only 20 of 23 pods are read\n")
    assert len(ended.out.splitlines()) == 20


async def test_logs_of_nobody(served, fairway):
    await scenes.serving(served)
    ended = await fairway("logs", "churn", "candidate")
    assert (ended.code, ended.err) == (3, "fairway: churn has no candidate now\n")


@pytest.mark.parametrize("kind", ["md", "modeldeployment", "modeldeployments", "modeldeployment.fairway.dev"])
async def test_a_name_as_kubectl_prints_it(served, fairway, kind):
    await scenes.serving(served)
    assert (await fairway("status", f"{kind}/churn", "-o", "name")).out == "modeldeployment.fairway.dev/churn\n"


async def test_a_namespace_that_is_none_stays_in_its_place(served, fairway):
    await fairway("list", "-n", "a/b?c")
    assert served.requests[0][1] == "/apis/fairway.dev/v1alpha1/namespaces/a/b?c/modeldeployments"


async def test_what_is_not_there(served, fairway):
    ended = await fairway("status", "nope")
    assert (ended.code, ended.err) == (1, "fairway: there is no ModelDeployment nope in namespace ml\n")


async def test_an_api_server_that_is_away_is_one_line(served, fairway):
    ended = await fairway("status", "churn", "--server", "http://127.0.0.1:1")
    assert ended.code == 1
    assert ended.err.startswith("fairway: 127.0.0.1:1 cannot be reached")
    assert len(ended.err.splitlines()) == 1
    verbose = await fairway("status", "churn", "--server", "http://127.0.0.1:1", "-v")
    assert "Traceback" in verbose.err


async def test_every_request_is_shown_when_asked(served, fairway):
    await scenes.serving(served)
    ended = await fairway("list", "-v")
    assert "/modeldeployments?limit=500 200" in ended.err
    assert served.tokens[-1] == "Bearer secret"
    assert "secret" not in ended.err


async def test_looking_needs_only_get_and_list(served, fairway):
    """Given any verb that looks, when run, then nothing is written."""
    await scenes.canary(served)
    for words in (
        ["list"],
        ["status", "churn"],
        ["history", "churn"],
        ["why", "churn"],
        ["events", "churn"],
        ["logs", "churn"],
    ):
        assert (await fairway(*words)).code == 0
    assert {method for method, _ in served.requests} == {"GET"}


async def test_a_piped_watch_tells_what_changes(served, tmp_path):
    """Given a canary in a pipe, when it goes on, then each change is one line, and nothing is said twice."""
    await scenes.canary(served)
    config = tmp_path / "config"
    config.write_text(served.kubeconfig())
    plugin = str(Path(sys.executable).with_name("kubectl-fairway"))
    words = ("status", "churn", "--watch", "--kubeconfig", str(config))
    process = await asyncio.create_subprocess_exec(plugin, *words, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        async with asyncio.timeout(30):
            first = (await process.stdout.readline()).decode()
            assert "Progressing  1.1.0 at 5%" in first
            assert "errors  Undecided" in (await process.stdout.readline()).decode()
            assert "latency  Undecided" in (await process.stdout.readline()).decode()
            served.command("abort", "run-2")
            await served.live(3)
            last = (await process.stdout.readline()).decode()
            assert "RolledBack  1.0.0 serves; 1.1.0 was rolled back: Aborted" in last
    finally:
        process.terminate()
        await process.wait()
