"""Whose series are these: by the pods of a revision, or by a label in which a gateway names the revision."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from fairway.core import objectives
from fairway.core.objectives import Family, Side
from fairway.core.verdict import Owner, Question, SeriesMatcher
from fairway.ports import RawSeries

Sides = dict[Side, list[RawSeries]]


def matchers(family: Family, questions: Sequence[Question]) -> list[SeriesMatcher]:
    """Return the matchers of one query for all these models."""
    if family.owner:
        values = {value for question in questions for value in objectives.owned(question, family.owner).values()}
        return [SeriesMatcher(family.owner.label, "=~", "|".join(sorted(values)))]
    namespaces = "|".join(sorted({objectives.literal(question.key[0]) for question in questions}))
    pods = "|".join(sorted({objectives.pods(question) for question in questions}))
    return [SeriesMatcher("namespace", "=~", namespaces), SeriesMatcher("pod", "=~", pods)]


def sort(questions: Sequence[Question], owner: Owner | None, answer: Sequence[RawSeries]) -> list[Sides]:
    """Give each model its series, in the order of the questions; strangers, and samples of a namesake, get lost."""
    result: list[Sides] = [{"candidate": [], "stable": []} for _ in questions]
    asked = list(zip(questions, result, strict=True))
    for series, side, question in _by_label(owner, asked, answer) if owner else _by_pod(asked, answer):
        samples = tuple(sample for sample in series.samples if sample[0] >= question.born)
        if samples:
            side.append(replace(series, samples=samples))
    return result


_Asked = Sequence[tuple[Question, Sides]]
_Found = Iterable[tuple[RawSeries, list[RawSeries], Question]]


def _by_pod(asked: _Asked, answer: Sequence[RawSeries]) -> _Found:
    """By namespace and the longest prefix of the pod's name."""
    places = {
        (question.key[0], prefix): (sides[side], question)
        for question, sides in asked
        for side, prefix in objectives.prefixes(question).items()
    }
    for series in answer:
        namespace, pod = series.labels.get("namespace", ""), series.labels.get("pod", "")
        starts = (pod[: end + 1] for end in range(len(pod) - 1, 0, -1) if pod[end] == "-")
        place = next((places[namespace, start] for start in starts if (namespace, start) in places), None)
        if place is not None:
            yield series, *place


def _by_label(owner: Owner, asked: _Asked, answer: Sequence[RawSeries]) -> _Found:
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
