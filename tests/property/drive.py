"""How time and the operator move: no event loop, since nothing in the simulated world ever waits."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from tests.fakes.world import Behaviour, Killed, RestlessError, World
from tests.property import moves, truth
from tests.property.referee import Referee
from tests.property.truth import MODEL, breach

CALM_ENDS = ("Healthy", "RolledBack", "Suspended", "Paused")
CALM = 3600.0
"""In a world where all is well, everything is over by then: steps, windows, holds, delays."""


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine that never waits."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("it waits")


def live(world: World, seconds: float) -> None:
    """Let time pass; an operator that is killed is started again."""
    end = world.time + seconds
    while True:
        try:
            return run(world.live(end - world.time))
        except Killed:
            world.kill_at = None
            world.restart()
        except RestlessError as error:
            return breach("I7", str(error))


def operator_looks(world: World) -> None:
    live(world, 0)


def at_rest(world: World, referee: Referee) -> None:
    """Check what must hold at rest, and that nothing is left to do: a look without news writes nothing (I7)."""
    if world.lag or world.faults or world.retrying:
        return
    referee.at_rest()
    before = len(world.writes)
    due = world.wake
    run(world.once())
    if world.writes[before:]:
        breach("I7", f"a look without news (next was due at {due}) writes {world.writes[before:]}")


def become_calm(world: World, oracle: moves.Oracle, referee: Referee) -> None:
    """I9: when the spec and the world stop changing, the ModelDeployment comes to rest, and stays."""
    world.faults.clear()
    world.refuse, world.lag, world.gateway = {}, False, True
    world.route_lag, world.route_refusal = 0.0, None
    world.behaviours = {version: Behaviour() for version in moves.VERSIONS}
    oracle.verdict = moves.HEALTHY
    world.deliver()
    live(world, 130)
    at_rest(world, referee)
    live(world, CALM)
    at_rest(world, referee)
    status, spec = world.status(), world.model()["spec"]
    if status.stable and not truth.recorded(world, status.stable.revision):
        return  # somebody has deleted what it is made from: it may be lost
    if status.phase not in CALM_ENDS:
        breach("I9", f"{status.phase} after {CALM:.0f} s of calm: {status.message}")
    asked_for = spec.get("paused") or "name" in spec["runtime"] or "approval" in status.message
    if status.phase == "Paused" and not asked_for:
        breach("I9", f"paused for no reason: {status.message}")
    if status.phase == "Healthy" and status.stable and status.stable.version != spec["model"]["version"]:
        breach("I9", f"Healthy, but {status.stable.version} serves")
    _stays(world)
    revisions = {status.stable.revision} if status.stable else set()
    revisions |= {status.candidate.revision} if status.run and status.candidate else set()
    if set(truth.deployments(world)) != revisions:
        breach("I9", f"Deployments of {set(truth.deployments(world))} stay, {revisions} are needed")


def _stays(world: World) -> None:
    before, phase = len(world.writes), world.status().phase
    live(world, 1200)
    verdicts = [write for write in world.writes[before:] if write != ("status", "ModelDeployment", MODEL)]
    if verdicts or world.status().phase != phase:
        breach("I9", f"does not stay: {phase} -> {world.status().phase}, {verdicts}")
