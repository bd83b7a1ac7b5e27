"""From the promises of a spec to what is asked of the metrics provider, and which series answers what."""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal, TypeVar

from fairway.api.runtime import REVISION_VARIABLES, Matcher, RequestSeries, Series
from fairway.api.spec import ModelDeploymentSpec, Objective
from fairway.api.types import format_latency, format_percent
from fairway.core.errors import Problem
from fairway.core.verdict import ObjectivePlan, Owner, QueryPlan, Question, SecondCounter, SeriesMatcher

Planned = TypeVar("Planned", ObjectivePlan, QueryPlan)
Side = Literal["candidate", "stable"]

NEAR = 0.2
"""How far a bucket edge may lie from the limit, as a fraction of the limit (design: analysis.md, Inputs)."""
_UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6}
_LONGEST_VALUE = 256
_VARIABLE = re.compile(rf"\$({'|'.join(REVISION_VARIABLES)})")
_MOST_REPEATS = 2


@dataclass(frozen=True, slots=True)
class Family:
    """The series that one query asks for: a metric by its full name and the runtime's matchers."""

    metric: str
    matchers: tuple[SeriesMatcher, ...]
    second: str | None = None
    owner: Owner | None = None


@dataclass(frozen=True, slots=True)
class Edges:
    """Bucket edges around a latency limit, in the unit of ``le``; equal where a bucket lies at the limit itself.

    Slower than ``high`` is surely too slow and speaks against a candidate; within ``low`` is surely fast enough.
    """

    high: float
    low: float


# --- planning ---------------------------------------------------------------------------------------------------


def plan(spec: ModelDeploymentSpec, series: Series) -> tuple[ObjectivePlan, ...]:
    """Resolve the objectives that count requests against the series of the runtime."""
    return tuple(_plan(objective, series) for objective in spec.objectives or () if objective.counts)


def _plan(objective: Objective, series: Series) -> ObjectivePlan:
    resolved = _latency(objective, series) if objective.latency else _errors(objective, series)
    relative = objective.relative_to_stable
    owner = Owner(series.revision_matcher.label, series.revision_matcher.value) if series.revision_matcher else None
    if owner and not _is_plain(SeriesMatcher(owner.label, "=~", _VARIABLE.sub("x", owner.value))):
        words = "the runtime's metrics.series.revisionMatcher.value is too complex"
        resolved = hindered(resolved, Problem("InvalidMatcher", words))
    return replace(
        resolved,
        owner=owner,
        relative=relative.at_most if relative else None,
        relative_floor=1e-3 if relative is None or relative.above is None else relative.above,
        min_requests=objective.min_requests or _default_requests(resolved.limit),
        dry_run=bool(objective.dry_run),
        provider=objective.provider,
    )


def hindered(plan: Planned, problem: Problem | None) -> Planned:
    """Return a plan with the reason why it cannot be asked, if there is one."""
    return replace(plan, problem=problem.message, cause=problem.cause) if problem else plan


def _errors(objective: Objective, series: Series) -> ObjectivePlan:
    assert objective.errors is not None
    counter = series.requests
    failure = _matchers(counter.failure if counter else ())
    second = _second(counter) if counter else None
    unsafe = next((m for m in failure if not _is_plain(m)), None)
    problem = None
    if counter is None:
        problem = Problem("NoSeries", "the runtime names no request counter (metrics.series.requests)")
    elif not failure and not second:
        words = "the runtime does not say which requests failed (metrics.series.requests.failure)"
        problem = Problem("NoSeries", words)
    elif unsafe:
        words = f"the failure matcher of label {unsafe.label} is too complex: use at most {_MOST_REPEATS} of * + {{"
        problem = Problem("InvalidMatcher", words)
    resolved = ObjectivePlan(
        name=objective.name,
        kind="errors",
        metric=counter.metric if counter else "",
        matchers=_matchers(counter.matchers if counter else ()),
        failure=failure,
        limit=objective.errors.below,
        text=format_percent(objective.errors.below),
        second=second,
    )
    return hindered(resolved, problem)


def _second(counter: RequestSeries) -> SecondCounter | None:
    if counter.failed:
        return SecondCounter(counter.failed.metric, "failedApart" if counter.failed.apart else "failed")
    return SecondCounter(counter.succeeded.metric, "succeeded") if counter.succeeded else None


def _latency(objective: Objective, series: Series) -> ObjectivePlan:
    """Turn a quantile's limit into a share: "p99 below 50 ms" *is* "at most 1 % of requests slower than 50 ms"."""
    assert objective.latency is not None
    histogram = series.latency
    unit = _UNITS[(histogram.unit if histogram else None) or "s"]
    problem = Problem("NoSeries", "the runtime names no latency histogram (metrics.series.latency)")
    percentile, below = objective.latency.percentile, objective.latency.below
    resolved = ObjectivePlan(
        name=objective.name,
        kind="latency",
        metric=histogram.metric if histogram else "",
        matchers=_matchers(histogram.matchers if histogram else ()),
        failure=(),
        limit=_tidy(1 - percentile / 100),
        edge=_tidy(below / unit),
        unit=unit,
        text=f"p{percentile:g} {format_latency(below)}",
    )
    return resolved if histogram else hindered(resolved, problem)


def _default_requests(limit: float) -> int:
    """Return how many good requests make a rate over the limit unlikely: the rule of three, at least 100."""
    return max(100, math.ceil(round(3 / limit, 6))) if limit else 100


def _matchers(matchers: Iterable[Matcher]) -> tuple[SeriesMatcher, ...]:
    return tuple(SeriesMatcher(m.label, m.op, m.value) for m in matchers)


def _tidy(number: float) -> float:
    """Undo binary noise: 1 - 0.99 is 0.01, and 70 * 0.001 is 0.07."""
    return float(f"{number:.12g}")


# --- asking -----------------------------------------------------------------------------------------------------


def family(objective: ObjectivePlan) -> Family:
    """Return what to ask for. A histogram needs no ``_count``: its ``+Inf`` bucket holds the same number."""
    suffix = "_bucket" if objective.kind == "latency" else ""
    second = objective.second.metric if objective.second else None
    return Family(objective.metric + suffix, objective.matchers, second, objective.owner)


def pods(question: Question) -> str:
    """Return a regular expression (RE2, anchored) for the pods of both revisions; Deployment pods keep the prefix."""
    return "|".join(f"{literal(prefix)}.*" for prefix in prefixes(question).values())


def revisions(question: Question) -> dict[Side, str]:
    """Return the revisions of both sides."""
    found: dict[Side, str] = {"candidate": question.candidate}
    if question.beside:
        found["stable"] = question.beside
    return found


def prefixes(question: Question) -> dict[Side, str]:
    """Return how the names of the pods of each revision begin."""
    return {side: f"{question.key[1]}-{revision}-" for side, revision in revisions(question).items()}


def owned(question: Question, owner: Owner) -> dict[Side, str]:
    """Return a regular expression for the values by which the owner's label names each revision."""

    def name(revision: str) -> str:
        values = dict(zip(REVISION_VARIABLES, (*question.key, revision), strict=True))
        return _VARIABLE.sub(lambda found: literal(values[found[1]]), owner.value)

    return {side: name(revision) for side, revision in revisions(question).items()}


def le_values(edges: Iterable[float]) -> str:
    """Return a regular expression for the ``le`` labels of these edges and of ``+Inf``, in all their spellings.

    Prometheus 2 stores ``1``, Prometheus 3 stores ``1.0``.
    """
    spellings = {spelling for edge in edges for spelling in _spellings(edge)}
    return "|".join(literal(s) for s in ("+Inf", *sorted(spellings)))


def le_value(edge: float) -> str:
    """Return a regular expression for the ``le`` label of this edge alone, in all its spellings."""
    return "|".join(literal(spelling) for spelling in sorted(_spellings(edge)))


def literal(text: str) -> str:
    """Escape text for a regular expression of RE2."""
    return re.sub(r"([\\.+*?()|\[\]{}^$])", r"\\\1", text)


def _spellings(edge: float) -> set[str]:
    short = f"{edge:g}" if float(f"{edge:g}") == edge else repr(edge)
    return {short, repr(edge), repr(edge).removesuffix(".0"), short if {".", "e"} & set(short) else f"{short}.0"}


# --- reading ----------------------------------------------------------------------------------------------------


def choose_edges(limit: float, available: Iterable[float]) -> Edges | None:
    """Choose the bucket at the limit, else the nearest on both sides, each within 20 %; None if that fails."""
    finite = sorted(edge for edge in available if math.isfinite(edge))
    exact = next((edge for edge in finite if math.isclose(edge, limit, rel_tol=1e-9)), None)
    if exact is not None:
        return Edges(exact, exact)
    high = next((edge for edge in finite if limit < edge <= limit * (1 + NEAR)), None)
    low = next((edge for edge in reversed(finite) if limit > edge >= limit * (1 - NEAR)), None)
    return None if high is None or low is None else Edges(high, low)


def no_bucket(objective: ObjectivePlan, available: Iterable[float]) -> str:
    """Say in one line why a latency limit cannot be judged, naming the buckets to choose from."""
    limit = objective.edge or 0.0
    finite = sorted(edge for edge in available if math.isfinite(edge))
    below = [edge for edge in finite if edge < limit][-1:]
    above = [edge for edge in finite if edge > limit][:1]
    nearest = " and ".join(format_latency(edge * objective.unit) for edge in below + above) or "none"
    return f"no bucket at {format_latency(limit * objective.unit)} in {objective.metric}: the nearest are {nearest}"


def weights(objective: ObjectivePlan, labels: Mapping[str, str]) -> tuple[int, int]:
    """Return how often one more of this series counts as a request and as a bad one."""
    second = objective.second
    if second is None:
        return 1, int(failed(objective, labels))
    if labels.get("__name__") == second.metric:
        return {"failed": (0, 1), "failedApart": (1, 1), "succeeded": (0, -1)}[second.counts]
    return 1, int(second.counts == "succeeded")


def failed(objective: ObjectivePlan, labels: Mapping[str, str]) -> bool:
    """Return whether requests counted under these labels failed: any failure matcher matches."""
    return any(_matches(m, labels.get(m.label, "")) for m in objective.failure)


def probe_label(probes: Iterable[str], series: Iterable[Mapping[str, str]]) -> tuple[str, str] | None:
    """Return the first label whose value is a path that only the kubelet or the scrapes ask for; None if none is."""
    paths = frozenset(probes)
    return next(((key, value) for labels in series for key, value in labels.items() if value in paths), None)


def probed(objective: ObjectivePlan, label: str, path: str) -> str:
    """Say in one line that probes or scrapes are counted as requests, and what leaves them out."""
    where = "requests" if objective.kind == "errors" else "latency"
    fix = f'{{label: {label}, op: "!=", value: {path}}} to metrics.series.{where}.matchers'
    return f'{objective.metric} counts probes or scrapes as requests ({label}="{path}"): add {fix}'


@lru_cache(maxsize=4096)
def _matches(matcher: SeriesMatcher, value: str) -> bool:
    if matcher.op in ("=", "!="):
        return (value == matcher.value) == (matcher.op == "=")
    found = len(value) <= _LONGEST_VALUE and re.fullmatch(matcher.value, value) is not None
    return found == (matcher.op == "=~")


def _is_plain(matcher: SeriesMatcher) -> bool:
    """Whether Python may run this expression: valid, and without the repetitions that backtrack for ever.

    Model owners may write matchers, and one slow match would stop the operator for everybody.
    """
    if matcher.op in ("=", "!="):
        return True
    repeats = len(re.findall(r"[*+{]", matcher.value))
    try:
        re.compile(matcher.value)
    except (re.error, OverflowError, RecursionError):
        return False
    return repeats <= _MOST_REPEATS and not re.search(r"\)[*+{]|\\[0-9]|\(\?[^:]", matcher.value)
