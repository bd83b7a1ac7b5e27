"""The scrape rules give each model pod exactly one target: they are run here on what discovery would yield."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.cluster import prometheus

POD = {
    "__meta_kubernetes_namespace": "ml",
    "__meta_kubernetes_pod_name": "churn-1",
    "__meta_kubernetes_pod_ip": "10.244.0.7",
    "__meta_kubernetes_pod_phase": "Running",
    "__meta_kubernetes_pod_container_init": "false",
    "__meta_kubernetes_pod_label_fairway_dev_name": "churn",
    "__meta_kubernetes_pod_label_fairway_dev_revision": "abc",
    "__meta_kubernetes_pod_label_fairway_dev_version": "1.2.0",
}
PORT = "__meta_kubernetes_pod_container_port_name"
SCRAPE_PORT = "__meta_kubernetes_pod_annotation_fairway_dev_scrape_port"


def _candidate(name: str, port: int, **labels: str) -> dict[str, str]:
    return {**POD, PORT: name, "__address__": f"10.244.0.7:{port}", "__metrics_path__": "/metrics", **labels}


def _relabel(labels: dict[str, str], rules: list[dict[str, Any]]) -> dict[str, str] | None:
    """Do what Prometheus does with `keep` and `replace`."""
    labels = dict(labels)
    for rule in rules:
        match = re.fullmatch(rule["regex"], ";".join(labels.get(name, "") for name in rule["source_labels"]))
        if rule.get("action") == "keep":
            if match is None:
                return None
        elif match is not None:
            labels[rule["target_label"]] = match.expand(re.sub(r"\$(\d)", r"\\\1", rule["replacement"]))
    return {name: value for name, value in labels.items() if not name.startswith("__meta")}


def _targets(candidates: list[dict[str, str]]) -> list[dict[str, str]]:
    found = [_relabel(candidate, prometheus.model_relabeling()) for candidate in candidates]
    unique: list[dict[str, str]] = []
    return [item for item in found if item and item not in unique and not unique.append(item)]


def test_port_named_metrics() -> None:
    candidates = [_candidate("http", 8080), _candidate("metrics", 9464)]
    assert _targets(candidates) == [
        {
            "__address__": "10.244.0.7:9464",
            "__metrics_path__": "/metrics",
            "namespace": "ml",
            "pod": "churn-1",
            "modeldeployment": "churn",
            "revision": "abc",
            "version": "1.2.0",
        }
    ]


def test_annotation_wins_over_all_ports() -> None:
    extra = {SCRAPE_PORT: "8080", "__meta_kubernetes_pod_annotation_fairway_dev_scrape_path": "/prometheus"}
    candidates = [_candidate("http", 8080, **extra), _candidate("metrics", 9464, **extra)]
    (target,) = _targets(candidates)
    assert (target["__address__"], target["__metrics_path__"]) == ("10.244.0.7:8080", "/prometheus")


def test_pod_without_declared_ports_needs_the_annotation() -> None:
    bare = _candidate("", 0, __address__="10.244.0.7")
    assert _targets([bare]) == []
    assert [target["__address__"] for target in _targets([bare | {SCRAPE_PORT: "9000"}])] == ["10.244.0.7:9000"]


@pytest.mark.parametrize("phase", ["Pending", "Succeeded", "Failed"])
def test_only_running_pods(phase: str) -> None:
    assert _targets([_candidate("metrics", 9464, __meta_kubernetes_pod_phase=phase)]) == []


def test_pod_without_address() -> None:
    assert _targets([_candidate("metrics", 9464, __meta_kubernetes_pod_ip="")]) == []


def test_metrics_port_of_an_init_sidecar_does_not_count() -> None:
    sidecar = _candidate("metrics", 15090, __meta_kubernetes_pod_container_init="true")
    assert [target["__address__"] for target in _targets([sidecar, _candidate("metrics", 9464)])] == ["10.244.0.7:9464"]


def test_the_gateway_is_scraped_on_the_host_and_as_a_pod() -> None:
    (host,) = [
        job for job in prometheus.scrape_config({"api_server": "x"})["scrape_configs"] if job["job_name"] == "gateway"
    ]
    assert host["static_configs"] == [{"targets": ["127.0.0.1:8099"]}]
    (pod,) = [job for job in prometheus.scrape_config({})["scrape_configs"] if job["job_name"] == "gateway"]
    found = _relabel(POD | {"__address__": "10.244.0.7:8000"}, pod["relabel_configs"])
    assert found == {"__address__": "10.244.0.7:8099", "namespace": "ml", "pod": "churn-1"}
    bare = _relabel(POD | {"__address__": "10.244.0.7"}, pod["relabel_configs"])
    assert bare == found, "two ports are one target"
