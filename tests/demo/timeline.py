"""From two statuses, or from an Event, to the lines a person reads. Everything told is the operator's own word."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from fairway.api.status import Status, Track, VerdictStatus
from fairway.api.types import format_duration

Kind = Literal["weight", "good", "bad", "open", "event", "warning", "wait"]

BAR = 40
# The bar tells what these say.
_TOLD = {"WeightChanged"}


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that happened: its kind (which is its colour), the word in front, the text and what explains it."""

    kind: Kind
    label: str
    text: str
    details: tuple[str, ...] = ()


def status_lines(before: Status, after: Status) -> list[Line]:
    """Tell what is new in a status: what is waited for, then the verdict, then the weights it leads to."""
    return [*_waiting(before, after), *_verdict(before, after), *_weights(before, after), *_window(before, after)]


def event_line(event: Mapping[str, Any]) -> Line | None:
    """Tell an Event, unless the weights have told it."""
    if event["reason"] in _TOLD:
        return None
    warning = event.get("type") == "Warning"
    return Line("warning" if warning else "event", event["reason"], event.get("message", ""))


def bar(stable: Track, candidate: Track | None) -> str:
    """Draw who gets how much: `1.0.0  95% ██████░  5% 1.1.0`."""
    share = candidate.weight if candidate else 0
    # The smallest share is still seen.
    cells = max(1, round(share * BAR / 100)) if share else 0
    drawn = "█" * (BAR - cells) + "░" * cells
    right = f" {share:>3}% {candidate.version}" if candidate else ""
    return f"{stable.version} {stable.weight:>3}% {drawn}{right}"


def _waiting(before: Status, after: Status) -> list[Line]:
    now, then = _waits(after), _waits(before)
    return [Line("wait", "waiting", f"for {now}")] if now and now != then else []


def _waits(status: Status) -> str | None:
    """What is waited for, in a few words; a step that is simply observed is no news."""
    words = status.run.waiting_for if status.run else None
    if not words or words.startswith("step "):
        return None
    # The numbers of the verdict are told with the verdict.
    return "a verdict" if words.startswith("a verdict") else words


def _verdict(before: Status, after: Status) -> list[Line]:
    verdict = after.verdict
    if verdict is None or (before.verdict and _numbers(before.verdict) == _numbers(verdict)):
        return []
    if verdict.state == "Undecided" and not any(o.requests for o in verdict.objectives):
        return []  # of no requests nothing can be said
    kind: dict[str, Kind] = {"Healthy": "good", "Regressed": "bad"}
    # Regressed comes with the Event RolledBack, which has its numbers.
    details = () if verdict.state == "Regressed" else tuple(o.message or o.name for o in verdict.objectives)
    return [Line(kind.get(verdict.state, "open"), "verdict", verdict.state, details or _message(verdict))]


def _numbers(verdict: VerdictStatus) -> tuple[Any, ...]:
    return verdict.state, tuple((o.name, o.state, o.value, o.requests) for o in verdict.objectives)


def _message(verdict: VerdictStatus) -> tuple[str, ...]:
    return (verdict.message,) if verdict.message and not verdict.objectives else ()


def _weights(before: Status, after: Status) -> list[Line]:
    stable = after.stable
    if stable is None or _shares(before) == _shares(after):
        return []
    step = f"   step {after.run.progress}" if after.run and after.run.progress else ""
    return [Line("weight", "weights", bar(stable, after.candidate) + step)]


def _shares(status: Status) -> dict[str, int]:
    """Who gets requests. A candidate that has none yet is no news."""
    tracks = [status.stable, status.candidate] if status.stable else []
    return {track.revision: track.weight for track in tracks if track and track.weight}


def _window(before: Status, after: Status) -> list[Line]:
    former = after.former
    if former is None or before.former is not None:
        return []
    length = format_duration(former.until - former.promoted_at)
    return [Line("wait", "watching", f"{former.version} stays warm for {length}, ready to take over again")]
