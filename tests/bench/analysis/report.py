"""The results as a table for people and as JSON."""

import math
from collections.abc import Iterable
from typing import Any

from tests.bench.analysis.measure import Result, Times
from tests.bench.analysis.rules import RULES

LETTERS = "ABCD"
WIDTH = 24
LONGEST = 3600.0


def text(healthy: list[Result], broken: list[Result], edges: list[Result]) -> str:
    """Write all of it as plain text."""
    rules = [f"  {letter}: {rule.name}" for letter, rule in zip(LETTERS, RULES, strict=True)]
    return "\n".join(
        [
            "The rules of the field, beside Fairway:",
            *rules,
            "",
            *_grid(["good candidates rolled back, of", "runs", "Fairway", *LETTERS], map(_false, healthy)),
            "",
            *_grid(
                ["bad candidates: seconds to the rollback", "missed", "median", "p90", "Wald", *LETTERS, _axis()],
                map(_found, broken),
            ),
            "  (the rules: median, and the part of runs that they miss; ## from the median to the 90th percentile)",
            "",
            *_grid(["at the edge of the null", "runs", "rolled back"], map(_edge, edges)),
        ]
    )


def document(healthy: list[Result], broken: list[Result], edges: list[Result]) -> dict[str, Any]:
    """Return the same for machines; times are seconds, null where there is none."""
    parts = {"healthy": healthy, "broken": broken, "edges": edges}
    return {part: [_json(result) for result in results] for part, results in parts.items()}


def _json(result: Result) -> dict[str, Any]:
    s = result.scenario
    return {
        "name": s.name,
        "requestsPerSecond": s.rps,
        "weight": s.weight,
        "stable": s.base,
        "candidate": s.rate,
        "limit": s.plan.limit,
        "relativeToStable": s.plan.relative,
        "burst": s.burst,
        "alpha": s.alpha,
        "seconds": s.seconds,
        "runs": result.runs,
        "expected": s.expected,
        "wald": _finite(result.bound),
        "regressed": _times(result.regressed),
        "healthy": _times(result.healthy),
        "rules": {name: _times(times) for name, times in result.rules.items()},
    }


def _times(times: Times) -> dict[str, Any]:
    return {"runs": times.count, "median": _finite(times.median), "p90": _finite(times.p90)}


def _finite(seconds: float) -> float | None:
    return round(seconds, 1) if math.isfinite(seconds) else None


def _false(result: Result) -> list[str]:
    rules = (_percent(times.count, result.runs) for times in result.rules.values())
    return [result.scenario.name, str(result.runs), str(result.regressed.count), *rules]


def _found(result: Result) -> list[str]:
    times = result.regressed
    rules = (_rule(each, result.runs) for each in result.rules.values())
    numbers = [_percent(result.missed, result.runs), _seconds(times.median), _seconds(times.p90)]
    return [result.scenario.name, *numbers, _seconds(result.bound), *rules, _bar(times)]


def _edge(result: Result) -> list[str]:
    return [result.scenario.name, str(result.runs), f"{result.regressed.count / result.runs:.2%}"]


def _rule(times: Times, runs: int) -> str:
    missed = runs - times.count
    return _seconds(times.median) + (f" ({_percent(missed, runs)})" if missed else "")


def _percent(part: int, of: int) -> str:
    share = 100 * part / of
    return "0" if not part else f"{share:.1f}%" if share < 10 else f"{share:.0f}%"


def _seconds(seconds: float) -> str:
    return f"{seconds:.0f}" if math.isfinite(seconds) else "never"


def _place(seconds: float) -> int:
    """Column of a time on a logarithmic axis from 10 s to an hour."""
    part = math.log(max(seconds, 10.0) / 10) / math.log(LONGEST / 10)
    return min(WIDTH - 1, int(part * (WIDTH - 1)))


def _axis() -> str:
    marks = {_place(seconds): label for seconds, label in ((10, "10s"), (60, "1m"), (600, "10m"), (LONGEST, "|"))}
    line = ""
    for column in range(WIDTH):
        line += marks.get(column, "" if len(line) > column else " ")
    return line[:WIDTH]


def _bar(times: Times) -> str:
    if not math.isfinite(times.median):
        return ""
    start, end = _place(times.median), _place(min(times.p90, LONGEST))
    return " " * start + "#" * (end - start + 1)


def _grid(heads: list[str], rows: Iterable[list[str]]) -> list[str]:
    """Align: the first and the last text column to the left, numbers to the right."""
    table = [heads, *rows]
    widths = [max(len(row[k]) for row in table) for k in range(len(heads))]
    lines = ["  ".join(_cell(row[k], widths[k], k, heads) for k in range(len(heads))).rstrip() for row in table]
    return [lines[0], "-" * len(lines[0]), *lines[1:]]


def _cell(text: str, width: int, column: int, heads: list[str]) -> str:
    is_text = column == 0 or heads[column].startswith("10s")
    return text.ljust(width) if is_text else text.rjust(width)
