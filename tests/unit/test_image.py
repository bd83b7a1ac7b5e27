"""The image: what it is made of exists for both processors, and what runs needs no shell."""

import re
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
from packaging.markers import Marker
from packaging.tags import Tag
from packaging.utils import parse_wheel_filename

from tests.packaging.helm import ROOT

LOCK = tomllib.loads((ROOT / "uv.lock").read_text())
DOCKERFILE = (ROOT / "Dockerfile").read_text()
PACKAGES = {each["name"]: each for each in LOCK["package"]}
PROCESSORS = {"amd64": "x86_64", "arm64": "aarch64"}
PYTHONS = ("3.11", "3.13")
"""Debian 12's, and that of Debian 13 and of the default base."""
GLIBC = (2, 36)
"""Debian 12's."""

Package = dict[str, Any]


def needed(machine: str, python: str) -> Iterator[Package]:
    """Everything that `uv sync --locked --no-dev --no-default-groups` installs there, but the project itself."""
    environment = {
        "platform_machine": machine,
        "sys_platform": "linux",
        "platform_system": "Linux",
        "os_name": "posix",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "python_version": python,
        "python_full_version": f"{python}.0",
        "extra": "",
    }
    seen: set[str] = set()
    ahead = [("fairway", "")]
    while ahead:
        name, extra = ahead.pop()
        package = PACKAGES[name]
        key = f"{name}[{extra}]"
        if key in seen:
            continue
        seen.add(key)
        if name != "fairway" and not extra:
            yield package
        wanted = package.get("optional-dependencies", {}).get(extra, []) if extra else package.get("dependencies", [])
        for each in wanted:
            if "marker" not in each or Marker(each["marker"]).evaluate(environment):
                ahead += [(each["name"], ""), *((each["name"], further) for further in each.get("extra", ()))]


def fits(tag: Tag, machine: str, python: str) -> bool:
    """Whether a wheel of this tag runs on Debian with this interpreter."""
    digits = python.replace(".", "")
    if tag.platform != "any":
        match = re.fullmatch(rf"manylinux_(\d+)_(\d+)_{machine}|manylinux(1|2010|2014)_{machine}", tag.platform)
        if match is None or (match[1] and (int(match[1]), int(match[2])) > GLIBC):
            return False
    if tag.abi == "abi3":
        return int(tag.interpreter.removeprefix("cp3")) <= int(digits.removeprefix("3"))
    return tag.interpreter in {f"cp{digits}", f"py{digits}", "py3"} and tag.abi in {f"cp{digits}", "none"}


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("machine", PROCESSORS.values(), ids=PROCESSORS)
def test_there_is_a_wheel_of_everything(machine: str, python: str) -> None:
    packages = list(needed(machine, python))
    assert {"kopf", "kubernetes", "pydantic-core", "aiohttp"} <= {each["name"] for each in packages}
    lacking = []
    for package in packages:
        files = [wheel["url"].rsplit("/", 1)[-1] for wheel in package.get("wheels", ())]
        tags = {tag for file in files for tag in parse_wheel_filename(file)[3]}
        if not any(fits(tag, machine, python) for tag in tags):
            lacking.append(package["name"])
    assert lacking == []


def test_a_wheel_of_another_processor_does_not_fit() -> None:
    wheel = "x-1-cp313-cp313-manylinux_2_17_x86_64.manylinux2014_x86_64.whl"
    (tag, *_) = parse_wheel_filename(wheel)[3]
    assert fits(tag, "x86_64", "3.13")
    assert not fits(tag, "aarch64", "3.13")
    assert not fits(tag, "x86_64", "3.11")


def stages() -> list[list[tuple[str, str]]]:
    """(instruction, rest) of each stage; the first list is what comes before any."""
    text = re.sub(r"\\\n", " ", re.sub(r"^\s*#.*\n", "", DOCKERFILE, flags=re.MULTILINE))
    found: list[list[tuple[str, str]]] = [[]]
    for line in filter(None, map(str.strip, text.splitlines())):
        word, _, rest = line.partition(" ")
        if word == "FROM":
            found.append([])
        found[-1].append((word, " ".join(rest.split())))
    return found


def test_what_runs_is_made_without_a_shell_and_runs_as_nobody() -> None:
    head, *_, last = stages()
    assert [word for word, _ in head] == ["ARG"]
    assert last[0] == ("FROM", "${BASE}")
    assert "RUN" not in {word for word, _ in last}
    said = dict(last)
    assert said["USER"] == "65532:65532"
    assert said["ENTRYPOINT"].startswith("["), "a shell would start it"


def test_the_build_takes_what_is_locked() -> None:
    _, build, _ = stages()
    syncs = [rest for word, rest in build if word == "RUN" and "uv sync" in rest]
    assert len(syncs) == 2
    assert all("--locked" in each and "--no-dev" in each for each in syncs)


def test_the_labels_say_what_it_is() -> None:
    labels = " ".join(rest for word, rest in stages()[-1] if word == "LABEL")
    for label, value in (("version", "${VERSION}"), ("revision", "${REVISION}"), ("licenses", "Apache-2.0")):
        assert f'org.opencontainers.image.{label}="{value}"' in labels
    assert "--build-arg VERSION=$(VERSION) --build-arg REVISION=$(REVISION)" in (ROOT / "Makefile").read_text()
