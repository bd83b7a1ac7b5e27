"""Objectives that are one number from a query: what is asked, and what the last answers say.

The distribution of such a number is unknown, so no bound is claimed: three breaches in the last four answers decide.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fairway.api.status import VerdictState
from fairway.core.judgement import PATIENCE, Trouble
from fairway.core.objectives import literal
from fairway.core.verdict import Key, ObjectiveReading, QueryPlan, Question, SeriesMatcher

LATEST = 4
"""Answers that are looked at, ..."""
BREACHES = 3
"""... and how many of them must break the promise (design: analysis.md, Inputs)."""
_FORGET = 8
"""Intervals after which an answer no longer speaks of the present."""
MIN_WINDOW, MAX_WINDOW = 60.0, 300.0
_VARIABLE = re.compile(r"\$([a-z]+)")


class QueryError(Exception):
    """A query that cannot be asked; the message is one line for whoever wrote it."""


@dataclass(frozen=True, slots=True)
class Answers:
    """The last numbers of one query: (epoch seconds, value), newest last."""

    latest: tuple[tuple[float, float], ...] = ()
    fired: bool = False
    """Three of four broke the promise. It stays, so that a paused run does not go on by itself."""

    def plus(self, plan: QueryPlan, at: float, value: float, every: float) -> "Answers":
        """Add an answer; ``every`` is the time between two, in seconds."""
        recent = [one for one in self.latest if at - one[0] <= _FORGET * every]
        latest = (*recent, (at, value))[-LATEST:]
        return Answers(latest, self.fired or breaches(plan, latest) >= BREACHES)


def breaches(plan: QueryPlan, latest: Sequence[tuple[float, float]]) -> int:
    """Return how many of these answers break the promise."""
    return sum(plan.breaks(value) for _, value in latest)


# --- asking -----------------------------------------------------------------------------------------------------


def filled(plan: QueryPlan, question: Question, window: float, revision_label: str | None) -> str:
    """Return the query about the candidate with every variable replaced."""
    return fill(plan.promql, question.key, question.candidate, window, revision_label)


def fill(promql: str, key: Key, revision: str, window: float, revision_label: str | None) -> str:
    """Replace the variables. Names are letters, digits and dashes, so that they are safe wherever they stand."""
    namespace, name = key
    values = {
        "selector": ",".join(matcher_text(m) for m in own_pods(key, revision, revision_label)),
        "revision": revision,
        "namespace": namespace,
        "name": name,
        "window": f"{math.ceil(window)}s",
    }
    return _VARIABLE.sub(lambda match: values[match[1]], promql)


def own_pods(key: Key, revision: str, revision_label: str | None) -> tuple[SeriesMatcher, SeriesMatcher]:
    """Return what tells one revision's series from all others: the provider's label, else the pods' names."""
    namespace, name = key
    if revision_label:
        return SeriesMatcher("namespace", "=", namespace), SeriesMatcher(revision_label, "=", revision)
    prefix = literal(f"{name}-{revision}-")
    return SeriesMatcher("namespace", "=", namespace), SeriesMatcher("pod", "=~", f"{prefix}.*")


def of_pod(labels: Mapping[str, str]) -> Mapping[str, str]:
    """Return labels that tell pods apart, also where the provider has no label for them."""
    return labels if "pod" in labels else {**labels, "pod": labels.get("instance", "")}


def matcher_text(matcher: SeriesMatcher) -> str:
    """Write a matcher as PromQL does; JSON and PromQL escape alike."""
    return f"{matcher.label}{matcher.op}{json.dumps(matcher.value, ensure_ascii=False)}"


def window(question: Question, now: float) -> float:
    """Return ``$window`` in seconds: since the candidate's first requests, from one minute up to five."""
    return min(max(MIN_WINDOW, now - question.since), MAX_WINDOW)


# --- reading ----------------------------------------------------------------------------------------------------


def only(values: Sequence[float]) -> float:
    """Return the one finite number of an answer. Raises QueryError for anything else, saying what it was."""
    if not values:
        raise QueryError("the query gives no value: does the series exist?")
    if len(values) > 1:
        raise QueryError(f"the query gives {len(values)} series where one is due: aggregate them, as with max()")
    if not math.isfinite(values[0]):
        raise QueryError(f"the query gives {'NaN' if math.isnan(values[0]) else 'Inf'}")
    return values[0]


def read(
    plan: QueryPlan, answers: Answers, trouble: Trouble | None, question: Question, now: float
) -> ObjectiveReading:
    """Say what the last answers mean."""
    state, why = _state(plan, answers, trouble, question, now)
    value = f"{answers.latest[-1][1]:.4g}" if answers.latest else None
    sureness = f"{breaches(plan, answers.latest)} of the last {len(answers.latest)} answers break it"
    numbers = f"{value or 'no value yet'} (limit {plan.text}), {sureness}"
    return ObjectiveReading(
        name=plan.name,
        state=state,
        limit=plan.text,
        value=value,
        sureness=sureness,
        dry_run=plan.dry_run,
        message=f"{plan.name}: {f'{why}, {numbers}' if why else numbers}",
        cause=trouble.cause if trouble and state == trouble.state else None,
    )


def _state(
    plan: QueryPlan, answers: Answers, trouble: Trouble | None, question: Question, now: float
) -> tuple[VerdictState, str | None]:
    if answers.fired:
        return "Regressed", None
    if trouble and not (trouble.passing and now - question.since <= PATIENCE):
        return trouble.state, trouble.message
    broken = breaches(plan, answers.latest)
    if len(answers.latest) == LATEST and broken <= 1 and not plan.breaks(answers.latest[-1][1]):
        return "Healthy", None
    return "Undecided", "not enough answers yet" if len(answers.latest) < LATEST else None
