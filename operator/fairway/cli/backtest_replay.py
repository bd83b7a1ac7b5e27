"""What would have been decided: the operator's own analysis, with the past as provider and a clock that runs ahead."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from fairway.adapters.promql import scoped
from fairway.core.verdict import Question, Reading
from fairway.engine.analysis import Analysis
from fairway.engine.track import HISTORY
from fairway.ports import Clock, Endpoint, MetricsSource

Decision = Literal["GoOn", "RolledBack", "Paused", "Hold"]
"""What a rollout may do on a verdict: take the next step, take the candidate out, stop and ask, or wait."""


@dataclass(frozen=True, slots=True)
class Replay:
    """Every reading that differs from the one before, oldest first, and what came of the last."""

    question: Question
    end: float
    readings: tuple[Reading, ...]
    decision: Decision
    decided_at: float | None
    """When the last verdict came up; None where there was none."""


@dataclass(slots=True)
class ReplayClock:
    """The time of the replay, epoch seconds."""

    time: float

    def now(self) -> float:
        """Return the time of the replay."""
        return self.time


async def replay(  # noqa: PLR0913  what the operator is told, too
    question: Question,
    source: Callable[[Clock], MetricsSource],
    end: float,
    *,
    pause_on_regression: bool = False,
    scrape_interval: float | None = None,
    revision_label: str | None = None,
) -> Replay:
    """Ask a question from its ``since`` on, as the operator would have, until a test fires or the time is over."""
    clock = ReplayClock(question.since)
    endpoint = Endpoint("past", source(clock), scrape_interval, revision_label)
    analysis = Analysis([endpoint], clock, lambda _key: None, scoped=scoped)
    analysis.ask(question)
    readings: list[Reading] = []
    while True:
        due = await analysis.poll()
        reading = analysis.reading(question.key, question.run)
        if reading is not None and (not readings or _differs(readings[-1], reading)):
            readings.append(reading)
        if due is None or clock.time >= end or (reading is not None and reading.state == "Regressed"):
            break
        clock.time = min(end, clock.time + due)
    last = readings[-1] if readings else None
    since = next((r.at for r in _lasting(readings)), None)
    return Replay(question, clock.time, tuple(readings), _decide(last, pause=pause_on_regression), since)


def history_start(question: Question) -> float:
    """Return how far back the replay may look, epoch seconds."""
    return question.since - HISTORY


def goes_on(reading: Reading) -> bool:
    """Return whether a step may be left on this reading."""
    return reading.state == "Healthy" or reading.sufficient


def _differs(before: Reading, now: Reading) -> bool:
    """Whether anything but the time moved."""
    return before.state != now.state or _numbers(before) != _numbers(now)


def _numbers(reading: Reading) -> list[tuple[object, ...]]:
    return [(o.requests, o.bad, o.log10_evidence, o.value, o.sureness) for o in reading.objectives]


def _lasting(readings: list[Reading]) -> Iterator[Reading]:
    """Return the readings of the last verdict, oldest first."""
    if not readings:
        return iter(())
    outcome = _decide(readings[-1], pause=False)
    first = len(readings)
    while first and _decide(readings[first - 1], pause=False) == outcome:
        first -= 1
    return iter(readings[first:])


def _decide(reading: Reading | None, *, pause: bool) -> Decision:
    if reading is None:
        return "Hold"
    if reading.state == "Regressed":
        return "Paused" if pause else "RolledBack"
    return "GoOn" if goes_on(reading) else "Hold"
