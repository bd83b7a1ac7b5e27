"""Moments in the life of a ModelDeployment, played by the engine itself in the small Kubernetes of ``world``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from fairway.core.verdict import ObjectiveReading
from tests.fakes.behaviour import Behaviour
from tests.fakes.world import World

STEPS = [
    {"weight": 5, "for": "2m"},
    {"weight": 25, "for": "5m"},
    {"approval": "risk-review"},
    {"weight": 50, "for": "5m"},
]
GATEWAY = {"hostnames": ["churn.models.example"], "gateway": {"name": "models", "namespace": "gateways"}}


def spec(version: str = "1.1.0", **more: Any) -> dict[str, Any]:
    """The spec of the README, with an approval among its steps."""
    return {
        "model": {
            "version": version,
            "source": {"commit": "4f2c9d1"},
            "data": {"version": "2026-11-01"},
        },
        "runtime": {"image": f"registry.example/churn:{version}", "port": 8080},
        "scaling": {"replicas": 4},
        "traffic": GATEWAY,
        "objectives": [
            {"name": "errors", "errors": {"below": "1%"}},
            {"name": "latency", "latency": {"percentile": 99, "below": "50ms"}},
        ],
        "rollout": {"steps": STEPS, "watch": {"for": "30m"}},
        **more,
    }


def errors(state: str = "Undecided", **more: Any) -> ObjectiveReading:
    """What the samples say about the errors."""
    given = {"value": "0.21%", "stable_value": "0.19%", "log10_evidence": -0.3, "log10_needed": 3.6, "requests": 412}
    return ObjectiveReading(**{"name": "errors", "state": state, "limit": "1%", **given, **more})


def latency(state: str = "Undecided", **more: Any) -> ObjectiveReading:
    """What the samples say about the latency."""
    given = {"value": "0.4% slower than 50ms", "stable_value": "0.38% slower than 50ms", "requests": 412}
    return ObjectiveReading(
        **{"name": "latency", "state": state, "limit": "p99 50ms", "log10_needed": 3.6, **given, **more}
    )


async def pending(world: World) -> None:
    """The first version loads."""
    world.behaviours["1.0.0"] = Behaviour(load=60)
    world.kubectl_apply(spec("1.0.0"))
    await world.settle()
    await world.live(12)


async def serving(world: World) -> None:
    """1.0.0 serves."""
    world.kubectl_apply(spec("1.0.0"))
    await world.settle()
    await world.live(120)


async def canary(world: World) -> None:
    """1.1.0 has 5 %, and the samples do not tell yet."""
    await serving(world)
    world.kubectl_apply(spec("1.1.0"))
    await world.live(45)
    world.say("Undecided", objectives=(errors(), latency()))
    await world.live(3)


async def gate(world: World) -> None:
    """1.1.0 waits at 25 % for a person."""
    await canary(world)
    world.say("Healthy", objectives=(errors("Healthy"), latency("Healthy")))
    await world.live(600)


async def rolled_back(world: World) -> None:
    """1.1.0 broke its promise."""
    await canary(world)
    worse = errors("Regressed", value="50%", log10_evidence=9.1, requests=40)
    worse = ObjectiveReading(**{**{f: getattr(worse, f) for f in worse.__slots__}, "message": None})
    world.say("Regressed", objectives=(worse, latency()))
    await world.live(20)


async def crashing(world: World) -> None:
    """The pods of 1.1.0 crash while it is tried."""
    await serving(world)
    world.behaviours["1.1.0"] = Behaviour(crash_at_start=True, last_words="ValueError: no model at /mnt/models")
    world.kubectl_apply(spec("1.1.0"))
    await world.live(8)


async def unmeasured(world: World) -> None:
    """Prometheus does not answer."""
    await canary(world)
    words = "no answer within 5s"
    world.say(
        "ProviderError", message=words, objectives=(errors("ProviderError", message=words, value=None, requests=0),)
    )
    await world.live(3)


async def watched(world: World) -> None:
    """1.1.0 was promoted; 1.0.0 stays warm."""
    await gate(world)
    run = world.status().run
    assert run
    world.command("approve", f"{run.id}/risk-review by ann: looks good")
    await world.live(5)
    world.say("Healthy", objectives=(errors("Healthy"), latency("Healthy")))
    await world.live(400)


async def shared(world: World) -> None:
    """Without a gateway the pods are the share."""
    plain = {"traffic": None}
    world.kubectl_apply({k: v for k, v in spec("1.0.0", **plain).items() if v})
    await world.settle()
    await world.live(10)
    world.kubectl_apply({k: v for k, v in spec("1.1.0", **plain).items() if v})
    await world.live(20)


Scene = Callable[[World], Awaitable[None]]
SCENES: dict[str, Scene] = {
    each.__name__: each for each in (pending, serving, canary, gate, rolled_back, crashing, unmeasured, watched, shared)
}
