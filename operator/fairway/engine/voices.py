"""Everyone who tells what happened: Kubernetes Events, webhooks."""

from dataclasses import dataclass
from typing import Protocol

from fairway.ports import Manifest, Recorder


class Voice(Recorder, Protocol):
    """A recorder that writes beside the passes."""

    async def write(self) -> None:
        """Write what is queued until cancelled."""
        ...

    async def drain(self, seconds: float) -> None:
        """Give what waits a moment before the process ends."""
        ...


@dataclass(frozen=True, slots=True)
class Voices:
    """Implements the Recorder port by telling all of them."""

    all: tuple[Voice, ...]

    def event(self, owner: Manifest, *, type_: str, reason: str, message: str) -> None:
        """Tell everyone."""
        for voice in self.all:
            voice.event(owner, type_=type_, reason=reason, message=message)
