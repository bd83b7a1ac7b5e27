"""The CRDs: structural, without defaults, bounded, and the same as the copy in ``crds/``."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import pytest
import yaml
from jsonschema import Draft4Validator
from pydantic import BaseModel, Field

from fairway.api import crd
from fairway.api.crd_rules import RULES
from fairway.api.crd_schema import SchemaError, structural
from fairway.api.spec import ModelDeploymentSpec
from fairway.api.status import (
    Condition,
    Former,
    HistoryEntry,
    Hold,
    ObjectiveStatus,
    PlanStep,
    Rejected,
    Retiring,
    Run,
    Status,
    Track,
    VerdictStatus,
)
from fairway.api.types import QUANTITY
from tests.contract.refusals import ACCEPTED, REFUSED

ROOT = Path(__file__).resolve().parents[2]
FILES = ("fairway.dev_modeldeployments.yaml", "fairway.dev_modelruntimes.yaml")
Node = tuple[str, dict[str, Any]]


@cache
def version_of(file: str) -> dict[str, Any]:
    (version,) = crd.crds()[file]["spec"]["versions"]
    return version


def schema_of(file: str) -> dict[str, Any]:
    return version_of(file)["schema"]["openAPIV3Schema"]


def walk(schema: dict[str, Any], path: str = "") -> Iterator[Node]:
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from walk(child, f"{path}.{name}")
    for keyword in ("items", "additionalProperties"):
        if keyword in schema:
            yield from walk(schema[keyword], f"{path}[*]")


def nodes(part: str = "") -> list[Node]:
    return [(path, node) for file in FILES for path, node in walk(schema_of(file)) if path.startswith(part)]


def test_the_copy_in_the_repository_is_what_the_models_say():
    assert crd.check(ROOT / "crds") == []


def test_write_then_check_finds_nothing(tmp_path):
    written = crd.write(tmp_path / "new")
    assert sorted(path.name for path in written) == sorted(FILES)
    assert crd.check(tmp_path / "new") == []
    assert yaml.safe_load(written[0].read_text()) == crd.crds()[written[0].name]


def test_check_names_each_file_that_is_not_right(tmp_path):
    changed, missing = (path for path in crd.write(tmp_path))
    changed.write_text(changed.read_text() + "# by hand\n")
    missing.unlink()
    (tmp_path / "fairway.dev_old.yaml").touch()
    (tmp_path / "kustomization.yaml").touch()
    findings = crd.check(tmp_path)
    assert len(findings) == 3
    assert findings[0].startswith(f"{changed} differs")
    assert findings[1].startswith(f"{missing} is missing")
    assert "fairway.dev_old.yaml is of no kind" in findings[2]


def test_both_are_small_enough_to_be_carried_in_an_annotation():
    assert sum(len((ROOT / "crds" / file).read_bytes()) for file in FILES) < 200 * 1024


@pytest.mark.parametrize("file", FILES)
def test_every_level_has_a_type(file):
    for path, node in walk(schema_of(file)):
        assert "type" in node or node.get("x-kubernetes-int-or-string"), path
        assert not node.keys() & {"$ref", "$defs", "title", "default", "const", "nullable", "oneOf"}, path
        assert "anyOf" not in node or node.get("x-kubernetes-int-or-string"), path
        assert isinstance(node.get("additionalProperties", {}), dict), path
        assert not {"properties", "additionalProperties"} <= node.keys(), path


def test_no_keyword_of_ours_is_written():
    assert not [keyword for _, node in nodes() for keyword in node if keyword.startswith("x-fairway")]


def test_what_people_write_is_bounded():
    for path, node in nodes(".spec"):
        match node.get("type"):
            case "array":
                assert "maxItems" in node, path
            case "string":
                assert node.keys() & {"maxLength", "enum"}, path
            case "integer" | "number":
                assert {"minimum", "maximum"} <= node.keys(), path
            case "object":
                assert "additionalProperties" not in node or "maxProperties" in node, path
            case None:
                assert "maxLength" in node, path


def test_an_excluded_bound_is_a_flag():
    schema = dict(nodes())[".spec.objectives[*].latency.percentile"]
    assert {keyword: value for keyword, value in schema.items() if keyword != "description"} == {
        "type": "number",
        "minimum": 0,
        "exclusiveMinimum": True,
        "maximum": 100,
        "exclusiveMaximum": True,
    }


def test_a_quantity_is_an_integer_or_a_string():
    assert dict(nodes())[".spec.resources.requests[*]"] == {
        "anyOf": [{"type": "integer"}, {"type": "string"}],
        "x-kubernetes-int-or-string": True,
        "minimum": 0,
        "pattern": QUANTITY,
        "maxLength": 32,
    }


def test_what_belongs_to_others_is_kept_as_it_is():
    kept = {path for path, node in nodes() if node.get("x-kubernetes-preserve-unknown-fields")}
    pod = ".spec.runtime.podTemplate"
    assert kept == {
        ".spec.scaling.metrics[*]",
        ".spec.scaling.behavior",
        f"{pod}.affinity",
        f"{pod}.tolerations[*]",
        f"{pod}.topologySpreadConstraints[*]",
        ".status.effective",
    }


def test_lists_say_how_server_side_apply_merges_them():
    keyed = {
        path: node["x-kubernetes-list-map-keys"]
        for path, node in nodes()
        if node.get("x-kubernetes-list-type") == "map"
    }
    assert keyed == {
        ".spec.objectives": ["name"],
        ".spec.runtime.env": ["name"],
        ".spec.runtime.podTemplate.volumes": ["name"],
        ".spec.env": ["name"],
        ".status.conditions": ["type"],
    }
    others = [(path, node) for path, node in nodes() if node.get("type") == "array" and path not in keyed]
    assert all(node["x-kubernetes-list-type"] == "atomic" for _, node in others)


def test_list_keys_are_required():
    for path, node in nodes():
        for key in node.get("x-kubernetes-list-map-keys", ()):
            assert key in node["items"]["required"], path


def test_a_field_is_described_by_itself_or_by_its_model():
    described = {path: node.get("description") for path, node in nodes()}
    assert [
        path for path, text in described.items() if path.startswith(".spec") and "[*]" not in path[-3:] and not text
    ] == []
    assert described[".spec.traffic.gateway"] == "Default: the operator's default gateway."
    assert described[".spec.rollout"] == "How a new revision takes over."
    assert all("\n" not in text and "``" not in text for text in described.values() if text)


def test_every_rule_is_in_the_schema():
    written = [entry for _, node in nodes(".spec") for entry in node.get("x-kubernetes-validations", ())]
    for rules in RULES.values():
        for rule in rules:
            assert rule.manifest() in written


def test_every_rule_has_an_example_that_it_refuses():
    for rules in RULES.values():
        for rule in rules:
            told = [example for example in REFUSED if example.says in rule.message]
            assert [example for example in told if example.field.endswith(rule.field)], rule


def test_every_rule_blames_a_field_that_is_there():
    for path, node in nodes():
        for entry in node.get("x-kubernetes-validations", ()):
            at = node
            for name in entry.get("fieldPath", "").split(".")[1:]:
                assert name in at["properties"], (path, entry)
                at = at["properties"][name]


@pytest.mark.parametrize(("file", "scope", "short"), [(FILES[0], "Namespaced", "md"), (FILES[1], "Cluster", "mrt")])
def test_names_and_scope(file, scope, short):
    manifest = crd.crds()[file]
    names = manifest["spec"]["names"]
    assert manifest["metadata"]["name"] == f"{names['plural']}.fairway.dev"
    assert (manifest["spec"]["scope"], names["shortNames"], names["categories"]) == (scope, [short], ["fairway"])


def test_a_model_deployment_is_scaled_by_fields_that_are_there():
    scale = version_of(FILES[0])["subresources"]["scale"]
    known = dict(walk(schema_of(FILES[0])))
    assert {key: known[path]["type"] for key, path in scale.items()} == {
        "specReplicasPath": "integer",
        "statusReplicasPath": "integer",
        "labelSelectorPath": "string",
    }


def test_only_a_model_deployment_has_subresources():
    assert version_of(FILES[0])["subresources"].keys() == {"status", "scale"}
    assert "subresources" not in version_of(FILES[1])
    assert "status" not in schema_of(FILES[1])["properties"]


def test_columns():
    columns = version_of(FILES[0])["additionalPrinterColumns"]
    shown = [column["name"].upper() for column in columns if not column.get("priority")]
    wide = [column["name"].upper() for column in columns if column.get("priority")]
    assert " ".join(shown) == "VERSION STABLE CANDIDATE WEIGHT STEP PHASE READY URL AGE"
    assert " ".join(wide) == "RUNTIME REASON"


@pytest.mark.parametrize("file", FILES)
def test_columns_show_fields_that_are_there(file):
    known = dict(walk(schema_of(file)))
    for column in version_of(file)["additionalPrinterColumns"]:
        path, _, rest = column["jsonPath"].partition("[?")
        field = f"{path}[*]{rest.partition(']')[2]}" if rest else path
        assert field == ".metadata.creationTimestamp" or known[field]["type"] == column["type"]


@pytest.mark.parametrize("example", ACCEPTED, ids=lambda example: example.why)
def test_what_the_models_write_fits_the_schema(example):
    spec = ModelDeploymentSpec.model_validate(example.full())
    dumped = spec.model_dump(mode="json", by_alias=True, exclude_none=True)
    Draft4Validator(schema_of(FILES[0])["properties"]["spec"]).validate(dumped)


def test_a_full_status_fits_the_schema():
    track = Track(revision="a1", version="1.0.0", weight=5, replicas=1, ready=1, rejected_reason="Crash")
    status = Status(
        observed_generation=1,
        phase="Progressing",
        url="http://churn.example",
        stable=track,
        candidate=track,
        former=Former(revision="a0", version="0.9.0", replicas=1, run="r1", promoted_at=1.5, until=2.5),
        run=Run(
            id="r2", since=1, started_at=1, size=2, plan=(PlanStep(weight=5, for_=120, replicas=1),), progress="1/2"
        ),
        verdict=VerdictStatus(
            state="Healthy", at=1, objectives=(ObjectiveStatus(name="errors", state="Healthy", limit="1%"),)
        ),
        retiring=(Retiring(revision="a0", at=3),),
        hold=Hold(replicas=2, until=3),
        rejected=(Rejected(revision="b", version="1.1.0", reason="Crash", at=3),),
        history=(HistoryEntry(run="r1", revision="a", version="1.0.0", started_at=1, ended_at=2, outcome="Promoted"),),
        conditions=(Condition(type="Ready", status="True", reason="Serves", last_transition_time=1),),
    )
    schema = schema_of(FILES[0])["properties"]["status"]
    Draft4Validator(schema).validate(status.model_dump(mode="json", by_alias=True, exclude_none=True))
    assert Status.model_validate(status.model_dump(mode="json", by_alias=True, exclude_none=True)) == status


def test_a_union_that_kubernetes_cannot_say_is_an_error():
    class Odd(BaseModel):
        field: bool | str

    with pytest.raises(SchemaError, match="union"):
        structural(Odd, {})


def test_a_keyword_that_nobody_has_thought_about_is_an_error():
    class Odd(BaseModel):
        field: Annotated[int, Field(multiple_of=2)]

    with pytest.raises(SchemaError, match="multipleOf"):
        structural(Odd, {})
