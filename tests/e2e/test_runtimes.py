"""Real model servers with the shipped ModelRuntimes: what the operator counts is what the load has seen."""

import asyncio
import json
import os
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
import yaml

from fairway.api.runtime import ModelRuntimeSpec
from fairway.api.spec import ModelDeploymentSpec
from fairway.cli.backtest_source import promql
from fairway.core import objectives
from fairway.core.revision import resolve
from fairway.core.verdict import ObjectivePlan, Question, SeriesMatcher
from fairway.engine import whose
from fairway.ports import Selector
from tests.e2e.harness import Namespace, condition, serves
from tests.e2e.loading import plan
from tests.e2e.programs import ROOT, environment, kubectl
from tests.load.generator import Load

pytestmark = pytest.mark.e2e

QUIET = 12.0
"""Seconds, more than two scrapes, in which nothing more is counted of requests that have ended."""

CLOSED = {500, 502}
"""What a failure looks like behind the gateway. MLServer closes the connection after it has failed, so the next request
may meet the close before the gateway knows of it: it never gets to the server, which cannot count it. The gateway then
says 502, or 500, depending on when it noticed."""


@dataclass(frozen=True)
class Server:
    """An example with its ModelRuntime, and requests that it answers and fails."""

    example: str
    preset: str
    path: str
    good: Any
    bad: Any


def v2(first: float) -> dict[str, Any]:
    return {"inputs": [{"name": "rows", "shape": [1, 2], "datatype": "FP64", "data": [first, 2.0]}]}


SERVERS = (
    Server("mlserver", "mlserver", "/v2/models/churn/infer", v2(1.0), v2(-1.0)),
    Server("kserve", "kserve", "/v1/models/churn:predict", {"instances": [[1.0, 2.0]]}, {"instances": [[-1.0, 2.0]]}),
    Server("bentoml", "bentoml", "/predict", {"rows": [[1.0, 2.0]]}, {"rows": [[-1.0, 2.0]]}),
    Server("silent", "traefik", "/predict", [[1.0, 2.0]], [[-1.0, 2.0]]),
)
heavy = pytest.mark.skipif(
    not os.environ.get("HEAVY"), reason="its image takes up to ten minutes to build: `make runtimes e2e HEAVY=kserve`"
)
each_server = pytest.mark.parametrize(
    "server",
    [pytest.param(each, id=each.example, marks=[heavy] if each.example == "kserve" else []) for each in SERVERS],
)


def spec_of(ns: Namespace, server: Server, version: str = "1.0.0", **env: str) -> dict[str, Any]:
    """The example's ModelDeployment, in this namespace."""
    spec = yaml.safe_load((ROOT / f"examples/{server.example}/modeldeployment.yaml").read_text())["spec"]
    spec["model"]["version"] = version
    spec["traffic"]["hostnames"] = [ns.host]
    spec["runtime"]["env"] = [{"name": name, "value": value} for name, value in env.items()]
    return dict(spec)


async def up(ns: Namespace, server: Server) -> str:
    """Given the preset, version 1.0.0 behind the gateway, and nothing under way; return its revision."""
    await kubectl("apply", "--server-side", "-f", f"charts/fairway/files/runtimes/{server.preset}.yaml")
    await ns.apply(spec_of(ns, server))
    await ns.healthy("1.0.0", 300)
    end = time.monotonic() + 90
    while (await send(ns, server, server.good, 1)) != {200: 1}:
        assert time.monotonic() < end, await ns.story()
        await asyncio.sleep(0.3)
    return str((await ns.status())["stable"]["revision"])


def url(server: Server) -> str:
    return environment()["FAIRWAY_GATEWAY_URL"] + server.path


async def send(ns: Namespace, server: Server, content: Any, times: int) -> Counter[int | None]:
    """Send the same request some times; return how often each status came back, the gateway's own 500 as a 502."""
    statuses: Counter[int | None] = Counter()
    async with aiohttp.ClientSession(headers={"Host": ns.host}) as session:
        for _ in range(times):
            async with session.post(url(server), json=content) as answer:
                await answer.read()
                statuses[_meant(answer.status, answer.headers.get("server", ""))] += 1
    return statuses


def _meant(status: int | None, server: str) -> int | None:
    # Each of the servers says who it is, and Traefik does not.
    return 502 if status == 500 and not server else status


async def counted(ns: Namespace, server: Server, revision: str) -> dict[str, tuple[float, float]]:
    """(Requests, bad ones) of a revision by each objective's kind, from Prometheus by the operator's own selectors.

    Every request is within the latency histogram; how many are slow is not asked.
    """
    spec = ModelDeploymentSpec.model_validate(spec_of(ns, server))
    preset = yaml.safe_load((ROOT / f"charts/fairway/files/runtimes/{server.preset}.yaml").read_text())
    series = resolve(spec, ModelRuntimeSpec.model_validate(preset["spec"])).series
    found = {}
    for objective in objectives.plan(spec, series):
        question = Question((ns.name, "churn"), "e2e", revision, None, (objective,), since=0.0, weight=100)
        found[objective.kind] = await _counted(objective, question)
    return found


async def _counted(objective: ObjectivePlan, question: Question) -> tuple[float, float]:
    family = objectives.family(objective)
    matchers = [*whose.matchers(family, [question]), *family.matchers]
    if objective.kind == "latency":
        matchers.append(SeriesMatcher("le", "=", "+Inf"))
    requests = bad = 0.0
    for name in (family.metric, *([family.second] if family.second else [])):
        # Pods that are gone by now count, too.
        query = f"last_over_time({promql(Selector(name, tuple(matchers)))}[10m])"
        async with (
            aiohttp.ClientSession() as session,
            session.get(environment()["FAIRWAY_PROMETHEUS_URL"] + "/api/v1/query", params={"query": query}) as answer,
        ):
            result = json.loads(await answer.text())["data"]["result"]
        for one in result:
            each, failed = objectives.weights(objective, {**one["metric"], "__name__": name})
            requests += each * float(one["value"][1])
            bad += failed * float(one["value"][1])
    return requests, bad


async def settled(ns: Namespace, server: Server, revision: str) -> dict[str, tuple[float, float]]:
    """Wait until nothing more is counted: probes that were would never let it settle."""
    end = time.monotonic() + 120
    last, since = await counted(ns, server, revision), time.monotonic()
    while time.monotonic() - since < QUIET or not last["errors"][0]:
        assert time.monotonic() < end, f"{last}: not settled, or nothing is counted\n{await ns.story()}"
        await asyncio.sleep(1)
        now = await counted(ns, server, revision)
        if now != last:
            last, since = now, time.monotonic()
    return last


@pytest.mark.long
@each_server
async def test_s47_counts_are_those_of_the_load(ns: Namespace, server: Server) -> None:
    """Given a real server, when 60 requests succeed and some fail, then exactly they are counted, and no probe."""
    revision = await up(ns, server)
    before = await settled(ns, server, revision)
    assert await send(ns, server, server.good, 60) == {200: 60}
    failed = await send(ns, server, server.bad, 20)
    assert set(failed) <= CLOSED
    assert failed[500] > 0
    after = await settled(ns, server, revision)
    grown = {kind: (after[kind][0] - before[kind][0], after[kind][1] - before[kind][1]) for kind in after}
    assert grown["errors"] == (60 + failed[500], failed[500])
    assert grown["latency"][0] == 60 + failed[500]
    await ns.until("the metrics are seen", lambda s: condition(s, "MetricsReady") == ("True", "Measured"), 240)


@pytest.mark.long
@each_server
async def test_s47_a_broken_version_goes_back_by_its_own_metrics(ns: Namespace, server: Server) -> None:
    """Given a candidate that fails every request, when it gets half of them, then it is out with the right numbers."""
    await up(ns, server)
    requests = plan(url(server), 20, host=ns.host, body=json.dumps(server.good).encode())
    async with Load(requests) as load:
        await ns.apply(spec_of(ns, server, "1.1.0", MODEL_BROKEN="1"))
        status = await ns.until("1.1.0 is rolled back", lambda s: s.get("phase") == "RolledBack", 600)
        result = await load.stop()
    statuses = Counter(_meant(sample.status, sample.server) for sample in result.samples)
    assert set(statuses) - {200} <= CLOSED
    assert serves(status) == "1.0.0"
    assert condition(status, "UpToDate") == ("False", "Regressed")
    errors = next(o for o in status["verdict"]["objectives"] if o["name"] == "errors")
    assert errors["state"] == "Regressed"
    assert 0 < errors["requests"] <= statuses[500]
    counts = await settled(ns, server, status["rejected"][0]["revision"])
    assert counts["errors"] == (statuses[500], statuses[500])
