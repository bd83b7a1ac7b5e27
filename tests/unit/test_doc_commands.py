"""Every command that a page shows could be typed: programs know verbs and flags, kinds exist, values are taken."""

from __future__ import annotations

import json
import os
import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

from fairway.api import crd
from fairway.api.spec import ModelDeploymentSpec
from fairway.cli import backtest, program
from fairway.core import commands as orders
from fairway.engine.runtime import kinds
from tests import pages
from tests.packaging.helm import tool
from tests.pages import ROOT

OTHERS = {"docker", "pip", "curl", "make", "cd", "find", "eval", "uv"}
"""Programs of somebody else: their words are not looked at."""
VERBS = {
    "annotate", "apply", "create", "delete", "describe", "diff", "events", "get", "logs", "patch", "port-forward",
    "replace", "rollout", "scale", "wait",
}  # fmt: skip
KNOWN = {
    "pods", "pod", "lease", "leases", "namespace", "deployment", "service", "configmap", "crd", "nodes",
    *(kind.plural for kind in kinds(rules=True)), *(kind.name.lower() for kind in kinds(rules=True)),
    *(name for each in crd.crds().values() for name in each["spec"]["names"].get("shortNames", ())),
}  # fmt: skip
OURS = {"md", "modeldeployment", "modeldeployments"}
ANYWHERE = {"-n", "--namespace", "--context"}
BLOCKS = [(page, each) for page in pages.PAGES for each in pages.commands(page) if each.strip()]
PROGRAMS = {"kubectl", "helm", "fairway", *OTHERS}
TYPED = [(page, each) for page, each in BLOCKS if each.split()[0] in PROGRAMS]
WITHIN = [
    (page, each)
    for page in pages.PAGES
    for each in pages.inline(page)
    if re.match(r"kubectl (fairway [a-z]+ |(?!fairway)[a-z-]+ (?!-k$))[^ ]|helm [a-z]+ [^ ]", each)
]
"""Within a text some are only mentioned: those that say what to do it to are looked at."""


@cache
def flags(name: str, *verb: str) -> dict[str, bool]:
    """The flags of a verb, by what its help says: each with whether a value follows it."""
    said = subprocess.run(
        [tool(name), *verb, "--help"], capture_output=True, text=True, check=True, env={**os.environ, "HOME": "/tmp"}
    ).stdout
    found = {}
    if name == "kubectl":
        for short, long, default in re.findall(r"^    (?:(-\w), )?(--[\w-]+)=(.*):$", said, re.MULTILINE):
            found |= dict.fromkeys({short, long} - {""}, default not in ("true", "false"))
        return found | dict.fromkeys(ANYWHERE, True)
    for short, long, kind in re.findall(r"^ +(?:(-\w), )?(--[\w-]+)(?: (\w+))?  ", said, re.MULTILINE):
        found |= dict.fromkeys({short, long} - {""}, bool(kind))
    return found


def split(words: list[str], known: dict[str, bool]) -> tuple[list[str], dict[str, str]]:
    """Positional words, and flags with their values. A flag that nobody knows fails."""
    plain, given, rest = [], {}, iter(words)
    for word in rest:
        if not word.startswith("-") or word == "-":
            plain.append(word)
            continue
        flag, equals, value = word.partition("=")
        assert flag in known, f"no such flag: {flag}"
        given[flag] = value if equals else next(rest) if known[flag] else ""
    return plain, given


@pytest.mark.parametrize(
    ("page", "command"), [*TYPED, *WITHIN], ids=lambda x: x.name if isinstance(x, Path) else str(x)[:60]
)
def test_a_command_is_one(page: Path, command: str) -> None:
    words = pages.as_a_shell_hands_them_on(command)
    judge = {"fairway": fairway, "kubectl": kubectl, "helm": helm}.get(words[0])
    if judge:
        judge(words[1:])
    for word in words:
        if re.match(r"@?(charts|manifests|examples|crds)/", word):
            assert (ROOT / word.removeprefix("@")).exists(), f"{page.name}: {word}"


def fairway(words: list[str]) -> None:
    options = program.parser().parse_args(words)
    if options.verb == "backtest":
        backtest.period(options.start, options.to, now=2e9)


def helm(words: list[str]) -> None:
    plain, given = split(words[1:], flags("helm", words[0]))
    if words[0] in ("install", "upgrade"):
        assert plain == ["fairway", "charts/fairway"]
        assert "--namespace" in given
        assert "--reuse-values" not in given


def kubectl(words: list[str]) -> None:
    verb, words = words[0], words[1:]
    if verb == "-n":  # a namespace before the verb
        verb, words = words[1], [*words[2:], "-n", words[0]]
    if verb == "fairway":
        return fairway(words)
    assert verb in VERBS
    below = [words.pop(0)] if verb == "rollout" else []
    plain, given = split(words, flags("kubectl", verb, *below))
    if "-k" in given:
        assert (ROOT / given["-k"] / "kustomization.yaml").is_file()
    named = [*plain[:1], *([given["--for"]] if verb == "events" else [])]
    kinds = {kind for each in named for kind in each.partition("/")[0].split(",")}
    assert verb == "logs" or kinds <= KNOWN
    if kinds & OURS:
        ours(verb, plain, given)
    return None


def ours(verb: str, plain: list[str], given: dict[str, str]) -> None:
    """What is written to a ModelDeployment is taken, and what is waited for is there."""
    if verb == "annotate":
        for key, value in (each.split("=", 1) for each in plain if "=" in each):
            assert orders.pending({key: value}, {}), f"{key} is no command, or {value!r} none of its values"
    if verb == "patch":
        spec = {"model": {"version": "1.0.0"}, "runtime": {"image": "churn:1", "port": 80}}
        ModelDeploymentSpec.model_validate({**spec, **json.loads(given["-p"])["spec"]})
    if verb == "wait":
        assert given["--for"].removeprefix("condition=") in {"UpToDate", "Ready"}


def test_there_are_commands_of_every_kind() -> None:
    assert len(TYPED) > 60
    assert len(WITHIN) > 10
    assert sum("fairway backtest" in each for _, each in TYPED) >= 2
    assert {each.split()[0] for _, each in TYPED} >= {"kubectl", "helm", "fairway", "make", "docker", "pip"}


def test_nothing_that_looks_like_a_command_is_left_out() -> None:
    """Given a block of commands, then each of its lines begins with a program that is known."""
    for page in pages.PAGES:
        for language, block in pages.blocks(page):
            lines = [line for line in block.replace("\\\n", " ").splitlines() if line.strip()]
            if language == "sh" or (language == "" and lines[0].split()[0] in PROGRAMS):
                assert {line.split()[0] for line in lines} <= PROGRAMS, f"{page.name}: {lines}"


def test_extras_that_are_installed_exist() -> None:
    named = {found for page, each in TYPED for found in re.findall(r"pip install '?\.\[(\w+)\]", each)}
    assert named == {"backtest"}
    assert "backtest = [" in (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def test_every_page_is_in_the_index() -> None:
    """Given docs/README.md, then it leads to every page but single decisions, and the README leads to it."""
    index = (ROOT / "docs/README.md").read_text(encoding="utf-8")
    linked = {(ROOT / "docs" / target).resolve() for target in re.findall(r"\]\(([^)#:]+)\)", index)}
    wanted = {page for page in (ROOT / "docs").rglob("*.md") if page.parent.name != "adr"}
    assert wanted - linked == {ROOT / "docs/README.md"}
    assert "](docs/README.md)" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_sections_that_are_linked_exist() -> None:
    for page in pages.PAGES:
        for target, section in re.findall(r"\]\(([^)#:]*)#([^)]+)\)", page.read_text(encoding="utf-8")):
            found = page.parent / target if target else page
            titles = re.findall(r"^#+ (.*)$", found.read_text(encoding="utf-8"), re.MULTILINE)
            slugs = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
            assert section in slugs, f"{page.name}: {target}#{section}"
