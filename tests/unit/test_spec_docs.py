"""The page about the API: its tables are those of the models, its examples are taken as they stand."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft4Validator

from fairway.api import API_VERSION, crd, docs
from fairway.api.crd_rules import RULES
from fairway.api.runtime import ModelRuntimeSpec
from fairway.api.spec import ModelDeploymentSpec
from fairway.api.status import Phase, VerdictState
from fairway.core import commands

PAGE = Path(__file__).resolve().parents[2] / "docs/spec/v1alpha1.md"
TEXT = PAGE.read_text(encoding="utf-8")
BY_HAND = TEXT.partition(docs.BEGIN)[0]
EXAMPLES = [yaml.safe_load(found) for found in re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)]
SPECS = {"ModelDeployment": ModelDeploymentSpec, "ModelRuntime": ModelRuntimeSpec}


def schema(kind: str) -> dict[str, Any]:
    (manifest,) = (found for found in crd.crds().values() if found["spec"]["names"]["kind"] == kind)
    return manifest["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]


def fields(node: dict[str, Any], path: str = "") -> set[str]:
    found = set()
    for name, child in node.get("properties", {}).items():
        below, full = child.get("items", child), f"{path}{name}"
        found |= {full} | fields(below, f"{full}[]." if "items" in child else f"{full}.")
    return found


def test_the_tables_are_those_of_the_models():
    assert docs.check(PAGE) == [], "run `make crds`"


def test_every_field_of_a_spec_has_a_row():
    """A top-level list or object is a heading instead."""
    for kind in SPECS:
        rows = fields(schema(kind))
        written = {path for path in rows if f"| `{path}` |" in TEXT or f"#### {path}" in TEXT}
        assert written == rows


def test_every_rule_is_told():
    told = docs.render()
    for rules in RULES.values():
        for rule in rules:
            assert rule.message in told


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example["metadata"]["name"])
def test_every_example_is_taken(example):
    assert example["apiVersion"] == API_VERSION
    SPECS[example["kind"]].model_validate(example["spec"])
    Draft4Validator(schema(example["kind"])).validate(example["spec"])


def test_there_is_an_example_of_each_kind():
    assert {example["kind"] for example in EXAMPLES} == set(SPECS)


def test_every_command_phase_and_verdict_is_explained():
    words = [f"fairway.dev/{name}" for name in commands.NAMES] + [*Phase.__args__, *VerdictState.__args__]
    assert [word for word in words if f"`{word}`" not in BY_HAND] == []


def test_examples_of_commands_are_understood():
    written = re.findall(r"fairway\.dev/([a-z-]+)=(?:'(.*?)'|(run-\S+))", TEXT)
    assert written
    for name, quoted, plain in written:
        assert commands.pending({f"fairway.dev/{name}": quoted or plain}, {}), name


def test_write_then_check_finds_nothing(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"before\n{docs.BEGIN}\nold\n{docs.END}\nafter\n")
    assert docs.check(page) == [f"{page} differs from the models: write it again with `fairway crds`"]
    docs.write(page)
    assert docs.check(page) == []
    written = page.read_text()
    assert written.startswith("before\n")
    assert written.endswith("\nafter\n")
    assert docs.render() in written
    docs.write(page)
    assert page.read_text() == written


def test_a_page_that_is_not_there_is_a_finding(tmp_path):
    assert docs.check(tmp_path / "none.md") == [f"{tmp_path / 'none.md'} is missing"]


@pytest.mark.parametrize("text", ["", docs.BEGIN, f"{docs.END} {docs.BEGIN}"])
def test_a_page_without_the_marks_is_an_error(tmp_path, text):
    page = tmp_path / "page.md"
    page.write_text(text)
    with pytest.raises(ValueError, match="no place for the tables"):
        docs.write(page)
