"""Are the objectives measurable? Looked at between runs: soon after a change, then each hour."""

import math
from dataclasses import dataclass

from fairway.core.providers import Providers
from fairway.core.rollout.question import preflight, preflight_id
from fairway.core.rollout.situation import Situation
from fairway.core.verdict import Key, Reading
from fairway.engine.analysis import Analysis

AGAIN, HOURLY = 15.0, 3600.0
"""Seconds between two looks: doubled each time from the first to the second while nothing is measured."""


@dataclass(frozen=True, slots=True)
class _Checked:
    about: str
    due: float
    """When to look again, epoch seconds."""
    misses: int
    """Looks in a row at which something was missing."""


class Preflight:
    """Remembers in memory when each ModelDeployment was looked at; asks one question at a time."""

    def __init__(self, analysis: Analysis, providers: Providers | None = None) -> None:
        self._analysis = analysis
        self._providers = providers
        self._checked: dict[Key, _Checked] = {}
        self._looked: dict[Key, _Checked] = {}
        """Answers that no stored status has yet."""

    def reading(self, key: Key, s: Situation) -> Reading | None:
        """Return the answer that has come and was not told yet."""
        self._looked.pop(key, None)
        stable = s.status.stable
        if stable is None or s.status.run or s.status.former or not s.spec.objectives:
            return None
        reading = self._analysis.reading(key, preflight_id(stable.revision))
        if reading is None:
            return None
        fine = reading.measured and reading.state not in ("NoData", "ProviderError")
        last = self._checked.get(key)
        misses = 0 if fine else last.misses + 1 if last and last.about == _about(s) else 1
        self._looked[key] = _Checked(_about(s), _next_look(s.now, misses), misses)
        # Pods that have just become ready may not have been scraped yet: that is no news.
        return None if misses == 1 and reading.state == "NoData" and reading.cause is None else reading

    def told(self, key: Key) -> None:
        """Note that the status with the answer is written; one whose write has failed is there to be told again."""
        looked = self._looked.pop(key, None)
        if looked is not None:
            self._checked[key] = looked
            self._analysis.forget(key)

    def ask(self, key: Key, s: Situation) -> float | None:
        """Ask if it is time; return when the next look is due."""
        asked = preflight(s, key, self._providers)
        if asked is None:
            self._analysis.forget(key)
            self._checked.pop(key, None)
            return None
        last = self._checked.get(key)
        if last is not None and last.about == _about(s) and s.now < last.due:
            return last.due
        self._analysis.ask(asked)
        return s.now + AGAIN

    def forget(self, key: Key) -> None:
        """Forget a ModelDeployment that is gone."""
        self._checked.pop(key, None)
        self._looked.pop(key, None)


def _next_look(now: float, misses: int) -> float:
    """Return when to look again: at the same moments for all, so that they share their queries."""
    every = min(AGAIN * 2 ** min(misses - 1, 10), HOURLY) if misses else HOURLY
    return math.ceil((now + every) / every * 4) * every / 4


def _about(s: Situation) -> str:
    """What a check is about: another revision or other objectives need another look."""
    return f"{s.status.stable.revision if s.status.stable else ''} {s.spec.objectives!r}"
