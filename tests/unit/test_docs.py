"""What the documents say is true: YAML parses as the API takes it, commands exist, every reason is explained."""

import argparse
import ast
import json
import logging
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest
import yaml

from fairway.adapters.logs import JsonFormatter
from fairway.api.runtime import ModelRuntimeSpec
from fairway.api.spec import ModelDeploymentSpec
from fairway.cli import backtest
from tests.argocd import oracle

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
        assert set(document) <= {"apiVersion", "kind", "metadata", "spec"}, page
        kind = document.get("kind", "ModelDeployment")
        if kind == "Application":
            oracle.accept(document)
        else:
            {"ModelRuntime": ModelRuntimeSpec, "ModelDeployment": ModelDeploymentSpec}[kind].model_validate(
                document["spec"]
            )


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


def test_every_backtest_is_understood() -> None:
    parser = argparse.ArgumentParser(exit_on_error=False)
    backtest.add_arguments(parser)
    shown = [
        shlex.split(line.split("backtest", 1)[1])
        for page in PAGES
        for block in re.findall(r"```(?:sh|console)?\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
        for line in block.replace("\\\n", " ").splitlines()
        if line.lstrip("$ ").startswith("fairway backtest")
    ]
    assert len(shown) >= 2
    for words in shown:
        options = parser.parse_args(words)
        assert backtest.when(options.start, 1e9) < backtest.when(options.to, 1e9 + 1e9)


def test_every_local_link_leads_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_reason_is_explained() -> None:
    """A CamelCase word in the engine that is no condition's name is a reason, and reasons are a promise."""
    said = set()
    for module in (ROOT / "operator/fairway").rglob("*.py"):
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            said |= set(_reasons(node))
    assert {"Promoted", "Regressed", "NotReadyInTime", "RuntimeNotFound", "FirstRevisionFailed"} <= said
    text = (ROOT / "docs/reference/reasons.md").read_text(encoding="utf-8")
    assert {reason for reason in said if f"`{reason}`" not in text} == set()


def _reasons(node: ast.AST) -> Iterator[str]:
    """Literal reasons: the first of an Event, Unresolved or Problem, the second of a rollback, the third of others."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        place = {
            "Event": 0,
            "Unresolved": 0,
            "RouteTrouble": 0,
            "roll_back": 1,
            "give_back": 1,
            "Problem": 0,
            "Trouble": 2,
        }.get(node.func.id)
        words = node.args[place : place + 1] if place is not None else []
    elif isinstance(node, ast.Tuple) and len(node.elts) == 4:
        words = node.elts[2:3] if isinstance(node.elts[0], ast.Constant) and node.elts[0].value in CONDITIONS else []
    else:
        words = []
    yield from (w.value for w in words if isinstance(w, ast.Constant) and REASON.match(str(w.value)))
