"""What ModelDeployments are like now, as metrics: one small snapshot each, turned into series when they are scraped."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from fairway.api.status import Status, Track
from fairway.core.rollout.situation import Situation
from fairway.core.verdict import Key, ObjectiveReading

_MODEL = ("namespace", "model")
_INFO = (*_MODEL, "track", "revision", "version", "image", "runtime", "commit", "data_version", "owner")
_FAMILIES: dict[str, tuple[str, tuple[str, ...]]] = {
    "fairway_model_info": ("1 for each revision that serves or is tried, with what it is made of", _INFO),
    "fairway_model_phase": ("1 for the present phase; other phases have no series", (*_MODEL, "phase")),
    "fairway_model_condition": ("1 for True, 0 for False, -1 for Unknown", (*_MODEL, "condition")),
    "fairway_model_weight": ("Share of the requests, in percent", (*_MODEL, "track")),
    "fairway_model_replicas": ("Pods", (*_MODEL, "track")),
    "fairway_model_ready_replicas": ("Ready pods", (*_MODEL, "track")),
    "fairway_model_step": ("Step of the open run, from 1; without a run no series", _MODEL),
    "fairway_model_steps": ("Steps of the open run, with the last move to 100", _MODEL),
    "fairway_model_verdict": ("1 for the present verdict; other verdicts have no series", (*_MODEL, "verdict")),
    "fairway_objective_value": (
        "What was measured: for errors and latency the share of bad requests, 0 to 1; else the query's number",
        (*_MODEL, "objective", "track"),
    ),
    "fairway_objective_requests": ("Requests to the candidate that were counted", (*_MODEL, "objective")),
    "fairway_objective_evidence": (
        "log10 of the evidence that the promise is broken",
        (*_MODEL, "objective"),
    ),
    "fairway_objective_evidence_needed": ("log10 of the evidence that takes the version out", (*_MODEL, "objective")),
}
_TRUTH = {"True": 1.0, "False": 0.0, "Unknown": -1.0}
_Sample = tuple[str, tuple[str, ...], float]
"""Family, the labels after namespace and model, value."""


class Fleet(Collector):
    """Shows every known ModelDeployment. What is gone has no series any more."""

    def __init__(self) -> None:
        self._models: dict[Key, tuple[_Sample, ...]] = {}

    def show(self, key: Key, s: Situation, status: Status) -> None:
        """Replace what is shown of one ModelDeployment."""
        self._models[key] = tuple(_samples(s, status))

    def hold(self, key: Key, status: Status) -> None:
        """Show the phase and conditions of a spec that cannot be acted on; the rest stays as it was."""
        before = self._models.get(key, ())
        kept = (sample for sample in before if sample[0] not in ("fairway_model_phase", "fairway_model_condition"))
        self._models[key] = (*_words(status), *kept)

    def forget(self, key: Key) -> None:
        """Remove the series of a ModelDeployment that is gone."""
        self._models.pop(key, None)

    def collect(self) -> Iterable[Metric]:
        """Return every family, also those without a sample: their names are a promise."""
        families = {name: GaugeMetricFamily(name, text, labels=labels) for name, (text, labels) in _FAMILIES.items()}
        for key, samples in self._models.items():
            for name, labels, value in samples:
                families[name].add_metric([*key, *labels], value)
        return families.values()


def _words(status: Status) -> Iterator[_Sample]:
    yield "fairway_model_phase", (status.phase,), 1.0
    for condition in status.conditions:
        yield "fairway_model_condition", (condition.type,), _TRUTH[condition.status]


def _samples(s: Situation, status: Status) -> Iterator[_Sample]:
    yield from _words(status)
    for name, track in (("stable", status.stable), ("candidate", status.candidate)):
        if track is not None:
            yield from _track(s, name, track)
    if status.run is not None:
        total = len(status.run.plan) + 1
        yield "fairway_model_step", (), float(min(status.run.step + 1, total))
        yield "fairway_model_steps", (), float(total)
    if status.verdict is not None and (status.run or status.former):
        yield "fairway_model_verdict", (status.verdict.state,), 1.0
    if s.reading is not None and (status.run or status.former):
        for objective in s.reading.objectives:
            yield from _objective(objective)


def _track(s: Situation, name: str, track: Track) -> Iterator[_Sample]:
    yield "fairway_model_weight", (name,), float(track.weight)
    yield "fairway_model_replicas", (name,), float(track.replicas)
    yield "fairway_model_ready_replicas", (name,), float(track.ready)
    yield "fairway_model_info", (name, track.revision, track.version, *_lineage(s, track.revision)), 1.0


def _lineage(s: Situation, revision: str) -> tuple[str, str, str, str, str]:
    """Return image, runtime, commit, data version and owner of a recorded revision; empty where nobody said."""
    record = s.observed.records.get(revision)
    said = (record.lineage if record else None) or {}
    asked = revision == s.target.revision
    if asked:  # lineage may be edited without a new revision
        said = s.spec.model.model_dump(mode="json", by_alias=True, exclude_none=True)
    texts = (
        record.image if record else "",
        (s.runtime if asked else None) or "",
        said.get("source", {}).get("commit"),
        said.get("data", {}).get("version"),
        said.get("card", {}).get("owner"),
    )
    return tuple(str(text or "") for text in texts)  # type: ignore[return-value]


@dataclass(frozen=True, slots=True)
class _Side:
    track: str
    rate: float | None
    text: str | None

    @property
    def value(self) -> float | None:
        """The number itself: a rate, or what a query has returned."""
        if self.rate is not None:
            return self.rate
        try:
            return float(self.text or "nan")
        except ValueError:
            return None


def _objective(o: ObjectiveReading) -> Iterator[_Sample]:
    for side in (_Side("candidate", o.rate, o.value), _Side("stable", o.stable_rate, o.stable_value)):
        if side.value is not None and math.isfinite(side.value):
            yield "fairway_objective_value", (o.name, side.track), side.value
    yield "fairway_objective_requests", (o.name,), float(o.requests)
    yield "fairway_objective_evidence", (o.name,), o.log10_evidence
    yield "fairway_objective_evidence_needed", (o.name,), o.log10_needed
