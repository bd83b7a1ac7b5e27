"""The admission policies against the API that they are about; what they refuse is asked of a real API server in e2e."""

import functools
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from fairway.core.commands import pending
from tests.packaging import helm
from tests.packaging.helm import ROOT, Object

EVERYTHING = (
    "policy.requirements.card={owner,license,intendedUse,limitations,metrics},policy.requirements.commit=true",
    "policy.requirements.dataVersion=true,policy.requirements.digest=true,policy.requirements.registries={r.example}",
)
PATH = re.compile(r"\b(?:object|oldObject)((?:\.\??[a-zA-Z]+(?!\w*\())+)")
CHECKS_IN_ALL, CHECKS_AT_ONCE = 28, 2
"""What the API server's budget of 10,000,000 for a policy and 1,000,000 for an expression allows, at 350,000 each."""
FREE = {"name", "mountPath", "emptyDir"}
"""Fields of a volume that reach nothing of anybody else."""


def policies(*sets: str) -> dict[str, Object]:
    found = [each for each in helm.objects(*sets) if each["kind"] == "ValidatingAdmissionPolicy"]
    return {each["metadata"]["name"].removeprefix("fairway-"): each["spec"] for each in found}


def bindings(*sets: str) -> dict[str, Object]:
    found = [each for each in helm.objects(*sets) if each["kind"] == "ValidatingAdmissionPolicyBinding"]
    return {each["spec"]["policyName"].removeprefix("fairway-"): each["spec"] for each in found}


def expressions(spec: Object) -> Iterator[str]:
    for part in ("matchConditions", "variables", "validations"):
        for each in spec.get(part, ()):
            yield each["expression"]
            yield each.get("messageExpression", "")


@functools.cache
def schema() -> Object:
    crd = yaml.safe_load((ROOT / "crds/fairway.dev_modeldeployments.yaml").read_text())
    found: Object = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return found


def at(*path: str) -> Object:
    found = schema()
    for name in path:
        found = found["items"] if name == "[]" else found["properties"][name]
    return found


def names(found: Object) -> Iterator[str]:
    """Every property's name, however deep."""
    for name, inner in found.get("properties", {}).items():
        yield name
        yield from names(inner)
    if isinstance(found.get("items"), dict):
        yield from names(found["items"])


@pytest.fixture(scope="module")
def shipped() -> dict[str, Object]:
    return policies(*EVERYTHING)


def test_access_and_approvals_are_on_and_nothing_is_required() -> None:
    assert set(policies()) == {"access", "approvals"}
    assert {each["validationActions"][0] for each in bindings().values()} == {"Deny"}
    off = ("policy.access.enabled=false", "policy.approvals.enabled=false")
    assert policies(*off) == bindings(*off) == {}


@pytest.mark.parametrize("action", ["Warn", "Audit"])
def test_a_requirement_can_be_tried_out(action: str) -> None:
    sets = ("policy.requirements.commit=true", f"policy.requirements.actions={{{action}}}")
    assert bindings(*sets)["requirements"]["validationActions"] == [action]


def test_whoever_cannot_be_judged_is_refused(shipped: dict[str, Object]) -> None:
    for spec in shipped.values():
        assert spec["failurePolicy"] == "Fail"
        (rule,) = spec["matchConstraints"]["resourceRules"]
        assert (rule["resources"], rule["operations"]) == (["modeldeployments"], ["CREATE", "UPDATE"])


def test_in_namespaces_only_these_are_asked() -> None:
    for spec in bindings("namespaces={ml,risk}").values():
        (expression,) = spec["matchResources"]["namespaceSelector"]["matchExpressions"]
        assert expression == {"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["ml", "risk"]}
    assert all("matchResources" not in spec for spec in bindings().values())


def test_every_path_is_one_of_the_api(shipped: dict[str, Object]) -> None:
    found = {path for spec in shipped.values() for text in expressions(spec) for path in PATH.findall(text)}
    paths = {tuple(part.lstrip("?") for part in path.strip(".").split(".")) for path in found}
    assert {("spec", "model", "credentials", "secretName"), ("status", "run", "plan")} <= paths
    for path in paths:
        if path[0] in {"spec", "status"}:
            at(*path)
        else:
            assert path[:2] in {("metadata",), ("metadata", "annotations")}


def test_every_field_of_an_item_is_one_of_the_api(shipped: dict[str, Object]) -> None:
    volume = at("spec", "runtime", "podTemplate", "volumes", "[]")["properties"]
    step = at("status", "run", "plan", "[]")["properties"]
    said = {name: " ".join(expressions(spec)) for name, spec in shipped.items()}
    assert set(re.findall(r"\bv\.(\w+)", said["access"])) == set(volume) - FREE
    assert set(re.findall(r"\bs\.\??(\w+)", said["approvals"])) - {"approvers"} == {"approval"}
    assert {"approval", "approvers"} <= set(step)


def test_whatever_names_an_object_is_asked_about(shipped: dict[str, Object]) -> None:
    """A new field of the overlay, or one that names a Secret or the like elsewhere, needs a line in the policy."""
    access = " ".join(expressions(shipped["access"]))
    overlay = at("spec", "runtime", "podTemplate")["properties"]
    assert {name for name in overlay if f"podTemplate.{name}" not in access} == set()
    reference = re.compile(r"secret|serviceAccount|claim|configMap|className|valueFrom", re.IGNORECASE)
    naming = {name for part in ("model", "runtime") for name in names(at("spec", part)) if reference.search(name)}
    assert {name for name in naming if not re.search(rf"\b{name}\b", access)} == set()


def test_a_variable_of_a_pod_is_text_and_nothing_else() -> None:
    assert set(at("spec", "runtime", "env", "[]")["properties"]) == {"name", "value"}


def test_the_budget_holds_whatever_a_model_names(shipped: dict[str, Object]) -> None:
    for spec in shipped.values():
        checks = [
            each["expression"].count(".check(") for part in ("variables", "validations") for each in spec.get(part, ())
        ]
        assert sum(checks) <= CHECKS_IN_ALL - 2  # the rest is for what is no check
        assert max(checks, default=0) <= CHECKS_AT_ONCE


def test_the_rights_that_the_sample_grants_are_those_that_the_policy_asks_for(shipped: dict[str, Object]) -> None:
    access = re.sub(r"\s+", " ", " ".join(expressions(shipped["access"])))
    (role, _) = yaml.safe_load_all((ROOT / "manifests/samples/model-owner.yaml").read_text())
    granted = [rule for rule in role["rules"] if "resourceNames" in rule or rule["verbs"] == ["use"]]
    assert len(granted) == 3
    for rule in granted:
        (group,), (resource,), (verb,) = rule["apiGroups"], rule["resources"], rule["verbs"]
        resource, _, sub = resource.partition("/")
        right = f"group('{group}').resource('{resource}')" + (f".subresource('{sub}')" if sub else "")
        assert right in access
        assert f"check('{verb}')" in access


# --- approvals: policy and operator must read a word alike ----------------------------------------------------------


def grammar() -> re.Pattern[str]:
    (expression,) = (
        each["expression"] for each in policies()["approvals"]["variables"] if each["name"] == "wellFormed"
    )
    (pattern,) = re.findall(r"matches\('(.*)'\)", expression)
    return re.compile(pattern)


GRAMMAR = grammar()
WORDS = st.text(st.sampled_from("ab:/ \n-1"), max_size=30)


def named_by_the_policy(value: str) -> str:
    """The user that the policy compares with the requester, as its expression cuts it out."""
    return value.split(" by ", 1)[1].split(": ", 1)[0]


@given(user=WORDS, comment=WORDS, name=st.sampled_from(["risk", "a-1"]))
def test_who_the_policy_checks_is_who_the_operator_records(user: str, comment: str, name: str) -> None:
    value = f"run-7/{name} by {user}: {comment}"
    if not GRAMMAR.search(value):
        return
    command = pending({"fairway.dev/approve": value}, {})["approve"]
    checked = named_by_the_policy(value)
    assert command.gate == name
    if "\n" not in checked:  # no name of a user has one; the operator writes it on one line
        assert command.by == checked


@pytest.mark.parametrize(
    "value",
    [
        "run-7/risk by ann",
        "run-7/risk by ann:",
        "run-7/risk by ann smith: x",
        "run-7/Risk by ann: x",
        "run-7 by ann: x",
        "7/risk by ann: x",
        " run-7/risk by ann: x",
        "run-7/risk  by ann: x",
        "xrun-7/risk by ann: x",
    ],
)
def test_what_is_not_well_formed_never_gets_past(value: str) -> None:
    assert not GRAMMAR.search(value)


def test_accounts_that_may_speak_for_others_are_listed() -> None:
    account = "system:serviceaccount:argocd:argocd-server"
    spec = policies(f"policy.approvals.trustedProxies={{{account}}}")["approvals"]
    (proxy,) = (each["expression"] for each in spec["variables"] if each["name"] == "proxy")
    assert proxy == f'request.userInfo.username in ["{account}"]'
    nobody: Any = policies()["approvals"]["variables"]
    assert "request.userInfo.username in []" in [each["expression"] for each in nobody]
