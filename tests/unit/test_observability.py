"""Dashboards, alerts and the table of metrics name only what the operator exposes, in PromQL that parses."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser as promql
import pytest
import yaml

from fairway.adapters.telemetry import Metrics
from fairway.core.build import alerts

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts/fairway"
BOARDS = {path.stem: json.loads(path.read_text()) for path in sorted((CHART / "files/dashboards").glob("*.json"))}
ALERTS = yaml.safe_load((CHART / "files/alerts.yaml").read_text())["groups"]
RULES = {rule["alert"]: rule for group in ALERTS for rule in group["rules"]}
OTHERS = {"container_cpu_usage_seconds_total", "container_memory_working_set_bytes"}
"""Of the kubelet: cAdvisor's."""
FORMS = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_count", "_sum")}


def exposed() -> dict[str, tuple[str, set[str]]]:
    """Every metric as the registry has it: kind, and the labels that its samples may have."""
    found = {}
    metrics = Metrics()
    for family in metrics.registry.collect():
        known = metrics.registry._names_to_collectors
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = getattr(family, "_labelnames", None) or getattr(known.get(name), "_labelnames", ())
        found[name] = (family.type, set(labels))
    return found


EXPOSED = exposed()
SERIES = {
    (name.removesuffix("_total") + form if kind == "counter" else name + form): labels
    for name, (kind, labels) in EXPOSED.items()
    for form in FORMS[kind]
}


def selectors(expression: str) -> Iterator[promql.VectorSelector]:
    """Every selector of a PromQL expression. Raises ValueError when it does not parse."""

    def walk(node: Any) -> Iterator[promql.VectorSelector]:
        if isinstance(node, promql.VectorSelector):
            yield node
        elif isinstance(node, promql.MatrixSelector):
            yield node.vector_selector
        for name in ("expr", "lhs", "rhs", "param"):
            child = getattr(node, name, None)
            if child is not None:
                yield from walk(child)
        for child in getattr(node, "args", None) or ():
            yield from walk(child)

    yield from walk(promql.parse(expression))


def panels() -> Iterator[tuple[str, dict[str, Any], str]]:
    for board, content in BOARDS.items():
        for panel in content["panels"]:
            for target in panel.get("targets", ()):
                yield f"{board}: {panel['title']}", panel, target["expr"]


def plain(expression: str) -> str:
    """Fill in Grafana's variables as Grafana does."""
    for name, value in {"$__rate_interval": "1m", "$__range": "6h", "$namespace": "ml", "$model": "churn"}.items():
        expression = expression.replace(name, value)
    assert "$" not in expression
    return expression


EXPRESSIONS = [(where, plain(text)) for where, _, text in panels()] + [(a, r["expr"]) for a, r in RULES.items()]


@pytest.mark.parametrize(("where", "expression"), EXPRESSIONS, ids=[where for where, _ in EXPRESSIONS])
def test_every_expression_parses_and_names_what_exists(where: str, expression: str) -> None:
    found = list(selectors(expression))
    assert found
    for selector in found:
        assert selector.name in {*SERIES, *OTHERS}, where
        if selector.name in SERIES:
            scraped = {"namespace", "pod", "job", "instance", "le"}
            assert {each.name for each in selector.matchers.matchers} <= SERIES[selector.name] | scraped, where


def test_the_walk_sees_every_selector() -> None:
    compared = "sum(rate(a_total[5m])) / on (x) group_left () (b offset 5m) > bool 1"
    expression = f"{compared} and quantile(0.5, max_over_time(c[1h:1m])) or -(d)"
    assert sorted(selector.name or "" for selector in selectors(expression)) == ["a_total", "b", "c", "d"]


def test_every_metric_is_seen_somewhere() -> None:
    """A metric that no dashboard and no alert shows is one that nobody needed."""
    used = {selector.name for _, expression in EXPRESSIONS for selector in selectors(expression)}
    unseen = {
        name
        for name in EXPOSED
        if not {name.removesuffix("_total") + form for form in ("", "_total", "_bucket", "_count")} & used
    }
    assert {name for name in unseen if not name.startswith("process_")} == set()


def test_the_table_of_metrics_is_what_is_exposed() -> None:
    text = (ROOT / "docs/reference/metrics.md").read_text()
    documented = {}
    of_models = text.index("## Of the operator")
    for line in re.finditer(r"^\| (`[^|]*`) \|([^|]*)\| (.*) \|$", text, re.MULTILINE):
        labels = set(re.findall(r"`([a-z_]+)`", line[2])) | (
            {"namespace", "model"} if line.start() < of_models else set()
        )
        kind = next((kind for kind in ("counter", "histogram") if line[3].startswith(kind)), "gauge")
        for name in re.findall(r"`([a-z_]+)`", line[1]):
            documented[name] = ("counter" if name == "process_cpu_seconds_total" else kind, labels)
    assert documented == EXPOSED


# --- dashboards ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BOARDS)
def test_a_dashboard_is_what_grafana_imports(name: str) -> None:
    board = BOARDS[name]
    assert board["uid"] == f"fairway-{name}"
    assert board["schemaVersion"] >= 39
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)
    assert "id" not in board, "Grafana gives the dashboard its id"
    variables = {each["name"] for each in board["templating"]["list"]}
    for panel in board["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        if panel["type"] == "row":
            continue
        assert panel["targets"], panel["title"]
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
        for each in (panel, *panel["targets"]):
            assert each["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        for target in panel["targets"]:
            asked = set(re.findall(r"\$([a-z]+)", target["expr"]))
            assert asked <= variables
            for label in re.findall(r"{{(\w+)}}", target["legendFormat"]):
                assert label in _labels(target["expr"]), panel["title"]


def _labels(expression: str) -> set[str]:
    return {label for s in selectors(plain(expression)) for label in SERIES.get(s.name or "", set())} | {"pod"}


@pytest.mark.parametrize("name", BOARDS)
def test_panels_do_not_overlap(name: str) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in BOARDS[name]["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells


@pytest.mark.parametrize("name", BOARDS)
def test_variables_ask_for_labels_that_exist(name: str) -> None:
    asked = [each["query"]["query"] for each in BOARDS[name]["templating"]["list"] if each["type"] == "query"]
    for query in asked:
        found = re.fullmatch(r"label_values\((\w+)(?:{.*})?, (\w+)\)", query)
        assert found
        assert found[2] in SERIES[found[1]]


# --- alerts ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("alert", RULES)
def test_an_alert_says_what_is_wrong_and_what_to_do(alert: str) -> None:
    rule = RULES[alert]
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    assert set(rule["annotations"]) == {"summary", "description"}
    assert len(rule["annotations"]["description"]) > 100
    assert f"\n## {alert}\n" in (ROOT / "docs/runbooks.md").read_text()
    for label in re.findall(r"\$labels\.(\w+)", json.dumps(rule["annotations"])):
        assert re.search(rf"by \([^)]*\b{label}\b", rule["expr"]), f"{label} is summed away"


def test_two_leaders_are_seen_by_the_models_that_both_show() -> None:
    """Releases in different namespaces have a leader each; series of the same model from two processes are wrong."""
    expression = RULES["FairwayTwoLeaders"]["expr"]
    assert [each.name for each in selectors(expression)] == ["fairway_model_phase"]
    assert re.search(r"count by \(namespace, model\).*> 1$", expression)


def test_every_runbook_has_its_alert() -> None:
    sections = re.findall(r"^## (\w+)$", (ROOT / "docs/runbooks.md").read_text(), re.MULTILINE)
    assert sections == [*RULES, alerts.ALERT]
