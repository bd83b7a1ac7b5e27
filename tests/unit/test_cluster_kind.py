"""The kind provider cannot run where these tests run: what it would do is checked as data."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.cluster import kind, kind_manifests, providers, settings
from tests.cluster.build import Request


def test_cluster_config_maps_ports_and_audit_log() -> None:
    config = kind.cluster_config()
    (node,) = config["nodes"]
    assert {(item["hostPort"], item["listenAddress"]) for item in node["extraPortMappings"]} == {
        (settings.GATEWAY_PORT, "127.0.0.1"),
        (settings.PROMETHEUS_PORT, "127.0.0.1"),
    }
    mounts = {item["containerPath"]: item["hostPath"] for item in node["extraMounts"]}
    arguments = yaml.safe_load(node["kubeadmConfigPatches"][0])["apiServer"]["extraArgs"]
    folder, _, name = arguments["audit-log-path"].rpartition("/")
    assert Path(mounts[folder]) / name == settings.AUDIT_LOG
    assert arguments["audit-policy-file"] in mounts


def test_build_gives_all_names() -> None:
    request = Request("churn:1.0.0", Path("/x/Dockerfile"), Path("/x"), {"A": "b"}, ("churn:1.1.0",))
    assert " ".join(kind.build_words("docker", request)) == (
        "docker build --tag docker.io/library/churn:1.0.0 --tag docker.io/library/churn:1.1.0 "
        "--build-arg A=b --file /x/Dockerfile /x"
    )


def test_crds_have_the_versions_of_the_go_modules() -> None:
    for folder, version in (
        ("gateway-api", settings.GATEWAY_API_VERSION),
        ("prometheus-operator", settings.PROMETHEUS_OPERATOR_VERSION),
    ):
        assert f" {version}\n" in (settings.GO_MODULES / folder / "go.mod").read_text()
        assert any(version in url for url in kind.crd_urls())


def test_every_deployment_waited_for_is_applied() -> None:
    objects = kind_manifests.everything()
    made = {(o["metadata"].get("namespace"), o["metadata"]["name"]) for o in objects if o["kind"] == "Deployment"}
    assert made == set(kind_manifests.DEPLOYMENTS)
    accounts = {
        (o["metadata"].get("namespace"), o["metadata"]["name"]) for o in objects if o["kind"] == "ServiceAccount"
    }
    assert made <= accounts


@pytest.mark.parametrize(
    ("wanted", "has_kind", "engine", "expected"),
    [
        ("", True, "docker", "kind"),
        ("", True, None, "local"),
        ("", False, "docker", "local"),
        ("local", True, "docker", "local"),
    ],
)
def test_provider_follows_the_machine(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    wanted: str,
    has_kind: bool,
    engine: str | None,
    expected: str,
) -> None:
    monkeypatch.setenv("FAIRWAY_CLUSTER_PROVIDER", wanted)
    monkeypatch.setattr(settings, "PROVIDER_FILE", tmp_path / "provider")
    monkeypatch.setattr(providers.shutil, "which", lambda _name: "/bin/kind" if has_kind else None)
    monkeypatch.setattr(kind, "engine", lambda: engine)
    assert providers.name() == expected
    (tmp_path / "provider").write_text("kind\n")
    assert providers.name() == (wanted or "kind")
