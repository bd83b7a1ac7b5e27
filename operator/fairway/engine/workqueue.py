"""Keys that wait for a pass: each once, each alone, later ones on time, failing ones with patience."""

import asyncio
import heapq
import random

from fairway.core.verdict import Key
from fairway.ports import Clock

BACKOFF_BASE = 0.2
BACKOFF_MOST = 60.0


class WorkQueue:
    """A keyed queue: per-key serial, the earliest of several wishes wins, exponential backoff with jitter."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ready: dict[Key, float] = {}
        self._later: list[tuple[float, Key]] = []
        self._due: dict[Key, float] = {}
        self._working: set[Key] = set()
        self._again: set[Key] = set()
        self._failures: dict[Key, int] = {}
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._ready)

    def add(self, key: Key) -> None:
        """Ask for a pass now. While a pass runs, one more follows it."""
        if key in self._working:
            self._again.add(key)
        elif key not in self._ready:
            self._ready[key] = self._clock.now()
        self._changed.set()

    def add_at(self, key: Key, when: float) -> None:
        """Ask for a pass at a time (epoch seconds); an earlier wish stays."""
        if self._due.get(key, float("inf")) <= when:
            return
        self._due[key] = when
        heapq.heappush(self._later, (when, key))
        self._changed.set()

    def retry(self, key: Key) -> float:
        """Ask for a pass after a growing, jittered delay; return the delay."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        delay: float = min(BACKOFF_MOST, BACKOFF_BASE * 2 ** min(failures, 16)) * random.uniform(0.7, 1.3)  # noqa: S311
        self.add_at(key, self._clock.now() + delay)
        return delay

    def succeeded(self, key: Key) -> None:
        """Forget past failures."""
        self._failures.pop(key, None)

    async def get(self) -> Key:
        """Wait for the next key and take it; no other worker gets it until ``done``."""
        while True:
            wait = self._promote()
            if self._ready:
                key = next(iter(self._ready))
                del self._ready[key]
                self._working.add(key)
                return key
            self._changed.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), timeout=wait)
            except TimeoutError:
                continue

    def done(self, key: Key) -> None:
        """Give a key back."""
        self._working.discard(key)
        if key in self._again:
            self._again.discard(key)
            self.add(key)

    def _promote(self) -> float | None:
        """Move what is due to the ready keys; return seconds until the next one."""
        now = self._clock.now()
        while self._later and (self._later[0][0] <= now or self._due.get(self._later[0][1]) != self._later[0][0]):
            when, key = heapq.heappop(self._later)
            if self._due.get(key) == when:
                del self._due[key]
                self.add(key)
        return max(0.0, self._later[0][0] - now) if self._later else None
