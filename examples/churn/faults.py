"""Faults on request: what the switches ask for, done to /predict and to the process."""

import asyncio
import os
import random
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from .switches import Switches
from .telemetry import UNCOUNTED, App, Receive, Scope, Send


def _die() -> None:
    # As hard as an OOM kill: no shutdown, no answers to those who wait.
    sys.stdout.flush()
    os._exit(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Effects:
    """Everything that a test replaces: time, chance and death."""

    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    chance: Callable[[], float] = field(default_factory=lambda: random.Random().random)
    die: Callable[[], None] = _die


class Faults:
    """The faults of one server."""

    def __init__(self, switches: Switches, effects: Effects) -> None:
        self._switches = switches
        self._effects = effects

    async def delay(self) -> None:
        """Sleep as FAULT_LATENCY and FAULT_LATENCY_SHARE say; never blocks the other requests."""
        if self._switches.latency and self._hits(self._switches.latency_share):
            await self._effects.sleep(self._switches.latency)

    def fails(self) -> bool:
        """Tell whether this answer is one of FAULT_ERROR_SHARE."""
        return self._hits(self._switches.error_share)

    async def die_after(self) -> None:
        """Wait and die, if FAULT_CRASH says `after:SECONDS`."""
        crash = self._switches.crash
        if crash and crash.when == "after":
            await self._effects.sleep(crash.value)
            print(f"FAULT_CRASH: exit after {crash.value:g} s", flush=True)
            self._effects.die()

    def _hits(self, share: float) -> bool:
        # Independent draws, as real failures are: a regular pattern would flatter the statistics that judge it.
        return share > 0 and self._effects.chance() < share


class CrashAtRequest:
    """Dies when the N-th request arrives, before it is answered; probes and scrapes are not requests."""

    def __init__(self, app: App, at: int, die: Callable[[], None]) -> None:
        self._app = app
        self._left = at
        self._die = die

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count down and pass on."""
        if scope["type"] == "http" and scope["path"] not in UNCOUNTED:
            self._left -= 1
            if self._left == 0:
                print("FAULT_CRASH: exit at this request", flush=True)
                self._die()
        await self._app(scope, receive, send)
