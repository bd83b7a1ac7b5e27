"""Pages are code: commands in docs/cli.md and others are run against the engine, and print what the page shows."""

import copy
import os
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from fairway.cli import verbs
from fairway.cli.errors import Exit
from fairway.cli.program import parser
from tests.fakes import kubectl, scenes
from tests.fakes.behaviour import Behaviour
from tests.fakes.clock import utc
from tests.fakes.served import Served
from tests.fakes.terminal import Shell
from tests.fakes.world import World

ROOT = Path(__file__).resolve().parents[2]
PAGE, FIRST, CANARY = ROOT / "docs/cli.md", ROOT / "docs/first-model.md", ROOT / "docs/canary.md"
TEXT = PAGE.read_text(encoding="utf-8")
BLOCK = re.compile(r"<!-- scene: (\w+) -->\n```console\n(.*?)```\n", re.DOTALL)
BLOCKS = [(page, *found) for page in (PAGE, FIRST, CANARY) for found in BLOCK.findall(page.read_text(encoding="utf-8"))]
COMMAND = re.compile(r"^\$ kubectl fairway (.*)$", re.MULTILINE)
CALL = re.compile(r"^\$ kubectl (.*)$", re.MULTILINE)


def first_yaml(page: Path) -> dict[str, Any]:
    return yaml.safe_load(re.findall(r"```yaml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)[0])


async def first(world: World) -> None:
    """The model of docs/first-model.md, half a minute after it was applied."""
    world.behaviours["1.0.0"] = Behaviour(load=8)
    world.kubectl_apply(first_yaml(FIRST)["spec"])
    await world.settle()
    await world.live(34)


SCENES = {**scenes.SCENES, "first": first}


@pytest.fixture(autouse=True)
def local_time():
    with utc():
        yield


async def said(scene: str, commands: list[str], folder: Path) -> str:
    """What the commands print, one after the other, at this moment of a ModelDeployment's life."""
    async with await played(scene) as served:
        (folder / "churn.yaml").write_text(yaml.safe_dump(document()))
        fairway, parts = Shell(served, folder), []
        for call in commands:
            if not call.startswith("fairway "):
                parts.append(f"$ kubectl {call}\n{by_kubectl(call, served)}")
                continue
            command = call.removeprefix("fairway ")
            words = [word.replace("churn.yaml", str(folder / "churn.yaml")) for word in shlex.split(command)]
            ended = await fairway(*words)
            shown = ended.out.replace(str(folder / "churn.yaml"), "churn.yaml")
            parts.append(f"$ kubectl fairway {command}\n{shown}{ended.err}")
            await served.live(5)
    return "\n".join(parts)


def by_kubectl(call: str, served: Served) -> str:
    """What kubectl itself prints."""
    if call == "get modeldeployments -n ml":
        return kubectl.get([served.model()], served.time)
    assert call == "describe modeldeployment churn -n ml"
    return kubectl.describe(served.model())


PLAYED: dict[str, Served] = {}


async def played(scene: str) -> Served:
    """A world of one's own at this moment."""
    if scene not in PLAYED:
        served = PLAYED[scene] = Served()
        served.logs = {"1.1.0": "INFO loaded churn 1.1.0 in 0.8 s\nINFO ready on :8080\n"}
        gateway = served.objects["Gateway", "models"]
        listener = {"protocol": "HTTP", "port": 80, "allowedRoutes": {"namespaces": {"from": "All"}}}
        served._keep({**gateway, "spec": {"listeners": [listener]}})
        size = {"cpu": "4", "memory": "16Gi", "pods": "20"}
        served._keep({"kind": "Node", "metadata": {"name": "node-1"}, "status": {"allocatable": size}})
        await SCENES[scene](served)
    return copy.deepcopy(PLAYED[scene])


def document():
    """The file of the page's examples: the next version."""
    meta = {"name": "churn", "namespace": "ml"}
    return {
        "apiVersion": "fairway.dev/v1alpha1",
        "kind": "ModelDeployment",
        "metadata": meta,
        "spec": scenes.spec("1.1.0"),
    }


@pytest.mark.parametrize(
    ("page", "scene", "shown"), BLOCKS, ids=[f"{page.stem}: {CALL.findall(shown)[0]}" for page, _, shown in BLOCKS]
)
async def test_the_page_shows_what_is_printed(page, scene, shown, tmp_path):
    printed = await said(scene, CALL.findall(shown), tmp_path)
    if os.environ.get("GOLDEN") == "write":
        now = page.read_text(encoding="utf-8")
        page.write_text(now.replace(f"```console\n{shown}```", f"```console\n{printed}```", 1), encoding="utf-8")
        return
    assert printed == shown


def test_the_canary_of_the_page_is_the_one_that_is_played():
    """But for the probe of the example's image: where it is played, no kubelet asks."""
    shown = first_yaml(CANARY)["spec"]
    assert shown["runtime"].pop("probes") == first_yaml(FIRST)["spec"]["runtime"]["probes"]
    assert shown == scenes.spec("1.1.0")


def test_every_verb_has_an_example_on_the_page():
    told = {command.split()[0] for command in COMMAND.findall(TEXT)} | set(re.findall(r"`fairway (\w+)", TEXT))
    assert {verb.name for verb in verbs.verbs()} <= told


def test_every_command_of_the_page_is_one():
    """Given everything on the page that looks like a command, when parsed, then it is."""
    built = parser()
    fences = "\n".join(re.findall(r"```\n(.*?)```", TEXT, re.DOTALL))
    found = [*COMMAND.findall(TEXT), *re.findall(r"kubectl fairway ([^|\n]+)", fences)]
    found += re.findall(r"`(?:kubectl )?fairway (\w+ [^`]+)`", TEXT)
    assert len(found) > 20
    for command in found:
        built.parse_args(shlex.split(command))


@pytest.mark.parametrize("verb", verbs.verbs(), ids=lambda verb: verb.name)
def test_every_example_of_the_help_is_a_command(verb, capsys):
    """Given the examples of a verb's help, when they are parsed, then they are commands."""
    built = parser()
    for example in verb.examples:
        words = shlex.split(example.removeprefix('eval "$(').removesuffix(')"'))
        assert words[0] == "fairway"
        assert built.parse_args(words[1:]).verb == verb.name
    with pytest.raises(SystemExit):
        built.parse_args([verb.name, "--help"])
    printed = capsys.readouterr().out
    assert all(example in printed for example in verb.examples)


def test_every_exit_code_is_on_the_page():
    rows = dict(re.findall(r"^\| (\d+) \| ([^|]+) \|", TEXT, re.MULTILINE))
    assert {int(code) for code in rows} == {int(code) for code in Exit}
