"""Go programs built from pinned modules, kept in the cache under a hash of what they were built from."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from . import settings
from .progress import say, step
from .shell import ClusterError, run

# Built without cgo: static programs that do not care about the machine's libc.
BUILD_ENVIRONMENT = {"CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false"}
OUTSIDE = {"GOWORK": "off"}
"""For a module that keeps the versions it names itself: it is none of tests/go.work."""
_STRIP = "-s -w"
_KUBERNETES_VERSION = "k8s.io/component-base/version"
_CONTAINERD_VERSION = f"-X github.com/containerd/containerd/v2/version.Version={settings.CONTAINERD_VERSION}"


def _kubernetes_ldflags(version: str) -> str:
    """Without these the API server calls itself v0.0.0 and clients refuse it."""
    major, minor, _ = version.removeprefix("v").split(".")
    stamps = {"gitVersion": version, "gitMajor": major, "gitMinor": minor}
    return " ".join([_STRIP, *(f"-X {_KUBERNETES_VERSION}.{name}={value}" for name, value in stamps.items())])


@dataclass(frozen=True)
class GoBuild:
    """One Go module folder and the programs made from it."""

    module: str
    packages: tuple[str, ...]
    ldflags: str = _STRIP
    tags: str = ""
    shares: bool = True
    """Whether it is built with the versions that tests/go.work settles for all, so that one compilation serves them."""
    rename: tuple[tuple[str, str], ...] = ()

    @property
    def folder(self) -> Path:
        return settings.GO_MODULES / self.module

    @property
    def flags(self) -> list[str]:
        return ["-trimpath", *(["-tags", self.tags] if self.tags else []), "-ldflags", self.ldflags]

    @property
    def environment(self) -> dict[str, str]:
        """What the compiler needs to be told."""
        return BUILD_ENVIRONMENT | ({} if self.shares else OUTSIDE)

    @property
    def programs(self) -> list[str]:
        """Names of the installed programs."""
        names = dict(self.rename)
        built = [_program_name(package, self.module) for package in self.packages]
        return [names.get(name, name) for name in built]

    def key(self, go_version: str) -> str:
        """Hash everything that decides what comes out of the compiler."""
        digest = hashlib.sha256()
        sources = [path for path in sorted(self.folder.iterdir()) if path.suffix in {".mod", ".sum", ".go"}]
        sources += sorted(settings.GO_WORKSPACE.glob("go.work*")) if self.shares else []
        for part in (go_version, *self.flags, *self.packages, *map(str, sorted(self.environment.items()))):
            digest.update(part.encode() + b"\0")
        for source in sources:
            digest.update(source.name.encode() + b"\0" + source.read_bytes() + b"\0")
        return digest.hexdigest()[:16]


def _program_name(package: str, module: str) -> str:
    """Name a program as `go build` does: the last path element that is not a major version."""
    if package == ".":
        return module
    parts = package.split("/")
    return parts[-2] if parts[-1][0] == "v" and parts[-1][1:].isdigit() else parts[-1]


_KUBERNETES_COMMANDS = (
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
    "kubectl",
)
BUILDS = (
    GoBuild("etcd", ("go.etcd.io/etcd/server/v3",), rename=(("server", "etcd"),)),
    GoBuild(
        "kubernetes",
        tuple(f"k8s.io/kubernetes/cmd/{name}" for name in _KUBERNETES_COMMANDS),
        ldflags=_kubernetes_ldflags(settings.KUBERNETES_VERSION),
        shares=False,
    ),
    GoBuild(
        "containerd",
        tuple(
            f"github.com/containerd/containerd/v2/cmd/{name}"
            for name in ("containerd", "containerd-shim-runc-v2", "ctr")
        ),
        ldflags=f"{_STRIP} {_CONTAINERD_VERSION}",
        tags="no_btrfs no_devmapper no_zfs no_aufs",
        shares=False,
    ),
    GoBuild("pause", (".",), shares=False),
    GoBuild(
        "prometheus",
        ("github.com/prometheus/prometheus/cmd/prometheus",),
        tags="netgo,remove_all_sd,enable_kubernetes_sd",
    ),
    GoBuild("helm", ("helm.sh/helm/v3/cmd/helm",)),
    GoBuild("metrics-server", ("sigs.k8s.io/metrics-server/cmd/metrics-server",)),
)


def go_version() -> str:
    """Ask the toolchain that will be used, so that upgrading Go rebuilds."""
    return run(["go", "env", "GOVERSION"]).stdout.strip()


def ensure_all() -> None:
    """Build what the cache lacks and link every program into the cluster's own bin folder."""
    version = go_version()
    missing = [build for build in BUILDS if not (_home(build, version) / ".complete").exists()]
    if missing:
        names = ", ".join(build.module for build in missing)
        say(f"building from source, once (about 20 minutes on 2 cores for all): {names}")
    for build in BUILDS:
        home = _home(build, version)
        if build in missing:
            _build(build, home)
        for program in build.programs:
            _link(settings.BIN / program, home / program)


def _home(build: GoBuild, version: str) -> Path:
    return settings.CACHE / "bin" / f"{build.module}-{build.key(version)}"


def _build(build: GoBuild, home: Path) -> None:
    home.parent.mkdir(parents=True, exist_ok=True)
    with step(f"go build {build.module}") as current, tempfile.TemporaryDirectory(dir=home.parent) as folder:
        output = Path(folder)
        target = output / build.module if build.packages == (".",) else f"{output}/"
        log = settings.LOGS / f"build-{build.module}.log"
        run(
            ["go", "build", *build.flags, "-o", target, *build.packages],
            cwd=build.folder,
            env=build.environment,
            log=log,
        )
        for built, wanted in build.rename:
            (output / built).rename(output / wanted)
        absent = [program for program in build.programs if not (output / program).exists()]
        if absent:
            raise ClusterError(f"go build {build.module} did not make {', '.join(absent)}; see {log}")
        home.mkdir(exist_ok=True)
        for program in build.programs:
            (output / program).replace(home / program)
        # Written last: a build that was killed in between counts as not done.
        (home / ".complete").touch()
        current.note(", ".join(build.programs))


def _link(link: Path, target: Path) -> None:
    if link.is_symlink() and link.readlink() == target:
        return
    temporary = link.with_name(f".{link.name}")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target)
    temporary.replace(link)


def module_files(module: str, path: str, folder: str) -> dict[str, str]:
    """Read the YAML files (name -> text) of a folder in a module of which only files are wanted (CRDs).

    Gateway API asks for a newer Go than it takes to read its files: `go mod download` then reports an error although it
    fetched and verified the archive, so what counts is the archive.
    """
    argv = ["go", "mod", "download", "-json", path]
    done = run(argv, cwd=settings.GO_MODULES / module, env=BUILD_ENVIRONMENT | OUTSIDE, check=False)
    found = json.loads(done.stdout or "{}")
    if "Zip" not in found:
        raise ClusterError(f"cannot download {path}: {found.get('Error') or done.stderr.strip()}")
    with zipfile.ZipFile(found["Zip"]) as archive:
        prefix = f"{path}@{found['Version']}/{folder}/"
        names = [name for name in archive.namelist() if name.startswith(prefix) and name.endswith(".yaml")]
        return {name.removeprefix(prefix): archive.read(name).decode() for name in sorted(names)}


def program(name: str) -> Path:
    """Return a program of the cluster: built here, or installed with the tool's own Python (Traefik)."""
    built = settings.BIN / name
    if built.exists():
        return built
    found = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
    if found is None:
        raise ClusterError(f"{name} is not installed; run `uv sync` in {settings.REPOSITORY}")
    return Path(found)
