"""What the operator says about itself, as the real Prometheus has it: every query of dashboards and alerts runs."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from fairway.core.build.alerts import ALERT
from tests.e2e.harness import Namespace, condition
from tests.e2e.programs import ROOT, environment, kubectl
from tests.e2e.specs import standin

pytestmark = pytest.mark.e2e

CHART = ROOT / "charts/fairway/files"
LATER = {"fairway_objective", "fairway_model_verdict", "fairway_notifications", "container_", "histogram_quantile"}
"""Names of what may have no sample here: no objective, no webhook, no cAdvisor, too few samples for a rate."""


def alerts() -> dict[str, str]:
    """Every alert's expression."""
    groups = yaml.safe_load(Path(CHART / "alerts.yaml").read_text())["groups"]
    return {rule["alert"]: rule["expr"] for group in groups for rule in group["rules"]}


def expressions(namespace: str) -> list[str]:
    """Every query of the dashboards and alerts, with the variables filled in for one model."""
    found = []
    for path in sorted(CHART.glob("dashboards/*.json")):
        for panel in json.loads(path.read_text())["panels"]:
            found += [target["expr"] for target in panel.get("targets", ())]
    values = {"$__rate_interval": "1m", "$__range": "1h", "$namespace": namespace, "$model": "churn"}
    for name, value in values.items():
        found = [each.replace(name, value) for each in found]
    return [*found, *alerts().values()]


async def ask(client: httpx.AsyncClient, expression: str) -> list[dict[str, Any]]:
    """Ask Prometheus; fail with its words."""
    answer = (await client.post("/api/v1/query", data={"query": expression})).json()
    assert answer["status"] == "success", f"{expression}: {answer.get('error')}"
    assert not answer.get("warnings"), f"{expression}: {answer.get('warnings')}"
    result: list[dict[str, Any]] = answer["data"]["result"]
    return result


async def firing(client: httpx.AsyncClient, alert: str) -> set[str]:
    """Return the namespaces for which an alert's expression holds, its patience aside."""
    return {each["metric"]["namespace"] for each in await ask(client, alerts()[alert])}


async def fires(client: httpx.AsyncClient, alert: str, ns: Namespace) -> None:
    """Wait until an alert's expression holds for a namespace."""
    async with asyncio.timeout(60):
        while ns.name not in await firing(client, alert):
            await asyncio.sleep(1)


async def until(client: httpx.AsyncClient, expression: str, *, there: bool, seconds: float = 120.0) -> None:
    """Wait until a query has an answer, or has none any more."""
    async with asyncio.timeout(seconds):
        while bool(await ask(client, expression)) is not there:
            await asyncio.sleep(1)


async def test_every_query_runs_and_the_series_of_a_model_come_and_go(ns: Namespace) -> None:
    """Given a run at a gate, when Prometheus is asked all that dashboards ask, then it answers; deleted, it forgets."""
    held = [{"weight": 50, "for": "1s"}, {"approval": "risk-review"}]
    traffic = {"hostnames": [ns.host]}
    await ns.apply(standin("1.0.0", traffic=traffic))
    await ns.healthy("1.0.0")
    await ns.apply(standin("1.1.0", traffic=traffic, rollout={"steps": held}))
    await ns.until("the gate", lambda s: condition(s, "Paused") == ("True", "ApprovalNeeded"))
    mine = f'{{namespace="{ns.name}",model="churn"}}'
    async with httpx.AsyncClient(
        base_url=environment()["FAIRWAY_PROMETHEUS_URL"], trust_env=False, timeout=60.0
    ) as client:
        await until(client, f"fairway_model_step{mine} == 2", there=True)
        await until(client, f'fairway_model_phase{{namespace="{ns.name}",phase="Paused"}}', there=True)
        for expression in expressions(ns.name):
            if any(word in expression for word in ("==", ">", "[", "absent", *LATER)):
                await ask(client, expression)
            else:
                await until(client, expression, there=True)  # a scrape of the operator may have failed just now
        await until(client, f"fairway_model_weight{mine}", there=True)
        (info,) = await ask(client, f'fairway_model_info{{namespace="{ns.name}",model="churn",track="candidate"}}')
        assert (info["metric"]["version"], info["metric"]["commit"]) == ("1.1.0", "4f2c9d1")
        weights = {
            each["metric"]["track"]: each["value"][1] for each in await ask(client, f"fairway_model_weight{mine}")
        }
        assert weights == {"stable": "50", "candidate": "50"}
        await fires(client, "FairwayRunWaits", ns)
        assert ns.name not in await firing(client, "FairwayModelRolledBack")
        abort = f"fairway.dev/abort={(await ns.status())['run']['id']}"
        await kubectl("-n", ns.name, "annotate", "md", "churn", abort)
        await until(client, f'fairway_model_phase{{namespace="{ns.name}",phase="RolledBack"}}', there=True)
        await fires(client, "FairwayModelRolledBack", ns)
        assert ns.name not in await firing(client, "FairwayModelStalled")
        await kubectl("-n", ns.name, "delete", "md", "churn", "--timeout=90s")
        await until(client, f'{{__name__=~"fairway_.+",namespace="{ns.name}"}}', there=False)


async def watched(ns: Namespace, objectives: list[str], seconds: float = 120.0) -> list[dict[str, Any]]:
    """Wait until the model's rule has an alert for exactly these objectives; return the alerts."""
    found: list[dict[str, Any]] = []
    async with asyncio.timeout(seconds):
        while [rule["labels"]["objective"] for rule in found] != objectives:
            await asyncio.sleep(0.3)
            rules = await ns.items("prometheusrules")
            assert len(rules) <= 1
            found = rules[0]["spec"]["groups"][0]["rules"] if rules else []
    return found


async def test_a_models_alerts_follow_its_objectives_and_can_be_asked(ns: Namespace) -> None:
    """Given objectives, when a model serves, then a rule watches them; it changes and goes with them."""
    errors = {"name": "errors", "errors": {"below": "1%"}, "minRequests": 20}
    latency = {"name": "latency", "latency": {"percentile": 99, "below": "1s"}, "minRequests": 20}
    served = {"traffic": {"hostnames": [ns.host]}}
    await ns.apply(standin("1.0.0", objectives=[errors], **served))
    await ns.healthy("1.0.0")
    await watched(ns, ["errors"])
    meta = (await ns.get("prometheusrule"))["metadata"]
    assert [each["kind"] for each in meta["ownerReferences"]] == ["ModelDeployment"]
    await ns.apply(standin("1.0.0", objectives=[errors, latency], **served))
    rules = await watched(ns, ["errors", "latency"])
    assert {rule["alert"] for rule in rules} == {ALERT}
    await ns.answers()
    async with (
        ns.load(10) as load,
        httpx.AsyncClient(base_url=environment()["FAIRWAY_PROMETHEUS_URL"], trust_env=False, timeout=60.0) as client,
    ):
        found = {rule["labels"]["objective"]: rule["expr"] for rule in rules}
        # With a limit that all requests break it has a value, so that silence is no accident.
        await until(client, found["latency"].replace("> 0.01", ">= 0"), there=True)
        await ask(client, found["latency"])  # a busy machine may be slow: that it can be asked is enough
        assert await ask(client, found["errors"]) == []
        await load.stop()
    await ns.apply(standin("1.0.0", **served))
    await watched(ns, [])
    assert (await ns.status())["runs"] == 1
