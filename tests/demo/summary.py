"""From what was seen to the report: a dict for build/demo.json, a table for people, and what is wrong with it."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from fairway.api.status import HistoryEntry, Status
from tests.demo import acts
from tests.demo.acts import ACTS, Act
from tests.demo.record import Record
from tests.load.result import Outcome, Result, Sample

Report = dict[str, Any]

VERSIONS = (acts.FIRST, *(act.version for act in ACTS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """Everything that the play left behind: the operator's last status, the weights, the answers."""

    status: Status
    record: Record
    load: Result
    failure: str | None = None


@dataclass(frozen=True, slots=True)
class Zero:
    """Seconds from a version's first bad answer to the end of its weight, three ways of seeing it."""

    status: float | None = None
    route: float | None = None
    last_answer: float | None = None


# --- answers ----------------------------------------------------------------------------------------------------


def is_bad(sample: Sample, act: Act) -> bool:
    """Whether an answer breaks the promise that its act is about."""
    slow = act.fault == "latency" and sample.latency > acts.LATENCY_LIMIT
    return slow or sample.outcome is not Outcome.OK


def bad_answers(act: Act, load: Result) -> list[Sample]:
    """The answers of a version that break its promise."""
    return [sample for sample in load.samples if sample.version == act.version and is_bad(sample, act)]


def seconds_to_zero(act: Act, record: Record, load: Result) -> Zero:
    """Measure from the first bad answer's arrival; nothing to measure without one."""
    first = min((sample.done for sample in bad_answers(act, load)), default=None)
    if first is None:
        return Zero()
    status, route = record.status_zero(act.version), record.route_zero(act.version)
    last = max(sample.done for sample in load.samples if sample.version == act.version)
    return Zero(_since(first, status), _since(first, route), _since(first, last))


def _since(first: float, moment: float | None) -> float | None:
    return None if moment is None else round(moment - first, 2)


def tally(act: Act, load: Result, zero: Zero) -> str:
    """Say in one line what the clients noticed of an act."""
    counts = Counter(sample.version for sample in load.samples)
    got = f"clients: {counts[act.version]} answers by {act.version}"
    if act.fault and zero.status is not None:
        got += f", {len(bad_answers(act, load))} bad, {zero.status:.1f} s from the first bad one to weight 0"
    return f"{got}; of {load.requests} requests so far {load.lost or 'none'} lost"


# --- the report -------------------------------------------------------------------------------------------------


def build(seen: Seen) -> Report:
    """Put together what the issue asks for, and what is wrong with it."""
    entries = [entry for entry in reversed(seen.status.history) if entry.version != acts.FIRST]
    out = [entry for entry in entries if entry.outcome == "RolledBack"]
    load = seen.load.summary()
    report: Report = {
        "promoted": [entry.version for entry in entries if entry.outcome == "Promoted"],
        "rolled_back": [_rolled_back(entry, seen) for entry in out],
        "never_got_weight": [entry.version for entry in out if not seen.record.had_weight(entry.version)],
        "requests": seen.load.requests,
        "lost": seen.load.lost,
        "unsent": seen.load.unsent,
        # How late the generator itself was, seconds: what it waited for the machine, no version is guilty of.
        "lag_p99": load["lag_p99"] and round(load["lag_p99"], 4),
        "rate": _rate(seen.load),
        "weights": {version: seen.record.climb(version) for version in VERSIONS},
        "by_version": {version: _rounded(sums) for version, sums in load["by_version"].items()},
        "losses": load["losses"],
        "reasons": {entry.version: entry.reason for entry in entries},
    }
    return {**report, "problems": [seen.failure] if seen.failure else problems(report)}


def _rolled_back(entry: HistoryEntry, seen: Seen) -> Report:
    act = next((act for act in ACTS if act.version == entry.version), None)
    zero = seconds_to_zero(act, seen.record, seen.load) if act else Zero()
    return {
        "version": entry.version,
        "reason": entry.reason,
        # The moment at which a watch on the ModelDeployment showed weight 0.
        "seconds_from_first_bad_answer": zero.status,
        "measured_to": "weight 0 in status",
        "route_seconds": zero.route,
        "last_answer_seconds": zero.last_answer,
        "answers": sum(sample.version == entry.version for sample in seen.load.samples),
        "bad_answers": len(bad_answers(act, seen.load)) if act else 0,
    }


def _rate(load: Result) -> float:
    times = [sample.at for sample in load.samples]
    length = max(times) - min(times) if times else 0.0
    return round(len(times) / length, 1) if length else 0.0


def _rounded(sums: dict[str, Any]) -> dict[str, Any]:
    return {key: round(value, 4) if isinstance(value, float) else value for key, value in sums.items()}


# --- is it right? -----------------------------------------------------------------------------------------------


def problems(report: Report) -> list[str]:
    """Everything in which the outcome is not exactly the one that the play is about."""
    out = [entry["version"] for entry in report["rolled_back"]]
    checks = [
        _differs("promoted", report["promoted"], [act.version for act in ACTS if act.ending == "Promoted"]),
        _differs("rolled back", out, [act.version for act in ACTS if act.ending == "RolledBack"]),
        _differs("never got weight", report["never_got_weight"], [act.version for act in ACTS if _harmless(act)]),
        *(_promotion(act, report) for act in ACTS if act.ending == "Promoted"),
        *(_blame(act, report) for act in ACTS),
        *(_measured(act, report) for act in ACTS if act.fault),
        f"{report['lost']} requests were lost" if report["lost"] else None,
        f"{report['unsent']} requests could not be sent: the load was not constant" if report["unsent"] else None,
    ]
    return [problem for problem in checks if problem]


def _harmless(act: Act) -> bool:
    return act.ending == "RolledBack" and act.fault is None


def _differs(what: str, found: Sequence[str], expected: Sequence[str]) -> str | None:
    if list(found) == list(expected):
        return None
    return f"{what}: {', '.join(found) or 'nobody'}; it should have been {', '.join(expected)}"


def _promotion(act: Act, report: Report) -> str | None:
    steps, expected = report["weights"][act.version], [*acts.WEIGHTS, 100]
    if steps == expected:
        return None
    return f"{act.version} went through {_way(steps)}; it should have been {_way(expected)}"


def _way(weights: Iterable[int]) -> str:
    return "/".join(str(weight) for weight in weights) or "nothing"


def _blame(act: Act, report: Report) -> str | None:
    reason = report["reasons"].get(act.version)
    if reason is None or act.blamed in reason:
        return None
    return f"{act.version} ended for the wrong reason ({reason}): it should have been {act.blamed}"


def _measured(act: Act, report: Report) -> str | None:
    found = next((entry for entry in report["rolled_back"] if entry["version"] == act.version), None)
    if found is None or found["seconds_from_first_bad_answer"] is not None:
        return None
    return f"no bad answer of {act.version} was seen, or its weight did not end"


# --- for people -------------------------------------------------------------------------------------------------

_COLUMNS = ("VERSION", "OUTCOME", "WEIGHTS", "ANSWERS", "BAD", "P50", "P99", "FIRST BAD -> WEIGHT 0", "LAST ANSWER")


def table(report: Report) -> list[str]:
    """Write the report as aligned columns, and the reasons below."""
    rows = [_COLUMNS, *(_row(version, report) for version in VERSIONS)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    lines = ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    why = [f"{version}: {reason}" for version, reason in report["reasons"].items()]
    return [*lines, "", *why, "", _total(report)]


def _row(version: str, report: Report) -> tuple[str, ...]:
    sums = report["by_version"].get(version, {})
    out = next((entry for entry in report["rolled_back"] if entry["version"] == version), None)
    bad = out["bad_answers"] if out else sums.get("injected", 0) + sums.get("lost", 0)
    return (
        version,
        _outcome(version, report),
        _way(report["weights"][version]),
        str(sums.get("requests", 0)),
        str(bad),
        _milliseconds(sums.get("p50")),
        _milliseconds(sums.get("p99")),
        _seconds(out and out["seconds_from_first_bad_answer"]),
        _seconds(out and out["last_answer_seconds"]),
    )


def _outcome(version: str, report: Report) -> str:
    if version == acts.FIRST:
        return "first" if report["weights"][version] else "-"
    if version in report["promoted"]:
        return "promoted"
    return "rolled back" if any(entry["version"] == version for entry in report["rolled_back"]) else "-"


def _milliseconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1000:.0f} ms"


def _seconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.1f} s"


def _total(report: Report) -> str:
    return f"{report['requests']} requests at {report['rate']:g} a second, {report['lost']} lost"
