"""What the shipped policies refuse, asked of the real API server by people who may do only so much (S45)."""

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.e2e.harness import Namespace, condition
from tests.e2e.programs import kubectl, run
from tests.e2e.release import PROXY
from tests.e2e.specs import ONE, standin

pytestmark = pytest.mark.e2e

MINE = {"apiGroups": ["fairway.dev"], "resources": ["modeldeployments"], "verbs": ["*"]}
POLICIES = ("fairway-access", "fairway-approvals")
OVERLAYS = {
    "Secret churn-key": {"volumes": [{"name": "key", "mountPath": "/key", "secret": "churn-key"}]},
    "Secret registry": {"imagePullSecrets": ["registry"]},
    "ConfigMap settings": {"volumes": [{"name": "set", "mountPath": "/set", "configMap": "settings"}]},
    "PersistentVolumeClaim features": {"volumes": [{"name": "f", "mountPath": "/f", "claim": "features"}]},
    "priorityclasses/system-node-critical": {"priorityClassName": "system-node-critical"},
    "runtimeclasses/nvidia": {"runtimeClassName": "nvidia"},
}
PLACEMENTS: dict[str, Any] = {
    "annotations": {"iam.amazonaws.com/role": "admin"},
    "nodeSelector": {"pool": "finance"},
    "tolerations": [{"operator": "Exists"}],
    "affinity": {"nodeAffinity": {}},
    "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}],
}


class Person:
    """Somebody with exactly these rights in the namespace of the test."""

    def __init__(self, ns: Namespace, name: str, groups: tuple[str, ...] = ()) -> None:
        self.ns = ns
        self.name = name
        self._as = (f"--as={name}", *(f"--as-group={group}" for group in groups))

    async def may(self, *rules: dict[str, Any]) -> "Person":
        """Grant these rights, in the namespace and beyond it."""
        role = f"e2e-{uuid.uuid4().hex[:6]}"
        subject = {"kind": "User", "name": self.name, "apiGroup": "rbac.authorization.k8s.io"}
        rbac, scope = "rbac.authorization.k8s.io/v1", {"name": role, "namespace": self.ns.name}
        objects = [
            {"apiVersion": rbac, "kind": "Role", "metadata": scope, "rules": list(rules)},
            {
                "apiVersion": rbac,
                "kind": "RoleBinding",
                "metadata": scope,
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": role},
                "subjects": [subject],
            },
        ]
        await kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))
        await self._until_granted(rules[-1])
        return self

    async def _until_granted(self, rule: dict[str, Any]) -> None:
        """The authorizer learns of a new role by its watch."""
        kind, _, sub = rule["resources"][0].partition("/")
        kind += f".{rule['apiGroups'][0]}".rstrip(".")
        (name,) = rule.get("resourceNames", [""])[:1]
        what = f"{kind}/{name}" if name else kind
        words = ["auth", "can-i", rule["verbs"][0], what, "-n", self.ns.name, f"--subresource={sub}", *self._as]
        for _ in range(100):
            if (await kubectl(*words, check=False)).startswith("yes"):
                return
            await asyncio.sleep(0.1)
        raise AssertionError(f"{self.name} was never granted {rule}")

    async def tries(self, spec: dict[str, Any], *, dry: bool = True) -> str:
        """Apply the model; return what the API server says."""
        manifest = {"apiVersion": "fairway.dev/v1alpha1", "kind": "ModelDeployment"}
        manifest |= {"metadata": {"name": "churn", "namespace": self.ns.name}, "spec": spec}
        words = ("apply", "--server-side", "--force-conflicts", "--validate=strict", f"--field-manager={self.name}")
        how = ("--dry-run=server",) if dry else ()
        return await kubectl(*words, *how, "-f", "-", *self._as, stdin=json.dumps(manifest), check=False)

    async def says(self, command: str, value: str, *, dry: bool = True) -> str:
        """Give a command; return what the API server says."""
        how = ("--dry-run=server",) if dry else ()
        words = ("-n", self.ns.name, "annotate", "--overwrite", "md", "churn", f"fairway.dev/{command}={value}")
        return await kubectl(*words, *how, *self._as, check=False)


def spec(overlay: dict[str, Any] | None = None, **of_the_model: Any) -> dict[str, Any]:
    """The example model with an overlay of its pods."""
    asked = standin("1.0.0")
    asked["model"].update(of_the_model)
    if overlay is not None:
        asked["runtime"]["podTemplate"] = overlay
    return asked


@pytest.fixture
async def author(ns: Namespace) -> Person:
    """Somebody with all rights on ModelDeployments, and no other."""
    return await Person(ns, "author").may(MINE)


def accepted(answer: str) -> bool:
    """Whether the API server took it."""
    return "serverside-applied" in answer or "annotated" in answer


async def test_the_api_server_understands_every_expression() -> None:
    """Given the installed policies, then the API server has checked their types and warns of nothing."""
    for name in POLICIES:
        end = time.monotonic() + 90
        while True:
            policy = json.loads(await kubectl("get", "validatingadmissionpolicy", name, "-o", "json"))
            if policy.get("status", {}).get("observedGeneration") == policy["metadata"]["generation"]:
                break
            assert time.monotonic() < end, f"{name} was not looked at"
            await asyncio.sleep(0.5)
        assert policy["status"].get("typeChecking", {}).get("expressionWarnings", []) == []


async def test_s45_an_author_may_serve_what_names_nothing(author: Person) -> None:
    """Given rights on ModelDeployments only, when the model names no object, then it is accepted."""
    assert accepted(await author.tries(spec()))
    scratch = {"volumes": [{"name": "shm", "mountPath": "/dev/shm", "emptyDir": {"medium": "Memory"}}]}
    assert accepted(await author.tries(spec(scratch)))


async def test_s45_an_author_reaches_nothing_by_name(author: Person) -> None:
    """Given rights on ModelDeployments only, when it names an object, then it is refused with its name and why."""
    for what, overlay in OVERLAYS.items():
        answer = await author.tries(spec(overlay))
        assert "fairway-access" in answer, what
        assert what in answer
        assert "author needs the right to" in answer
    for field, value in PLACEMENTS.items():
        answer = await author.tries(spec({field: value}))
        assert "author needs the right to use modeldeployments/podtemplate" in answer, field
    answer = await author.tries(spec(uri="pvc://models/churn"))
    assert "the PersistentVolumeClaim models" in answer
    fetched = {"uri": "https://models.example/churn.tar", "credentials": {"secretName": "store"}}
    assert "the Secret store" in await author.tries(spec(**fetched))


async def test_s45_a_right_by_name_opens_exactly_that_name(author: Person) -> None:
    """Given a right to one Secret, one claim and the choice of nodes, then these are accepted and others are not."""
    core: dict[str, Any] = {"apiGroups": [""]}
    await author.may(
        {**core, "resources": ["secrets"], "resourceNames": ["churn-key"], "verbs": ["get"]},
        {**core, "resources": ["persistentvolumeclaims"], "resourceNames": ["models"], "verbs": ["use"]},
        {"apiGroups": ["fairway.dev"], "resources": ["modeldeployments/podtemplate"], "verbs": ["use"]},
    )
    assert accepted(await author.tries(spec(OVERLAYS["Secret churn-key"])))
    assert "the Secret registry" in await author.tries(spec(OVERLAYS["Secret registry"]))
    assert accepted(await author.tries(spec(uri="pvc://models/churn")))
    assert "PersistentVolumeClaim features" in await author.tries(spec(OVERLAYS["PersistentVolumeClaim features"]))
    assert accepted(await author.tries(spec(PLACEMENTS)))


async def test_s45_to_see_a_claim_is_not_to_read_its_files(author: Person) -> None:
    """Given the rights of a viewer, when the model mounts a claim, then it is refused: get shows no file of it."""
    await author.may({"apiGroups": [""], "resources": ["persistentvolumeclaims", "configmaps"], "verbs": ["get"]})
    assert accepted(await author.tries(spec(OVERLAYS["ConfigMap settings"])))
    assert "PersistentVolumeClaim models" in await author.tries(spec(uri="pvc://models/churn"))


async def test_s45_as_many_rights_as_one_model_can_need_fit_in_the_budget(author: Person) -> None:
    """Given rights by name to as much as is allowed, when all is named at once, then it is accepted; more is not."""
    core: dict[str, Any] = {"apiGroups": [""]}
    secrets, maps, claims = ([f"{kind}-{n}" for n in range(16)] for kind in ("s", "c", "p"))
    await author.may(
        {**core, "resources": ["secrets"], "resourceNames": secrets, "verbs": ["get"]},
        {**core, "resources": ["configmaps"], "resourceNames": maps, "verbs": ["get"]},
        {**core, "resources": ["persistentvolumeclaims"], "resourceNames": claims, "verbs": ["use"]},
        {"apiGroups": ["fairway.dev"], "resources": ["modeldeployments/podtemplate"], "verbs": ["use"]},
    )
    volumes = [
        {"name": name, "mountPath": f"/mnt/{name}", kind: name}
        for kind, names in (("secret", secrets[:6]), ("configMap", maps[:6]), ("claim", claims[:4]))
        for name in names
    ]
    most = {**PLACEMENTS, "imagePullSecrets": secrets[6:8], "volumes": volumes}
    assert accepted(await author.tries(spec(most)))
    answer = await author.tries(spec({**most, "imagePullSecrets": secrets[6:9]}))
    assert "more than 8 objects of the kind Secret" in answer


async def test_s45_who_may_run_pods_is_not_asked(ns: Namespace) -> None:
    """Given the right to create pods, or Deployments, when the model names anything, then it is accepted."""
    for name, group, kind in (("podder", "", "pods"), ("deployer", "apps", "deployments")):
        person = await Person(ns, name).may(MINE, {"apiGroups": [group], "resources": [kind], "verbs": ["create"]})
        for overlay in (*OVERLAYS.values(), PLACEMENTS):
            assert accepted(await person.tries(spec(overlay)))


async def test_s45_a_model_with_somebody_elses_secret_cannot_be_turned_against_it(
    ns: Namespace, author: Person
) -> None:
    """Given an admin's model that mounts a Secret, then an author may scale and pause it, but not change what runs."""
    owned = spec(OVERLAYS["Secret churn-key"])
    await ns.apply(owned)
    assert accepted(await author.tries({**owned, "scaling": {"replicas": 1}, "paused": True}))
    stolen = json.loads(json.dumps(owned))
    stolen["runtime"]["command"] = ["cat", "/key/token"]
    assert "the Secret churn-key" in await author.tries(stolen)
    assert accepted(await author.says("restart", "2026-01-01T00:00:00Z"))


async def test_s45_the_host_is_not_representable(author: Person) -> None:
    """Given a model that asks for the host, then the API server knows no such field."""
    for overlay in (
        {"volumes": [{"name": "host", "mountPath": "/host", "hostPath": {"path": "/"}}]},
        {"hostNetwork": True},
        {"securityContext": {"privileged": True}},
        {"serviceAccountName": "operator"},
    ):
        assert "field not declared in schema" in await author.tries(spec(overlay))
    leak = standin("1.0.0")
    leak["runtime"]["env"] = [{"name": "T", "valueFrom": {"secretKeyRef": {"name": "churn-key", "key": "token"}}}]
    assert "field not declared in schema" in await author.tries(leak)


async def test_approvals_are_true(ns: Namespace) -> None:
    """Given an approval with approvers, when words come, then only one in the name of an approver who gives it."""
    gate = {"approval": "risk", "approvers": ["ann", "risk-team"]}
    steps = [{"weight": 50, "for": "1s"}, gate, {"approval": "anybody"}]
    await ns.apply(standin("1.0.0", **ONE))
    await ns.healthy("1.0.0")
    await ns.apply(standin("1.1.0", **ONE, rollout={"steps": steps}))
    status = await ns.until("the gate", lambda s: condition(s, "Paused") == ("True", "ApprovalNeeded"))
    await words_at_the_gate(ns, status["run"]["id"])


async def words_at_the_gate(ns: Namespace, open_run: str) -> None:
    """Say everything that may be said at a gate."""
    ann, bob, eve = Person(ns, "ann"), Person(ns, "bob", ("risk-team",)), Person(ns, "eve", ("interns",))
    for person in (ann, bob, eve):
        await person.may(MINE)
    for command in ("approve", "deny"):
        for person, value, answer in (
            (eve, f"{open_run}/risk by eve: I like it", "not among the approvers: eve"),
            (eve, f"{open_run}/risk by ann: I like it", "must name the one who gives it"),
            (ann, f"{open_run}/risk by bob: he said yes", "must name the one who gives it"),
            (eve, f"{open_run}/risk by eve by ann: x", "must read"),
            (eve, f"{open_run}/risk by eve: yes by ann: x", "not among the approvers: eve"),
            (ann, f"{open_run}/risk by ann", "must read"),
            (ann, f"{open_run}/risk by ann:", "must read"),
            (ann, "yes", "must read"),
            (ann, "run-999/risk by ann: later", "not part of the run that is under way"),
            (ann, f"{open_run}/other by ann: what", "not part of the run that is under way"),
            (ann, f"{open_run}/risk by ann: looks good: really by all", "annotated"),
            (bob, f"{open_run}/risk by bob: for the team", "annotated"),
            (eve, f"{open_run}/anybody by eve: fine", "annotated"),
            (eve, "", "annotated"),
        ):
            assert answer in await person.says(command, value), value
    proxy = Person(ns, PROXY)
    await proxy.may(MINE)
    assert accepted(await proxy.says("approve", f"{open_run}/risk by ann: by its page"))
    assert "not among the approvers: eve" in await proxy.says("approve", f"{open_run}/risk by eve: by its page")
    assert accepted(await ann.says("approve", f"{open_run}/risk by ann: done", dry=False))
    # What was said stays and is nobody else's to repeat; other edits are not looked at.
    assert accepted(await eve.says("restart", "2026-01-01T00:00:00Z"))


@pytest.fixture
async def strict(ns: Namespace) -> AsyncIterator[Namespace]:
    """The test's namespace, with every requirement that can be asked for."""
    name = f"strict-{ns.name}"
    values = (
        f"fullnameOverride={name},namespaces={{{ns.name}}}",
        "policy.access.enabled=false,policy.approvals.enabled=false",
        "policy.requirements.card={owner,metrics},policy.requirements.commit=true",
        "policy.requirements.dataVersion=true,policy.requirements.digest=true",
        "policy.requirements.registries={registry.example/ml}",
    )
    sets = [word for value in values for word in ("--set", value)]
    shown = ("template", "fairway", "charts/fairway", "--kube-version=1.35.4", "-s", "templates/policies.yaml")
    await kubectl("apply", "-f", "-", stdin=await run("helm", *shown, *sets))
    try:
        yield ns
    finally:
        kinds = "validatingadmissionpolicy,validatingadmissionpolicybinding"
        await kubectl("delete", kinds, f"{name}-requirements", "--ignore-not-found")


async def test_requirements_name_what_is_missing(strict: Namespace) -> None:
    """Given a platform that asks for card, commit, data, digest and registry, then each is asked for by its path."""
    admin = Person(strict, "admin", ("system:masters",))
    pin = f"@sha256:{'0' * 64}"
    good = spec(card={"owner": "risk", "metrics": {"auc": "0.9"}}, source={"commit": "4f2"}, data={"version": "1"})
    good["runtime"]["image"] = f"registry.example/ml/churn{pin}"

    def without(part: str, *path: str, **more: Any) -> dict[str, Any]:
        changed = json.loads(json.dumps(good))
        changed[part] = {k: v for k, v in changed[part].items() if k not in path} | more
        return dict(changed)

    refused = {
        "spec.model.card.owner": without("model", card={"metrics": {"auc": "0.9"}}),
        "spec.model.card.metrics": without("model", card={"owner": "risk"}),
        "spec.model.source.commit": without("model", "source"),
        "spec.model.data.version": without("model", "data"),
        "spec.runtime.image must end with its digest": without("runtime", image="registry.example/ml/churn:1"),
        "spec.runtime.image must be from one of": without("runtime", image=f"registry.example/mlx/churn{pin}"),
        "spec.model.digest": without("model", uri="https://models.example/churn.tar"),
        "spec.model.uri must end with the digest": without("model", uri="oci://registry.example/ml/churn:1"),
        "spec.model.uri must be from one of": without("model", uri=f"oci://other.example/churn{pin}"),
    }
    end = time.monotonic() + 90
    while accepted(await admin.tries(refused["spec.model.card.owner"])):
        assert time.monotonic() < end, "the policy never came into force"
        await asyncio.sleep(0.5)
    assert accepted(await admin.tries(good))
    for says, asked in refused.items():
        assert says in await admin.tries(asked), says
