"""What the plugin prints, kept as text: at 80 and 160 columns, without colour."""

import copy
import io
import re

import pytest
from rich.console import Console

from fairway.api.types import format_time
from fairway.cli import style
from fairway.cli.draw import draw
from fairway.cli.history import details, heading
from fairway.cli.kubeconfig import Flags
from fairway.cli.listing import COLUMNS, WIDE, show
from fairway.cli.session import Session
from fairway.cli.view import view
from fairway.cli.why import why
from tests.fakes.scenes import SCENES
from tests.fakes.world import World
from tests.golden.golden import check

WIDTHS = (80, 160)
ESCAPES = re.compile(r"\x1b\[([0-9;]*)m")
BLACK_OR_WHITE = {"30", "37", "40", "47", "90", "97", "100", "107"}


def terminal(width: int, *, colour: bool = False, encoding: str = "utf-8") -> Console:
    out = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    made = style.console(out, width)
    return (
        made
        if not colour
        else Console(file=out, width=width, force_terminal=True, color_system="standard", highlight=False)
    )


def seen(world: World):
    pods = [o for (kind, _), o in world.objects.items() if kind == "Pod"]
    return view(world.model(), pods, world.objects.get(("HTTPRoute", "churn")))


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scene", SCENES)
def test_status(scene, width, worlds):
    world = worlds[scene]
    target = terminal(width)
    lines = style.lines(target, draw(seen(world), target, world.time))
    assert max(len(line) for line in lines) <= width
    check(f"cli/status-{scene}-{width}", "\n".join(lines) + "\n")


@pytest.mark.parametrize("width", WIDTHS)
def test_list(width, worlds):
    """Given a ModelDeployment at each moment of its life, when listed, then no line is broken: it may go to grep."""
    models = [
        {**world.model(), "metadata": {**world.model()["metadata"], "name": name.replace("_", "-")}}
        for name, world in worlds.items()
    ]
    now = max(world.time for world in worlds.values())
    for name, columns in (("list", COLUMNS), ("list-wide", [*COLUMNS, *WIDE])):
        out = io.StringIO()
        show(Session(Flags(), out=out, width=width, clock=lambda: now), models, columns)
        assert len(out.getvalue().splitlines()) == len(models) + 1
        check(f"cli/{name}-{width}", out.getvalue())


@pytest.mark.parametrize("scene", SCENES)
def test_history_and_why(scene, worlds):
    world = worlds[scene]
    target = terminal(80)
    lines = ["# history"]
    for entry in world.model().get("status", {}).get("history", ()):
        lines += style.hanging(target, heading(entry, world.time, target), 2)
        lines += [line for each in details(entry) for line in style.hanging(target, each, 2, first=2)]
    lines += ["# why", why(world.model(), None, world.time), "# why 1.0.0", why(world.model(), "1.0.0", world.time)]
    check(f"cli/history-{scene}", "\n".join(lines) + "\n")


def test_why_of_a_version_that_was_promoted_and_taken_out_later(worlds):
    """Given a promoted version that is no longer warm, when it is rolled back, then both are told."""
    world = worlds["watched"]
    model = copy.deepcopy(world.model())
    status, last = model["status"], model["status"]["history"][0]
    gone = {"reason": "RolledBackByCommand", "message": "run-2 was rolled back by command"}
    about = {"revision": last["revision"], "version": last["version"], "at": format_time(world.time - 30)}
    status["rejected"] = [{**about, **gone}]
    status["stable"] |= {"revision": "m3nnabh2lp", "version": "1.0.0"}
    told = why(model, "1.1.0", world.time)
    assert "was promoted 1m38s ago, 15m55s after its run began, and was taken out 30s ago." in told
    assert "The reason: RolledBackByCommand: run-2 was rolled back by command. " in told


def test_a_watch_draws_a_line_for_each_objective(worlds):
    world = worlds["canary"]
    target = terminal(80)
    trends = {"errors": [0.1, 0.2, 0.9, 2.0, 0.5, 0.0], "latency": [0.4, 0.4]}
    check("cli/status-trends-80", "\n".join(style.lines(target, draw(seen(world), target, world.time, trends))) + "\n")


def test_a_terminal_without_unicode_is_drawn_in_ascii(worlds):
    world = worlds["canary"]
    target = terminal(80, encoding="ascii")
    text = "\n".join(style.lines(target, draw(seen(world), target, world.time, {"errors": [0.1, 0.9]})))
    assert text.isascii()
    check("cli/status-ascii-80", text + "\n")


@pytest.mark.parametrize("scene", SCENES)
def test_no_colour_is_black_or_white_so_it_reads_on_light_and_on_dark(scene, worlds):
    """Given a terminal with colours, when drawn, then only the terminal's own, and the text alone says the same."""
    world = worlds[scene]
    target = terminal(80, colour=True)
    text = "\n".join(style.lines(target, draw(seen(world), target, world.time)))
    check(f"cli/status-colour-{scene}-80", text.replace("\x1b", "\\e") + "\n")
    used = {code for found in ESCAPES.findall(text) for code in found.split(";")}
    assert used
    assert not used & BLACK_OR_WHITE
    assert not any(code in ("38", "48") for code in used), "a colour of its own does not follow the terminal's theme"
    plain = terminal(80)
    bare = "\n".join(line.rstrip() for line in ESCAPES.sub("", text).split("\n"))
    assert bare == "\n".join(style.lines(plain, draw(seen(world), plain, world.time)))
