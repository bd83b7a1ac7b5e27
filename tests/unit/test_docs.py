"""What the documents say is true: YAML parses as the API takes it, commands exist, every reason is explained."""

import ast
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from fairway.adapters.logs import JsonFormatter
from fairway.api.runtime import ModelRuntimeSpec
from fairway.api.spec import ModelDeploymentSpec
from fairway.core.build.common import Owner
from fairway.core.target import make_record
from tests.argocd import oracle
from tests.cluster.prometheus import model_relabeling, scrape_config

ROOT = Path(__file__).resolve().parents[2]
VALUES = json.loads((ROOT / "charts/fairway/values.schema.json").read_text(encoding="utf-8"))
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
REASON = re.compile(r"^[A-Z][a-z]+([A-Z][a-z]+)*$")
CONDITIONS = {"Ready", "UpToDate", "RouteReady", "MetricsReady", "Reconciling", "Stalled", "RolledBack", "Degraded"}


def blocks(language: str) -> Iterator[tuple[str, str]]:
    for page in PAGES:
        for found in re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
            yield page.name, found


@pytest.mark.parametrize(("page", "text"), list(blocks("yaml")))
def test_every_yaml_is_valid(page: str, text: str) -> None:
    for document in yaml.safe_load_all(text):
        if text.startswith("# values.yaml\n"):
            jsonschema.validate(document, VALUES)
            continue
        if text.startswith("# prometheus.yml\n"):
            _is_how_the_tests_scrape(document["scrape_configs"][0])
            continue
        assert set(document) <= {"apiVersion", "kind", "metadata", "spec"}, page
        kind = document.get("kind", "ModelDeployment")
        if kind == "Application":
            oracle.accept(document)
        elif kind == "PodMonitor":
            _relabels_as_the_tests_do(document["spec"])
        else:
            {"ModelRuntime": ModelRuntimeSpec, "ModelDeployment": ModelDeploymentSpec}[kind].model_validate(
                document["spec"]
            )


def _is_how_the_tests_scrape(job: dict[str, Any]) -> None:
    """The same job as in the development cluster, without the labels that only people want."""
    (proven,) = (each for each in scrape_config({})["scrape_configs"] if each["job_name"] == "models")
    rules = job.pop("relabel_configs")
    assert job == {name: value for name, value in proven.items() if name != "relabel_configs"}
    assert all(rule in proven["relabel_configs"] for rule in rules)
    assert {rule.get("target_label") for rule in rules} >= {"__address__", "__metrics_path__", "namespace", "pod"}


def _relabels_as_the_tests_do(spec: dict[str, Any]) -> None:
    """The Prometheus Operator writes the same rules in camel case; the port is that of each model's container."""
    (endpoint,) = spec["podMetricsEndpoints"]
    snake = {"targetLabel": "target_label", "sourceLabels": "source_labels"}
    rules = [{snake.get(name, name): value for name, value in rule.items()} for rule in endpoint["relabelings"]]
    assert all(rule in model_relabeling() for rule in rules)
    assert {rule["target_label"] for rule in rules} == {"__address__", "__metrics_path__"}
    runtime = {"image": "churn:1", "port": 8080}
    model = ModelDeploymentSpec.model_validate({"model": {"version": "1.0.0"}, "runtime": runtime})
    template = make_record(Owner("ml", "churn", "uid"), model, None).template
    assert endpoint["port"] in {port["name"] for port in template["spec"]["containers"][0]["ports"]}
    assert spec["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items()


def test_every_log_line_is_as_the_operator_writes_it() -> None:
    lines = [json.loads(line) for _, text in blocks("json") for line in text.splitlines()]
    assert {line["audit"] for line in lines} == {"decision", "command"}
    for line in lines:
        record = logging.makeLogRecord({**line, "msg": line["message"], "name": line["logger"], "created": 0.0})
        assert set(json.loads(JsonFormatter().format(record))) == set(line)


def test_every_make_target_exists() -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = {word for page in PAGES for word in re.findall(r"\bmake ([a-z][a-z0-9-]+)", code(page))}
    assert named
    assert named <= targets


def code(page: Path) -> str:
    """What a page marks as code."""
    return "\n".join(re.findall(r"```.*?```|`[^`\n]+`", page.read_text(encoding="utf-8"), re.DOTALL))


def test_every_local_link_leads_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def explained() -> set[tuple[str, str]]:
    """What docs/reference/reasons.md explains: the condition, or Event, and the reason."""
    conditions, events = (ROOT / "docs/reference/reasons.md").read_text(encoding="utf-8").split("\n## Events\n")
    found: set[tuple[str, str]] = set()
    for row in re.findall(r"^\| (`.*) \|$", conditions, re.MULTILINE):
        of, _, reasons = row.split(" | ")[:3]
        known = {reason for shown, reason in found if f"as `{shown}`" == reasons} or set(words(reasons))
        found |= {(condition, reason) for condition in words(of) for reason in known}
    for row in re.findall(r"^\| (`.*) \|$", events, re.MULTILINE):
        found |= {("Event", reason) for reason in words(row.split(" | ")[0])}
    return found


def words(cell: str) -> list[str]:
    return re.findall(r"`(\w+)`", cell)


def test_every_reason_is_explained_where_it_appears() -> None:
    """A CamelCase word in the engine that is no condition's name is a reason, and reasons are a promise."""
    said: set[tuple[str, str]] = set()
    for module in (ROOT / "operator/fairway").rglob("*.py"):
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            said |= set(_reasons(node))
    assert {
        ("Event", "Promoted"),
        ("UpToDate", "Promoted"),
        ("UpToDate", "Crashed"),
        ("UpToDate", "RunOpen"),
        ("Stalled", "RuntimeNotFound"),
        ("Ready", "FirstRevisionFailed"),
        ("RouteReady", "NoGateway"),
        ("MetricsReady", "NoBucket"),
    } <= said
    assert said - explained() == set()


PLACES = {
    "Event": (0, ("Event",)),
    "Unresolved": (0, ("UpToDate", "Stalled", "Event")),
    "RouteTrouble": (0, ("RouteReady",)),
    "roll_back": (1, ("UpToDate",)),
    "give_back": (1, ("UpToDate",)),
    "Problem": (0, ("MetricsReady",)),
    "Trouble": (2, ("MetricsReady",)),
}
"""A call that names a reason: which argument it is, and the conditions that show it."""


def _reasons(node: ast.AST) -> Iterator[tuple[str, str]]:
    """Literal reasons with what shows them: of the calls above, and of conditions: type, status, reason, message."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in PLACES:
        place, shown = PLACES[node.func.id]
        given: list[ast.expr] = node.args[place : place + 1]
    elif isinstance(node, ast.Tuple) and len(node.elts) == 4 and isinstance(node.elts[0], ast.Constant):
        given, shown = node.elts[2:3], (str(node.elts[0].value),)
        if shown[0] not in CONDITIONS or not CONDITIONS.isdisjoint(_literals(given)):
            return
    else:
        return
    yield from ((each, reason) for each in shown for reason in _literals(given) if REASON.match(reason))


def _literals(expressions: list[ast.expr]) -> Iterator[str]:
    for each in expressions:
        if isinstance(each, ast.IfExp):
            yield from _literals([each.body, each.orelse])
        elif isinstance(each, ast.BoolOp):
            yield from _literals(each.values)
        elif isinstance(each, ast.Constant):
            yield str(each.value)
