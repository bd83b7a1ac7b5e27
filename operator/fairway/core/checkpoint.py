"""Evidence as compact text: what status keeps, so that a restarted operator goes on from there."""

import json
import math
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from fairway.core.counters import Count
from fairway.core.debt import Owed
from fairway.core.evidence import MULTIPLIERS, OK_MULTIPLIERS, Evidence, Spread, count_tests
from fairway.core.shares import Shares
from fairway.core.verdict import Question

_VERSION = 2
_NEVER = -1.0
_SCALARS = 20
_LOGS = (len(MULTIPLIERS), len(OK_MULTIPLIERS))


class _Stored(NamedTuple):
    tests: int = 0
    objectives: Mapping[str, Evidence] = {}
    fired: frozenset[str] = frozenset()


def dump(question: Question, evidence: Mapping[str, Evidence], fired: Collection[str] = ()) -> str | None:
    """Write evidence as JSON, under 1.5 KB for three objectives; logs are rounded to 0.01. None before the first.

    ``fired`` names the queries that broke their promise: that stays, also after a restart. What is owed has a place of
    its own, as seldom anything is and as neither older nor newer operators may take it for something else.
    """
    objectives = {name: _packed(one) for name, one in evidence.items() if one.at}
    if not objectives and not fired:
        return None
    tests = question.tests or count_tests(question)
    stored: dict[str, Any] = {"v": _VERSION, "run": _identity(question), "tests": tests, "o": objectives}
    owed = {name: numbers for name, one in evidence.items() if one.at and any(numbers := _debts(one.owed))}
    stored |= ({"q": sorted(fired)} if fired else {}) | ({"owed": owed} if owed else {})
    return json.dumps(stored, separators=(",", ":"))


def load(question: Question) -> dict[str, Evidence]:
    """Read the question's checkpoint; empty where there is none, it is another run's, or nobody can read it."""
    return dict(_stored(question).objectives)


def fired(question: Question) -> frozenset[str]:
    """Return the names of the queries that had fired by the question's checkpoint."""
    return _stored(question).fired


def pinned(question: Question) -> Question:
    """Return the question with the number of tests with which it opened, maybe before a restart."""
    return replace(question, tests=_stored(question).tests or count_tests(question))


def _stored(question: Question) -> _Stored:
    try:
        stored = json.loads(question.checkpoint or "{}")
        if stored.get("v") != _VERSION or stored.get("run") != _identity(question):
            return _Stored()
        owed = stored.get("owed", {})
        objectives = {
            name: replace(_unpacked([float(number) for number in packed]), owed=_owed(owed.get(name)))
            for name, packed in stored["o"].items()
        }
        return _Stored(max(0, int(stored["tests"])), objectives, frozenset(map(str, stored.get("q", ()))))
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        return _Stored()


def _identity(question: Question) -> str:
    return f"{question.run}:{question.candidate}:{question.stable or ''}"


def _packed(evidence: Evidence) -> list[float]:
    times = (evidence.traffic_at, evidence.bad_from, evidence.bad_to)
    ages = [_NEVER if at is None else round(evidence.at - at, 3) for at in times]
    spread, shares = evidence.spread, evidence.shares
    totals = (*_count(evidence.candidate), *_count(evidence.stable), spread.count, spread.total, spread.squares)
    state = (evidence.hits, evidence.load, evidence.warm, int(evidence.fired))
    scalars = (*totals, *state, shares.weight, shares.candidate, shares.stable)
    logs = (*evidence.regressed, *evidence.fine, *evidence.relative)
    return [round(evidence.at, 3), *ages, *(_short(n, 3) for n in scalars), *(_short(log, 2) for log in logs)]


def _unpacked(numbers: list[float]) -> Evidence:
    scalars, logs = numbers[:_SCALARS], numbers[_SCALARS:]
    if len(logs) not in (sum(_LOGS), sum(_LOGS) + _LOGS[0]) or not all(map(math.isfinite, numbers)):
        raise ValueError("not a checkpoint of this version")
    at = scalars[0]
    traffic_at, bad_from, bad_to = (None if age < 0 else at - age for age in scalars[1:4])
    return Evidence(
        at=at,
        candidate=Count(*scalars[4:7]),
        stable=Count(*scalars[7:10]),
        spread=Spread(*scalars[10:13]),
        hits=scalars[13],
        load=scalars[14],
        warm=int(scalars[15]),
        fired=bool(scalars[16]),
        shares=Shares(int(scalars[17]), *scalars[18:20]),
        traffic_at=traffic_at,
        bad_from=bad_from,
        bad_to=bad_to,
        regressed=tuple(logs[: _LOGS[0]]),
        fine=tuple(logs[_LOGS[0] : sum(_LOGS)]),
        relative=tuple(logs[sum(_LOGS) :]),
    )


def _debts(owed: Owed) -> list[float]:
    return [_short(n, 3) for count in owed for n in (count.bad, count.strict)]


def _owed(numbers: list[float] | None) -> Owed:
    if numbers is None:
        return Owed()
    if len(numbers) != 2 * len(Owed()) or not all(math.isfinite(n) and n <= 0 for n in numbers):
        raise ValueError("no debts")
    return Owed(Count(0.0, *map(float, numbers[:2])), Count(0.0, *map(float, numbers[2:])))


def _count(count: Count) -> tuple[float, float, float]:
    return count.requests, count.bad, count.strict


def _short(number: float, digits: int) -> float:
    rounded = round(number, digits)
    return int(rounded) if rounded == int(rounded) else rounded
