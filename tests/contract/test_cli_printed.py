"""What verbs print that ask more than one object of the API server: kept as text, at 80 and 160 columns."""

import pytest
import yaml

from tests.fakes import scenes
from tests.fakes.clock import utc
from tests.fakes.served import Served
from tests.fakes.terminal import Shell
from tests.golden.golden import check

WIDTHS = (80, 160)


@pytest.fixture(autouse=True)
def local_time():
    with utc():
        yield


@pytest.fixture
async def served():
    async with Served() as world:
        size = {"cpu": "4", "memory": "16Gi", "pods": "20"}
        world._keep({"kind": "Node", "metadata": {"name": "node-1"}, "status": {"allocatable": size}})
        yield world


@pytest.fixture
def fairway(served, tmp_path):
    return Shell(served, tmp_path)


@pytest.fixture
def file(tmp_path, monkeypatch):
    """A file in the working directory, so that its name is the same everywhere."""
    monkeypatch.chdir(tmp_path)

    def write(spec):
        meta = {"name": "churn", "namespace": "ml"}
        content = {"apiVersion": "fairway.dev/v1alpha1", "kind": "ModelDeployment", "metadata": meta, "spec": spec}
        (tmp_path / "churn.yaml").write_text(yaml.safe_dump(content))
        return "churn.yaml"

    return write


async def pictures(fairway, name, *words):
    for width in WIDTHS:
        ended = await fairway(*words, width=width)
        check(f"cli/{name}-{width}", ended.out + ended.err)
        if words[0] != "lint":  # it goes to grep and to editors: a line is never broken
            assert max(map(len, ended.out.splitlines())) <= width


@pytest.mark.parametrize("scene", ["watched", "rolled_back", "crashing"])
async def test_events(served, fairway, scene):
    await scenes.SCENES[scene](served)
    await pictures(fairway, f"events-{scene}", "events", "churn")


PLANS = {
    "first": ("", scenes.spec("1.0.0")),
    "next": ("serving", scenes.spec("1.1.0")),
    "larger": ("serving", scenes.spec("1.0.0", scaling={"replicas": 6})),
    "superseding": ("canary", scenes.spec("1.2.0")),
    "return": ("watched", scenes.spec("1.0.0")),
    "rejected": ("rolled_back", scenes.spec("1.1.0", scaling={"replicas": 5})),
}


@pytest.mark.parametrize("case", PLANS)
async def test_plan(served, fairway, file, case):
    scene, spec = PLANS[case]
    if scene:
        await scenes.SCENES[scene](served)
    await pictures(fairway, f"plan-{case}", "plan", "-f", file(spec))


async def test_lint(served, fairway, file):
    """Given a file with something wrong on every level, then each is a line."""
    spec = scenes.spec("1.1.0", scaling={"replicas": 1})
    await pictures(fairway, "lint-cluster", "lint", "-f", file(spec))
    bad = {**spec, "replicas": 3, "traffic": {"hostnames": ["Not A Host"]}}
    await pictures(fairway, "lint-schema", "lint", "-f", file(bad))
