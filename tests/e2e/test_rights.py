"""The operator's rights against what it does: nothing that it may do is of no use, nothing that it does is refused."""

import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.harness import STARTED, Namespace, condition, serves
from tests.e2e.programs import environment, kubectl
from tests.e2e.release import OPERATOR
from tests.e2e.specs import standin

pytestmark = pytest.mark.e2e

ACCOUNT = f"system:serviceaccount:{OPERATOR}:fairway"
Right = tuple[str, str, str]
"""Group, resource with subresource, verb."""
ONCE: dict[Right, str] = {
    ("coordination.k8s.io", "leases", "create"): "the Lease outlives the operator: it is made once in a cluster's life",
}
"""Rights that need not have been used in this very run, each with the reason."""
GRACE = timedelta(seconds=10)
"""How long authorizers take to learn of new roles; clocks of the log's entries are a moment apart."""


def scaled(ns: Namespace, version: str, **more: Any) -> dict[str, Any]:
    """A spec that makes a child of every kind."""
    made = standin(version, scaling={"minReplicas": 1, "maxReplicas": 2}, rollout={"steps": [], "watch": {"for": "0s"}})
    return {**made, "traffic": {"hostnames": [ns.host]}, **more}


async def test_s38_strangers_of_every_kind_are_looked_at_and_left_alone(ns: Namespace) -> None:
    """Given objects of somebody else with the names of all children, when the model comes, then none is adopted."""
    await ns.apply(scaled(ns, "1.0.0"))
    status = await ns.healthy("1.0.0")
    child = f"churn-{status['stable']['revision']}"
    await kubectl("-n", ns.name, "delete", "md", "churn", "--timeout=90s")
    kinds = {"deployment": child, "service": child, "hpa": child, "poddisruptionbudget": child, "httproute": "churn"}
    kinds |= {"controllerrevision": child}
    for kind, name in kinds.items():
        await kubectl("-n", ns.name, "wait", kind, name, "--for=delete", "--timeout=180s")
    await kubectl("create", "-f", "-", stdin=json.dumps(strangers(ns, child)))
    await ns.apply(scaled(ns, "1.0.0"))
    status = await ns.until("it is refused", lambda s: condition(s, "Stalled") == ("True", "WriteRefused"))
    assert "not ours" in status["message"]
    for kind, name in kinds.items():
        shown = await kubectl("-n", ns.name, "get", kind, name, "-o", "json", "--show-managed-fields")
        meta = json.loads(shown)["metadata"]
        assert "ownerReferences" not in meta, kind
        assert not [each for each in meta["managedFields"] if each["manager"].startswith("fairway")], kind


def strangers(ns: Namespace, child: str) -> dict[str, Any]:
    """One object of each kind that the operator makes, of somebody else."""

    def made(version: str, kind: str, name: str, **content: Any) -> dict[str, Any]:
        return {"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": ns.name}, **content}

    labels = {"matchLabels": {"of": "somebody"}}
    containers = [{"name": "c", "image": "none.example/c"}]
    pod = {"metadata": {"labels": {"of": "somebody"}}, "spec": {"containers": containers}}
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": child}
    route = {"parentRefs": [{"name": "models", "namespace": "gateways"}], "hostnames": [f"strange.{ns.host}"]}
    items = [
        made("apps/v1", "ControllerRevision", child, revision=1, data={}),
        made("apps/v1", "Deployment", child, spec={"replicas": 0, "selector": labels, "template": pod}),
        made("v1", "Service", child, spec={"ports": [{"port": 80}]}),
        made("policy/v1", "PodDisruptionBudget", child, spec={"maxUnavailable": 1, "selector": labels}),
        made("autoscaling/v2", "HorizontalPodAutoscaler", child, spec={"maxReplicas": 2, "scaleTargetRef": target}),
        made("gateway.networking.k8s.io/v1", "HTTPRoute", "churn", spec=route),
    ]
    return {"apiVersion": "v1", "kind": "List", "items": items}


@pytest.mark.long
async def test_what_is_wanted_no_more_goes_and_what_was_bent_is_straightened(ns: Namespace) -> None:
    """Given a short history, when versions pass and the route is given up, then old records and the route go."""
    short = {"history": {"revisions": 1}}
    for version in ("1.0.0", "1.1.0", "1.2.0"):
        await ns.apply(scaled(ns, version, **short))
        await ns.healthy(version)
    status = await ns.until("the others retire", lambda s: not s.get("retiring") and not s.get("former"))
    await ns.shows("controllerrevisions", lambda found: "1.0.0" not in {each["data"]["version"] for each in found})
    child = f"churn-{status['stable']['revision']}"
    bent = json.dumps({"spec": {"maxUnavailable": 0}})
    await kubectl("-n", ns.name, "patch", "pdb", child, "--type=merge", "-p", bent)
    spec = scaled(ns, "1.2.0", **short)
    del spec["traffic"]
    await ns.apply(spec)
    await kubectl("-n", ns.name, "wait", "httproute", "churn", "--for=delete", "--timeout=180s")
    straight = "--for=jsonpath={.spec.maxUnavailable}=1"
    await kubectl("-n", ns.name, "wait", "pdb", child, straight, "--timeout=90s")
    assert serves(await ns.status()) == "1.2.0"


# --- the judgement ---------------------------------------------------------------------------------------------------


def log() -> Iterator[dict[str, Any]]:
    """Everything in the audit log since the tests began, also what was rotated away, in order."""
    current = Path(environment()["FAIRWAY_AUDIT_LOG"])
    since = datetime.fromisoformat(STARTED.read_text(encoding="utf-8"))
    rotated = sorted(path for path in current.parent.glob("audit-*.log") if path.stat().st_mtime >= since.timestamp())
    for path in (*rotated, current):
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                ours = ACCOUNT in line or "rbac.authorization.k8s.io" in line  # reading JSON takes its time
                if not ours or not line.endswith("\n"):  # the last one may still be written
                    continue
                entry = json.loads(line)
                if _when(entry) >= since:
                    yield entry


def _when(entry: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(entry["requestReceivedTimestamp"]).astimezone(UTC)


def _right(entry: dict[str, Any]) -> Right:
    about = entry["objectRef"]
    sub = f"/{about['subresource']}" if about.get("subresource") else ""
    return about.get("apiGroup", ""), f"{about['resource']}{sub}", entry["verb"]


async def granted() -> set[Right]:
    """Every right of the operator's roles, as they are in the cluster."""
    roles = [
        json.loads(await kubectl("get", "clusterrole", "fairway", "-o", "json")),
        json.loads(await kubectl("-n", OPERATOR, "get", "role", "fairway-lease", "-o", "json")),
    ]
    return {
        (group, resource, verb)
        for role in roles
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


@pytest.mark.last
async def test_s45_the_role_has_no_unused_and_no_missing_verb(operator: None) -> None:
    """Given the audit log of all the tests, then every right was used, and nothing was refused but during a removal."""
    assert STARTED.exists(), "`make e2e` notes when it began"
    used: Counter[Right] = Counter()
    refused: Counter[Right] = Counter()
    denied: list[tuple[datetime, Right]] = []
    changed: list[tuple[datetime, str]] = []
    for entry in log():
        about = entry.get("objectRef") or {}
        own = about.get("name", "").startswith("fairway")
        if about.get("apiGroup") == "rbac.authorization.k8s.io" and own and entry["verb"] in {"delete", "create"}:
            changed.append((_when(entry), entry["verb"]))
        if entry["user"]["username"] != ACCOUNT or "resource" not in about:
            continue
        # Not every 403: a namespace that is going away and a quota answer so, too.
        if entry["annotations"]["authorization.k8s.io/decision"] == "forbid":
            denied.append((_when(entry), _right(entry)))
        else:
            used[_right(entry)] += 1
    changed.sort()  # the log has them as they were answered
    for at, right in denied:
        before = [change for change in changed if change[0] <= at + GRACE]
        # A removal lasts until the roles come again; then the authorizers have to learn of them.
        if not before or (before[-1][1] == "create" and at - before[-1][0] > GRACE):
            refused[right] += 1
    assert used, "the operator did nothing: is this its audit log?"
    assert dict(refused) == {}
    assert (await granted()) - used.keys() - ONCE.keys() == set()
