"""Decisions whose status may be stored although the API server's answer was lost: told as soon as it is seen."""

from collections import deque
from collections.abc import Callable
from typing import Any

from fairway.core.verdict import Key
from fairway.ports import Manifest

MOST = 10
"""Of one model: an outage has a new decision at each try, and nobody knows which one was the last to arrive."""
Tell = Callable[[Manifest], None]


class Untold:
    """Remembers in memory what was to be told of statuses that may have been written.

    Each was meant for one version of its ModelDeployment, so at most one of them is stored, and it is known which as
    soon as another version is seen: statuses have no other writer.
    """

    def __init__(self) -> None:
        self._kept: dict[Key, tuple[Any, deque[tuple[Manifest, Tell]]]] = {}

    def keep(self, key: Key, model: Manifest, status: Manifest, tell: Tell) -> None:
        """Remember what to tell if ``status`` turns out to be written over ``model``."""
        version = model["metadata"]["resourceVersion"]
        if self._kept.get(key, (None,))[0] != version:
            self._kept[key] = version, deque(maxlen=MOST)
        self._kept[key][1].append((status, tell))

    def tell(self, key: Key, model: Manifest) -> None:
        """Tell what is stored after all."""
        version, tries = self._kept.get(key, (None, ()))
        if version in (None, model["metadata"]["resourceVersion"]):
            return
        self.forget(key)
        stored = next((tell for status, tell in tries if status == model.get("status")), None)
        if stored:
            stored(model)

    def forget(self, key: Key) -> None:
        """Forget a model that is gone, or whose status is written and told."""
        self._kept.pop(key, None)
