"""The chart, as Helm renders it."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts/fairway"
TOOLS = ROOT / "build/bin"
NAMESPACE = "fairway-system"
KUBERNETES = "1.35.4"

Object = dict[str, Any]


def tool(name: str) -> Path:
    """Return a program that `make unit` builds. Raises FileNotFoundError, saying so."""
    found = shutil.which(name, path=TOOLS)
    if found is None:
        raise FileNotFoundError(f"{name} is not there: `make tools` builds it into build/bin")
    return Path(found)


def helm(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run Helm as for the pinned Kubernetes; the caller looks at what it says."""
    argv = [tool("helm"), *words, "--kube-version", KUBERNETES]
    return subprocess.run(argv, capture_output=True, text=True, check=False)


@cache
def text(*sets: str, release: str = "fairway", strings: tuple[str, ...] = (), apis: tuple[str, ...] = ()) -> str:
    """Render the chart with these values; the cluster serves ``apis``, too. Raises ValueError with Helm's words."""
    flags = [flag for value in sets for flag in ("--set", value)]
    flags += [flag for value in strings for flag in ("--set-string", value)]
    flags += [flag for api in apis for flag in ("--api-versions", api)]
    done = helm("template", release, CHART, "--namespace", NAMESPACE, *flags)
    if done.returncode:
        raise ValueError(done.stderr.strip())
    return done.stdout


def objects(
    *sets: str, release: str = "fairway", strings: tuple[str, ...] = (), apis: tuple[str, ...] = ()
) -> list[Object]:
    """Render the chart with these values, as objects."""
    return parse(text(*sets, release=release, strings=strings, apis=apis))


class _Loader(yaml.CSafeLoader):
    """Reads a plain `=` as text, as YAML 1.2 does: schemas of operators have one."""


_Loader.yaml_implicit_resolvers = {
    key: found for key, found in yaml.CSafeLoader.yaml_implicit_resolvers.items() if key != "="
}


def parse(documents: str) -> list[Object]:
    """Read objects as Kubernetes does."""
    return [each for each in yaml.load_all(documents, Loader=_Loader) if each]


def of_kind(objects: list[Object], kind: str) -> list[Object]:
    """All objects of a kind."""
    return [each for each in objects if each["kind"] == kind]


def only(objects: list[Object], kind: str) -> Object:
    """The one object of a kind. Raises ValueError where there is none, or more."""
    (found,) = of_kind(objects, kind)
    return found


def config_of(objects: list[Object]) -> Object:
    """The operator's configuration."""
    parsed: Object = yaml.safe_load(only(objects, "ConfigMap")["data"]["config.yaml"])
    return parsed
