"""What the chart offers to monitoring and to webhooks: only where its kinds exist, and only as asked."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from fairway.settings import Settings
from tests.packaging.helm import parse

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts/fairway"
MONITORING = (
    "--api-versions",
    "monitoring.coreos.com/v1/PodMonitor",
    "--api-versions",
    "monitoring.coreos.com/v1/PrometheusRule",
)


def template(*flags: str) -> subprocess.CompletedProcess[str]:
    program = shutil.which("helm", path=ROOT / "build/bin") or shutil.which("helm")
    assert program, "helm is not there: `make unit` builds it into build/bin"
    argv = [program, "template", "fairway", str(CHART), "--namespace", "fairway-system", "--kube-version", "1.35.4"]
    return subprocess.run([*argv, *flags], capture_output=True, text=True, check=False)


def rendered(*flags: str) -> dict[tuple[str, str], dict[str, Any]]:
    done = template(*flags)
    assert done.returncode == 0, done.stderr
    return {(each["kind"], each["metadata"]["name"]): each for each in parse(done.stdout)}


def kinds(*flags: str) -> set[str]:
    return {kind for kind, _ in rendered(*flags)}


def test_monitors_and_rules_wait_for_their_kinds() -> None:
    assert not {"PodMonitor", "PrometheusRule"} & kinds()
    assert {"PodMonitor", "PrometheusRule"} <= kinds(*MONITORING)
    off = ("--set", "monitoring.podMonitor.enabled=false,monitoring.prometheusRule.enabled=false")
    assert not {"PodMonitor", "PrometheusRule"} & kinds(*MONITORING, *off)


def test_the_monitor_finds_the_pods_and_keeps_the_models_namespace() -> None:
    labels = ("--set", "monitoring.podMonitor.labels.release=prometheus")
    objects = rendered(*MONITORING, *labels)
    monitor = objects["PodMonitor", "fairway"]
    pod = objects["Deployment", "fairway"]["spec"]["template"]
    assert monitor["spec"]["selector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    assert endpoint["port"] in {each["name"] for each in pod["spec"]["containers"][0]["ports"]}
    assert endpoint["honorLabels"] is True
    assert monitor["metadata"]["labels"]["release"] == "prometheus"


def test_the_rules_are_the_file() -> None:
    rule = rendered(*MONITORING)["PrometheusRule", "fairway"]
    assert rule["spec"] == yaml.safe_load((CHART / "files/alerts.yaml").read_text())


def test_dashboards_are_config_maps_that_grafana_finds() -> None:
    assert not [name for kind, name in rendered() if kind == "ConfigMap" and "dashboard" in name]
    maps = [
        each
        for (kind, name), each in rendered("--set", "monitoring.dashboards.enabled=true").items()
        if kind == "ConfigMap" and "dashboard" in name
    ]
    files = {path.name: path.read_text() for path in (CHART / "files/dashboards").glob("*.json")}
    assert {name: json.loads(text) for each in maps for name, text in each["data"].items()} == {
        name: json.loads(text) for name, text in files.items()
    }
    assert {each["metadata"]["labels"]["grafana_dashboard"] for each in maps} == {"1"}


NOTIFICATIONS = """
notifications:
  - name: oncall
    urlFile: /secrets/slack
    format: Slack
    events: [RolledBack, ApprovalNeeded]
  - name: bus
    url: https://events.example/fairway
    signingKeyFile: /secrets/key
    namespaces: [ml]
"""


def test_notifications_reach_the_operators_configuration(tmp_path: Path) -> None:
    values = tmp_path / "values.yaml"
    values.write_text(NOTIFICATIONS)
    config = rendered("-f", str(values))["ConfigMap", "fairway"]["data"]["config.yaml"]
    oncall, bus = Settings.model_validate(yaml.safe_load(config)).notifications
    assert (oncall.name, oncall.url_file, oncall.format) == ("oncall", "/secrets/slack", "Slack")
    assert oncall.events == ("RolledBack", "ApprovalNeeded")
    assert (bus.url, bus.format, bus.namespaces) == ("https://events.example/fairway", "CloudEvents", ("ml",))


@pytest.mark.parametrize(
    ("entry", "path"),
    [
        ("{name: a}", "/notifications/0"),
        ("{name: a, url: 'https://x', urlFile: /x}", "/notifications/0"),
        ("{name: a, url: 'ftp://x'}", "/notifications/0/url"),
        ("{name: a, url: 'https://user:key@x'}", "/notifications/0/url"),
        ("{name: a, urlFile: relative}", "/notifications/0/urlFile"),
        ("{name: A_b, url: 'https://x'}", "/notifications/0/name"),
        ("{name: a, url: 'https://x', format: Teams}", "/notifications/0/format"),
        ("{name: a, url: 'https://x', events: [rolled back]}", "/notifications/0/events/0"),
        ("{name: a, url: 'https://x', token: t}", "/notifications/0"),
    ],
)
def test_nonsense_is_refused_with_its_path(tmp_path: Path, entry: str, path: str) -> None:
    values = tmp_path / "values.yaml"
    values.write_text(f"notifications: [{entry}]")
    done = template("-f", str(values))
    assert done.returncode != 0
    assert path in done.stderr
    with pytest.raises(ValueError, match=r"notifications\.0"):
        Settings.model_validate(yaml.safe_load(values.read_text()))
