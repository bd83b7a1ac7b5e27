"""From evidence to words and verdicts: what a rollout may act on and what a person reads."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from fairway.api.status import VerdictState
from fairway.api.types import format_duration, format_latency
from fairway.core import checkpoint
from fairway.core.counters import Count
from fairway.core.evidence import (
    Bar,
    Evidence,
    absolute,
    bar,
    below,
    beyond,
    in_two_scrapes,
    is_fine,
    is_sufficient,
)
from fairway.core.objectives import Edges, Side
from fairway.core.verdict import ObjectivePlan, ObjectiveReading, Question, Reading

SILENCE = 120.0
"""Seconds with weight and without requests until the verdict is NoTraffic (design: analysis.md)."""
PATIENCE = 30.0
"""Seconds without a sample, or three scrape intervals if that is longer, until the verdict is NoData."""
PRECEDENCE: tuple[VerdictState, ...] = (
    "Regressed",
    "ProviderError",
    "NoData",
    "SharedDegradation",
    "SampleRatioMismatch",
    "NoTraffic",
    "Undecided",
    "Healthy",
)
"""The run's verdict is the first of these that any deciding objective has."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why there is nothing to judge by: ProviderError or NoData, and the reason in one line."""

    state: VerdictState
    message: str
    cause: str | None = None
    """The same in one stable word, where ``state`` does not say enough."""
    passing: bool = False
    """It may pass by itself soon after the first requests: a query has no value before its series."""


@dataclass(frozen=True, slots=True)
class Case:
    """One objective of a run: what is known and what stands in the way."""

    objective: ObjectivePlan
    evidence: Evidence = field(default_factory=Evidence)
    trouble: Trouble | None = None
    edges: Edges | None = None
    newest: Mapping[Side, float] = field(default_factory=dict)
    """Time of the last sample of each revision, epoch seconds."""
    scrape: float | None = None


def judge(question: Question, cases: list[Case], now: float, queries: Sequence[ObjectiveReading] = ()) -> Reading:
    """Return the verdict about a run; dry-run objectives are shown and decide nothing."""
    terms = bar(question)
    readings = (*[_reading(question, case, terms, now) for case in cases], *queries)
    deciding = [reading for reading in readings if not reading.dry_run]
    worst = min(deciding, key=lambda reading: PRECEDENCE.index(reading.state), default=None)
    return Reading(
        run=question.run,
        state=worst.state if worst else "Healthy",
        at=now,
        message=(worst.message or "") if worst else "no objective decides",
        objectives=readings,
        cause=worst.cause if worst else None,
        checkpoint=partial(
            checkpoint.dump,
            question,
            {case.objective.name: case.evidence for case in cases},
            [query.name for query in queries if query.state == "Regressed"],
        ),
    )


def _reading(question: Question, case: Case, terms: Bar, now: float) -> ObjectiveReading:
    objective, evidence = case.objective, case.evidence
    over, worse = below(evidence, objective, terms), beyond(evidence, objective, terms)
    strongest = max(over, worse)
    state, why = _state(question, case, terms, strongest, now)
    rate, stable_rate = _rate(evidence.candidate), _rate(evidence.stable)
    reading = ObjectiveReading(
        name=objective.name,
        state=state,
        limit=f"{objective.relative:g}x stable" if objective.relative and worse > over else objective.text,
        rate=rate,
        stable_rate=stable_rate,
        value=_value(case, rate),
        stable_value=None if terms.alone else _value(case, stable_rate),
        log10_evidence=round(strongest / math.log(10), 2),
        log10_needed=round(terms.needed / math.log(10), 2),
        requests=round(evidence.candidate.requests),
        bad=round(evidence.candidate.bad),
        sufficient=is_sufficient(evidence, objective),
        dry_run=objective.dry_run,
        cause=case.trouble.cause if case.trouble and state == case.trouble.state else None,
    )
    notes = [note for note in (why, _advice(question, evidence)) if note]
    return _with_message(reading, notes, evidence, now)


def _state(question: Question, case: Case, terms: Bar, strongest: float, now: float) -> tuple[VerdictState, str | None]:
    """Return the first that holds, in the order of PRECEDENCE, and the reason where the numbers do not tell it."""
    objective, evidence = case.objective, case.evidence
    trouble = case.trouble or _blind(question, case, now)
    if evidence.fired:
        return "Regressed", None
    if trouble:
        return trouble.state, trouble.message
    if _is_shared(case, terms, strongest):
        return "SharedDegradation", "over the limit, but no evidence that it is worse than stable"
    if question.split == "Router" and evidence.shares.mismatch:
        return "SampleRatioMismatch", _share_words(evidence)
    quiet = now - max(question.since, evidence.traffic_at or 0.0)
    if question.weight > 0 and quiet >= SILENCE:
        return "NoTraffic", f"no requests for {format_duration(quiet)}"
    sufficient = is_sufficient(evidence, objective)
    if is_fine(evidence, objective) or (terms.alone and sufficient):
        return "Healthy", None
    return "Undecided", None if sufficient else "not enough evidence yet"


def _advice(question: Question, evidence: Evidence) -> str | None:
    """Where pods split the requests a share can only be near its weight: tell, and hold nothing."""
    return _share_words(evidence) if question.split == "Pods" and evidence.shares.mismatch else None


def _share_words(evidence: Evidence) -> str:
    return f"gets {_percent(evidence.shares.share or 0.0)} of the requests at weight {evidence.shares.weight}"


def _is_shared(case: Case, terms: Bar, strongest: float) -> bool:
    """Return whether the absolute test fired and the relative one did not."""
    objective, evidence = case.objective, case.evidence
    if terms.alone or not in_two_scrapes(evidence, case.scrape or 0.0):
        return False
    return absolute(evidence, objective.limit) >= terms.needed > strongest


def _blind(question: Question, case: Case, now: float) -> Trouble | None:
    """Return why the samples do not show the present, if so. A candidate without series may just have no requests."""
    patience = max(PATIENCE, 3 * (case.scrape or 0.0))
    if now - question.since <= patience:
        return None
    metric = case.objective.metric
    if not case.newest:
        return Trouble("NoData", f"no series {metric} from the pods of this model: are they scraped?")
    age = now - max(case.newest.values())
    if age > patience:
        return Trouble("NoData", f"no sample of {metric} for {format_duration(age)}")
    lag = now - case.newest.get("candidate", now)
    if lag > patience:
        return Trouble("NoData", f"no sample of {metric} from the candidate for {format_duration(lag)}")
    return None


def _with_message(reading: ObjectiveReading, notes: list[str], evidence: Evidence, now: float) -> ObjectiveReading:
    """Add the one line that status, Event and log show."""
    beside = f" vs {reading.stable_value} stable" if reading.stable_value else ""
    parts = [
        *notes,
        f"{reading.value or 'no requests'}{beside} (limit {reading.limit})",
        f"evidence 10^{reading.log10_evidence:.1f} of 10^{reading.log10_needed:.1f}",
        f"{reading.requests} requests",
    ]
    if evidence.bad_from is not None:
        parts.append(f"first bad sample {format_duration(now - evidence.bad_from)} ago")
    return replace(reading, message=f"{reading.name}: {', '.join(parts)}")


def _rate(count: Count) -> float | None:
    return count.bad / count.requests if count.requests > 0 else None


def _value(case: Case, rate: float | None) -> str | None:
    """Write a rate for people: ``3.1%``, or ``4.2% slower than 50ms``."""
    if rate is None:
        return None
    edge = case.edges.high if case.edges else case.objective.edge
    share = _percent(rate)
    return share if edge is None else f"{share} slower than {format_latency(edge * case.objective.unit)}"


def _percent(share: float) -> str:
    percent = share * 100
    return f"{percent:.2g}%" if percent < 10 else f"{percent:.3g}%"  # noqa: PLR2004
