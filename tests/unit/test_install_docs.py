"""What the pages say about installing is true: the values render, the folders are there, links lead somewhere."""

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.packaging import helm
from tests.packaging.helm import CHART, ROOT, parse
from tests.pages import as_a_shell_hands_them_on, blocks, commands

PAGES = [
    ROOT / "README.md",
    ROOT / "SECURITY.md",
    ROOT / "charts/fairway/README.md",
    ROOT / "manifests/README.md",
    ROOT / "docs/security.md",
    ROOT / "docs/install.md",
    ROOT / "docs/first-model.md",
    ROOT / "docs/canary.md",
    ROOT / "docs/operations.md",
    ROOT / "docs/runtimes.md",
]


def sets() -> Iterator[tuple[str, tuple[str, ...]]]:
    for page in PAGES:
        for command in commands(page):
            if "--set " in command:
                words = itertools.pairwise(as_a_shell_hands_them_on(command))
                yield page.name, tuple(value for flag, value in words if flag == "--set")


@pytest.mark.parametrize(("page", "chosen"), list(sets()))
def test_values_that_are_shown_can_be_set(page: str, chosen: tuple[str, ...]) -> None:
    objects = helm.objects(*chosen)
    for policy in (each["spec"] for each in objects if each["kind"] == "NetworkPolicy"):
        for peer in (peer for rule in policy.get("egress", ()) for peer in rule.get("to", ())):
            labels = peer.get("namespaceSelector", {}).get("matchLabels", {})
            assert all(isinstance(value, str) for value in labels.values()), f"{page}: a dot was not escaped"


def test_there_are_such_values() -> None:
    assert len(list(sets())) == 7


FILES = [text for page in PAGES for _, text in blocks(page) if text.startswith("# values.yaml\n")]


@pytest.mark.parametrize("values", FILES)
def test_files_of_values_render(values: str, tmp_path: Path) -> None:
    path = tmp_path / "values.yaml"
    path.write_text(values, encoding="utf-8")
    done = helm.helm("template", "fairway", CHART, "--namespace", helm.NAMESPACE, "-f", path)
    assert done.returncode == 0, done.stderr
    assert len(parse(done.stdout)) > 10


def test_there_are_such_files() -> None:
    assert len(FILES) == 2


def test_folders_that_are_applied_are_there() -> None:
    applied = re.compile(r"kubectl .*-k (\S+)")
    found = [match[1] for page in PAGES for command in commands(page) if (match := applied.search(command))]
    assert found
    assert all((ROOT / folder / "kustomization.yaml").is_file() for folder in found)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


def test_the_security_page_names_the_rights_that_the_policy_asks_for() -> None:
    """The table of docs/security.md has a row for each validation's kind."""
    (access,) = (
        each
        for each in parse(helm.text())
        if each["kind"] == "ValidatingAdmissionPolicy" and each["metadata"]["name"] == "fairway-access"
    )
    text = (ROOT / "docs/security.md").read_text(encoding="utf-8")
    asked = " ".join(each["expression"] for each in access["spec"]["validations"])
    for resource, kind in (
        ("secrets", "Secret"),
        ("configmaps", "ConfigMap"),
        ("persistentvolumeclaims", "PersistentVolumeClaim"),
        ("priorityclasses", "PriorityClass"),
        ("runtimeclasses", "RuntimeClass"),
        ("podtemplate", "modeldeployments/podtemplate"),
    ):
        assert f"'{resource}'" in asked
        assert kind in text
    bounds = re.search(r"up to (\d+) Secrets, (\d+) ConfigMaps and (\d+) claims", text)
    assert bounds is not None
    for name, most in zip(("secrets", "configMaps", "claims"), bounds.groups(), strict=True):
        assert f"size(variables.{name}) <= {most} || variables.every" in asked
