"""Are the objectives measurable? Looked at between runs: soon after a change, then from time to time."""

from dataclasses import dataclass

from fairway.core.rollout.question import preflight, preflight_id
from fairway.core.rollout.situation import Situation
from fairway.core.verdict import Key, Reading
from fairway.engine.analysis import Analysis

AGAIN = 60.0
HOURLY = 3600.0


@dataclass(frozen=True, slots=True)
class _Checked:
    about: str
    at: float
    fine: bool


class Preflight:
    """Remembers in memory when each ModelDeployment was looked at; asks one question at a time."""

    def __init__(self, analysis: Analysis) -> None:
        self._analysis = analysis
        self._checked: dict[Key, _Checked] = {}

    def reading(self, key: Key, s: Situation) -> Reading | None:
        """Return the answer that has just come, once."""
        stable = s.status.stable
        if stable is None or s.status.run or s.status.former or not s.spec.objectives:
            return None
        reading = self._analysis.reading(key, preflight_id(stable.revision))
        if reading is None:
            return None
        counted = any(objective.requests for objective in reading.objectives)
        fine = counted and reading.state not in ("NoData", "ProviderError")
        self._checked[key] = _Checked(_about(s), s.now, fine)
        self._analysis.forget(key)
        return reading

    def ask(self, key: Key, s: Situation) -> float | None:
        """Ask if it is time; return when the next look is due."""
        asked = preflight(s, key)
        if asked is None:
            self._analysis.forget(key)
            self._checked.pop(key, None)
            return None
        last = self._checked.get(key)
        if last is not None and last.about == _about(s):
            due = last.at + (HOURLY if last.fine else AGAIN)
            if s.now < due:
                return due
        self._analysis.ask(asked)
        return s.now + AGAIN

    def forget(self, key: Key) -> None:
        """Forget a ModelDeployment that is gone."""
        self._checked.pop(key, None)


def _about(s: Situation) -> str:
    """What a check is about: another revision or other objectives need another look."""
    return f"{s.status.stable.revision if s.status.stable else ''} {s.spec.objectives!r}"
