"""A replay as text for people and as data for programs."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from fairway.api.types import format_duration
from fairway.cli.backtest_replay import Replay
from fairway.core.verdict import ObjectiveReading, Reading

_BARS = "▁▂▃▄▅▆▇█"
_WIDTH = 60
_ROWS = 20
_SAYS = {
    "RolledBack": "the candidate would have been rolled back",
    "Paused": "the rollout would have paused",
    "GoOn": "the rollout would have gone on",
    "Hold": "the rollout would have waited",
}


def as_text(replay: Replay, step: float | None) -> str:
    """Return a table of what was known when, the evidence as a line of bars, and what would have been decided."""
    question = replay.question
    against = f" against {question.stable}" if question.stable else ", with nothing to compare it with"
    span = format_duration(replay.end - question.since)
    lines = [f"{'/'.join(question.key)}: {question.candidate}{against}, {span} from {_iso(question.since)}", ""]
    lines += _table(_thinned(replay, step), question.since)
    for number, objective in enumerate(replay.readings[-1].objectives if replay.readings else ()):
        values = [reading.objectives[number].log10_evidence for reading in replay.readings]
        if any(values):
            bars = sparkline(values, objective.log10_needed)
            lines += ["", f"{objective.name}: evidence up to 10^{max(values):.1f} of 10^{objective.log10_needed:.1f}"]
            lines += [f"  {bars}"]
    return "\n".join([*lines, "", *_conclusion(replay)])


def as_data(replay: Replay, step: float | None) -> dict[str, Any]:
    """Return the same for programs; times are RFC 3339, rates are fractions."""
    question, last = replay.question, replay.readings[-1] if replay.readings else None
    return {
        "namespace": question.key[0],
        "name": question.key[1],
        "candidate": question.candidate,
        "stable": question.stable,
        "from": _iso(question.since),
        "to": _iso(replay.end),
        "decision": replay.decision,
        "decidedAt": None if replay.decided_at is None else _iso(replay.decided_at),
        "afterSeconds": None if replay.decided_at is None else round(replay.decided_at - question.since, 3),
        "verdict": last.state if last else None,
        "objectives": [_objective(o) for o in last.objectives] if last else [],
        "timeline": [
            {
                "at": _iso(reading.at),
                "verdict": reading.state,
                "objectives": [_objective(o) for o in reading.objectives],
            }
            for reading in _thinned(replay, step)
        ],
    }


def sparkline(values: Sequence[float], full: float) -> str:
    """Draw values in 0..full, at most 60 wide; each bar is the highest of its share."""
    size = max(1, -(-len(values) // _WIDTH))
    tops = [max(values[start : start + size]) for start in range(0, len(values), size)]
    return "".join(_BARS[min(len(_BARS) - 1, max(0, int(top / full * (len(_BARS) - 1))))] for top in tops)


def _table(readings: Iterable[Reading], since: float) -> list[str]:
    rows = [("AFTER", "VERDICT", "OBJECTIVE", "CANDIDATE", "STABLE", "LIMIT", "EVIDENCE", "REQUESTS", "BAD")]
    for reading in readings:
        for number, o in enumerate(reading.objectives):
            head = (format_duration(reading.at - since), reading.state) if number == 0 else ("", "")
            evidence = f"10^{o.log10_evidence:.1f}"
            counts = ("-", "-", "-") if o.sureness else (evidence, str(o.requests), str(o.bad))
            values = (o.value or "-", o.stable_value or "-", o.limit, *counts)
            rows.append((*head, o.name, *values))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _conclusion(replay: Replay) -> list[str]:
    if not replay.readings:
        return ["nothing was read: no objective can be asked"]
    last = replay.readings[-1]
    since = replay.question.since
    when = "" if replay.decided_at is None else f", after {format_duration(replay.decided_at - since)}"
    told = [o.message for o in last.objectives if o.message]
    enough = " (enough requests within the limits)" if last.state == "Undecided" and replay.decision == "GoOn" else ""
    return [f"{last.state}{enough}: {_SAYS[replay.decision]}{when}", *(f"  {line}" for line in told)]


def _thinned(replay: Replay, step: float | None) -> list[Reading]:
    """Return one reading for each ``step`` seconds, and every one that changed the verdict; the last always."""
    pace = step or (replay.end - replay.question.since) / _ROWS
    kept: list[Reading] = []
    for reading in replay.readings:
        if not kept or reading.state != kept[-1].state or reading.at - kept[-1].at >= pace:
            kept.append(reading)
    if replay.readings and kept[-1] is not replay.readings[-1]:
        kept.append(replay.readings[-1])
    return kept


def _objective(o: ObjectiveReading) -> dict[str, Any]:
    return {
        "name": o.name,
        "verdict": o.state,
        "limit": o.limit,
        "rate": o.rate,
        "value": o.value,
        "stableRate": o.stable_rate,
        "requests": o.requests,
        "bad": o.bad,
        "log10Evidence": o.log10_evidence,
        "log10Needed": o.log10_needed,
        "dryRun": o.dry_run,
        "message": o.message,
    }


def _iso(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
