"""Small rules of the cluster tool: what a build is keyed by, which processes are ours, what `env` prints."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.cluster import binaries, crds, environment, processes, settings

if TYPE_CHECKING:
    from pathlib import Path


def test_program_names() -> None:
    programs = {build.module: build.programs for build in binaries.BUILDS}
    assert programs["etcd"] == ["etcd"]
    assert programs["containerd"] == ["containerd", "containerd-shim-runc-v2", "ctr"]
    assert "kubectl" in programs["kubernetes"]
    assert programs["pause"] == ["pause"]


def test_what_shares_its_versions_is_in_the_workspace_and_nothing_else_is() -> None:
    workspace = (settings.GO_WORKSPACE / "go.work").read_text()
    for build in binaries.BUILDS:
        assert build.shares == (f"./cluster/go/{build.module}\n" in workspace), build.module


def test_build_key_depends_on_the_toolchain_and_the_flags() -> None:
    build = binaries.BUILDS[0]
    keys = {
        build.key("go1.26.0"),
        build.key("go1.26.1"),
        binaries.GoBuild(build.module, build.packages, "-s").key("go1.26.0"),
    }
    assert len(keys) == 3


def test_kubernetes_knows_its_version() -> None:
    (kubernetes,) = [build for build in binaries.BUILDS if build.module == "kubernetes"]
    assert f"gitVersion={settings.KUBERNETES_VERSION}" in kubernetes.ldflags
    assert f"k8s.io/kubernetes {settings.KUBERNETES_VERSION} " in (kubernetes.folder / "go.mod").read_text()


def test_crd_names_are_found_without_parsing() -> None:
    crd = "kind: CustomResourceDefinition\nmetadata:\n  name: a.b\nspec:\n  x: =\n"
    text = f"kind: Other\nmetadata:\n  name: no\n---\n{crd}"
    assert crds.defined_names(text) == {"a.b"}


def test_only_processes_on_our_state_are_ours() -> None:
    assert processes.is_ours(["/x/traefik", f"--configFile={settings.STATE}/config/traefik.yml"])
    assert not processes.is_ours(["/x/traefik", "--configFile=/etc/traefik.yml"])
    assert not processes.is_ours(["tail", "-f", f"{settings.STATE}/logs/etcd.log"])
    assert not processes.is_ours(["/x/traefik", f"--configFile={settings.STATE}2/traefik.yml"])


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(settings, "PIDS", tmp_path)
    monkeypatch.setattr(settings, "LOGS", tmp_path)
    return tmp_path


def _sleeper(seconds: str = "60") -> processes.Daemon:
    return processes.Daemon(
        "sleeper", (sys.executable, "-c", f"import time; time.sleep({seconds})"), ready=lambda: True
    )


@pytest.mark.usefixtures("state")
def test_daemon_is_found_again_replaced_on_change_and_stopped() -> None:
    assert processes.ensure(_sleeper())
    first = processes.running("sleeper")
    assert first is not None
    assert not processes.ensure(_sleeper())
    assert processes.ensure(_sleeper("61"))
    second = processes.running("sleeper")
    assert second is not None
    assert second.pid != first.pid
    assert processes.process_start(first.pid) is None
    processes.stop("sleeper")
    assert processes.process_start(second.pid) is None
    assert processes.running("sleeper") is None


def test_a_reused_pid_is_not_taken_for_the_daemon(state: Path) -> None:
    start = processes.process_start(os.getpid())
    record = f'{{"name": "x", "pid": {os.getpid()}, "start": {start}, "fingerprint": ""}}'
    (state / "x.json").write_text(record)
    assert processes.running("x") is not None
    (state / "x.json").write_text(record.replace(str(start), "1"))
    assert processes.running("x") is None


@pytest.mark.usefixtures("state")
def test_a_daemon_that_dies_says_why() -> None:
    words = (sys.executable, "-c", "raise SystemExit('no such flag')")
    with pytest.raises(processes.ClusterError, match="no such flag"):
        processes.ensure(processes.Daemon("dying", words, ready=lambda: False))


def test_env_can_be_evaluated_twice() -> None:
    script = f'{environment.as_shell()}\n{environment.as_shell()}\nprintf \'%s\\n\' "$KUBECONFIG" "$PATH"'
    done = subprocess.run(
        ["sh", "-c", script], env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=True
    )
    kubeconfig, path = done.stdout.split("\n")[:2]
    assert kubeconfig == str(settings.KUBECONFIG)
    assert path == f"{settings.BIN}:/usr/bin:/bin"
    assert shlex.split(environment.as_shell())
