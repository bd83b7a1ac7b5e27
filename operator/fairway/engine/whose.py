"""Whose series are these: by the pods of a revision, or by a label in which a provider or a gateway names it."""

import re
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import replace

from fairway.core import objectives, query
from fairway.core.objectives import Family, Side
from fairway.core.verdict import Owner, Question, SeriesMatcher
from fairway.ports import RawSeries

Sides = dict[Side, list[RawSeries]]


def matchers(family: Family, questions: Sequence[Question], label: str | None = None) -> list[SeriesMatcher]:
    """Return the matchers of one query for all these models.

    ``label`` is the provider's own for the revision, None where the pods' names tell it. A runtime's owner goes first:
    it says how its series, which no pod of a revision has counted, name one.
    """
    if family.owner:
        values = {value for question in questions for value in objectives.owned(question, family.owner).values()}
        return [SeriesMatcher(family.owner.label, "=~", "|".join(sorted(values)))]
    namespaces = "|".join(sorted({objectives.literal(question.key[0]) for question in questions}))
    if label is None:
        owners = SeriesMatcher("pod", "=~", "|".join(sorted({objectives.pods(question) for question in questions})))
    else:
        revisions = {revision for question in questions for revision in objectives.revisions(question).values()}
        owners = SeriesMatcher(label, "=~", "|".join(sorted(map(objectives.literal, revisions))))
    return [SeriesMatcher("namespace", "=~", namespaces), owners]


def sort(
    questions: Sequence[Question], owner: Owner | None, answer: Sequence[RawSeries], label: str | None = None
) -> list[Sides]:
    """Give each model its series, in the order of the questions; strangers, and samples of a namesake, get lost."""
    result: list[Sides] = [{"candidate": [], "stable": []} for _ in questions]
    asked = list(zip(questions, result, strict=True))
    for series, side, question in _by_owner(owner, asked, answer) if owner else _by_revision(label, asked, answer):
        born = bisect_left(series.times, question.born)
        if born < len(series.times):
            side.append(RawSeries(series.labels, series.times[born:], series.values[born:]) if born else series)
    return result


_Asked = Sequence[tuple[Question, Sides]]
_Found = Iterable[tuple[RawSeries, list[RawSeries], Question]]


def _by_revision(label: str | None, asked: _Asked, answer: Sequence[RawSeries]) -> _Found:
    """By namespace, and by the provider's label or the longest prefix of the pod's name."""
    known = objectives.revisions if label else objectives.prefixes
    places = {
        (question.key[0], name): (sides[side], question)
        for question, sides in asked
        for side, name in known(question).items()
    }
    for series in answer:
        namespace = series.labels.get("namespace", "")
        place = next((places[namespace, n] for n in _names(series, label) if (namespace, n) in places), None)
        if place is not None:
            yield replace(series, labels=query.of_pod(series.labels)), *place


def _names(series: RawSeries, label: str | None) -> Iterable[str]:
    """Return what may name the owner of a series: its revision, or the prefixes of its pod's name, longest first."""
    if label is not None:
        return (series.labels.get(label, ""),)
    pod = series.labels.get("pod", "")
    return (pod[: end + 1] for end in range(len(pod) - 1, 0, -1) if pod[end] == "-")


def _by_owner(owner: Owner, asked: _Asked, answer: Sequence[RawSeries]) -> _Found:
    """By the owner's label. Each process of the gateway stands for one more pod of each revision."""
    places = [
        (re.compile(expression), side, sides[side], question)
        for question, sides in asked
        for side, expression in objectives.owned(question, owner).items()
    ]
    for series in answer:
        value = series.labels.get(owner.label, "")
        process = series.labels.get("pod") or series.labels.get("instance", "")
        for expression, side, place, question in places:
            if expression.fullmatch(value):
                yield replace(series, labels={**series.labels, "pod": f"{side} {process}"}), place, question
