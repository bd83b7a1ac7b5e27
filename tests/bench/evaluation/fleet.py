"""Many open runs and what a provider answers about them, as bytes."""

import json
from dataclasses import dataclass, field, replace

from fairway.adapters.prometheus import _series
from fairway.core import checkpoint
from fairway.core.counters import cumulate
from fairway.core.counts import Tally
from fairway.core.evidence import Evidence, bar, weigh
from fairway.core.judgement import Case, judge
from fairway.core.objectives import Edges, prefixes
from fairway.core.verdict import ObjectivePlan, Question, Reading, SeriesMatcher
from fairway.engine.track import reach

SCRAPE = 5.0
WINDOW = reach(SCRAPE)
PODS = {"stable": 3, "candidate": 1}
FAILED = (SeriesMatcher("status", "=~", "5.."),)
ERRORS = ObjectivePlan("errors", "errors", "requests_total", (), FAILED, 0.01, text="1%")
PLANS = (
    ERRORS,
    replace(ERRORS, name="beside", relative=1.5),
    ObjectivePlan("latency", "latency", "seconds", (), (), 0.01, edge=0.05, text="p99 50ms"),
)
"""Three objectives for each run."""


@dataclass
class Run:
    """One open run."""

    question: Question
    tallies: dict[str, Tally] = field(default_factory=dict)
    evidence: dict[str, Evidence] = field(default_factory=dict)


def fleet(runs: int) -> list[Run]:
    """Open so many runs, each since the time 0."""
    asked = [
        Question(("ml", f"model-{k}"), "run-1", "b", "a", PLANS, since=0.0, weight=5, split="Router", settled=0.0)
        for k in range(runs)
    ]
    return [
        Run(checkpoint.pinned(q), {p.name: Tally(after=0.0) for p in PLANS}, {p.name: Evidence() for p in PLANS})
        for q in asked
    ]


def answer(runs: list[Run], plan: ObjectivePlan, now: float) -> bytes:
    """Return what a provider says about one objective of these runs: raw samples of its window, as JSON."""
    result = [
        {"metric": {"pod": f"{prefix}{k}", "namespace": run.question.key[0], **labels}, "values": _values(rate, now)}
        for run in runs
        for side, prefix in prefixes(run.question).items()
        for k in range(PODS[side])
        for labels, rate in _series_of(plan, side)
    ]
    return json.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}}).encode()


def evaluate(runs: list[Run], bodies: dict[str, bytes], now: float) -> list[Reading]:
    """Go the whole way once: parse, count, weigh, judge."""
    for plan in PLANS:
        sides = _by_run([_series(item) for item in json.loads(bodies[plan.name])["data"]["result"]])
        edges = Edges(0.05, 0.05) if plan.edge else None
        for run in runs:
            name, terms = run.question.key[1], bar(run.question)
            both = [cumulate(plan, edges, sides[f"{name}-{revision}"]) for revision in ("b", "a")]
            for interval in run.tallies[plan.name].absorb(*both, now):
                run.evidence[plan.name] = weigh(run.evidence[plan.name], plan, terms, interval)
    return [judge(run.question, [_case(run, plan) for plan in PLANS], now) for run in runs]


def _case(run: Run, plan: ObjectivePlan) -> Case:
    tally = run.tallies[plan.name]
    return Case(plan, run.evidence[plan.name], None, None, dict(tally.newest), tally.scrape)


def _by_run(series: list) -> dict[str, list]:
    found: dict[str, list] = {}
    for one in series:
        found.setdefault(one.labels["pod"].rpartition("-")[0], []).append(one)
    return found


def _series_of(plan: ObjectivePlan, side: str) -> list[tuple[dict[str, str], float]]:
    """Labels and requests per second of the series of one pod."""
    rps = 30.0 if side == "stable" else 5.0
    if plan.kind == "latency":
        return [({"le": "0.05"}, rps * 0.995), ({"le": "+Inf"}, rps)]
    return [({"status": "200"}, rps * 0.998), ({"status": "500"}, rps * 0.002)]


def _values(rate: float, now: float) -> list[list]:
    scrapes = int(WINDOW / SCRAPE)
    times = [now - SCRAPE * k for k in reversed(range(scrapes))]
    return [[at, str(int((at + 1000) * rate))] for at in times]
