"""What may happen to a model and its world: strategies for specs, pods, verdicts, commands and faults."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from hypothesis import strategies as st

from fairway.core.verdict import Key, ObjectiveReading, Question, Reading
from fairway.ports import ClusterError
from tests.fakes.world import Behaviour, FakeAnalysis, Fault

VERSIONS = ("1.0.0", "1.1.0", "1.2.0", "2.0.0-rc.1")
SCRAPE = 10.0
LEAK = 'Head "https://puller:hunter2@registry.example/v2/churn/manifests/1.0.0": connection refused'
ENV = [{"name": "TOKEN", "value": "hunter2"}]

version = st.sampled_from(VERSIONS)
role = st.sampled_from(["stable", "candidate", "candidate", "former"])
seconds = st.sampled_from([0, 1, 5, 12, 34, 65, 130, 400])

STEPS: dict[str, list[dict[str, Any]] | None] = {
    "default": None,
    "none": [],
    "two": [{"weight": 20, "for": "30s"}, {"weight": 50, "for": "30s"}],
    "many": [{"weight": weight, "for": "5s"} for weight in (1, 5, 25, 50, 75, 100)],
    "instant": [{"weight": weight, "for": "0s"} for weight in (10, 40, 80)],
    "gated": [{"weight": 20, "for": "10s"}, {"approval": "risk"}, {"weight": 50, "for": "10s"}],
    "gate first": [{"approval": "risk", "timeout": "2m"}, {"weight": 30, "for": "10s", "replicas": 2}],
}
SCALINGS: dict[str, dict[str, Any] | None] = {
    "one": None,
    "four": {"replicas": 4},
    "two": {"replicas": 2},
    "auto": {"minReplicas": 2, "maxReplicas": 10},
    "auto small": {"maxReplicas": 3},
}
ROLLOUTS: list[dict[str, Any]] = [
    {"onRegression": "Pause"},
    {"onRegression": "Rollback"},
    {"onUndecided": {"after": "1m", "then": "Pause"}},
    {"onUndecided": {"after": "1m", "then": "Rollback"}},
    {"onUndecided": {"after": "1m", "then": "Promote"}},
    {"watch": {"for": "0s"}},
    {"watch": {"for": "2m"}},
    {"watch": {"for": "2m", "onBreach": "Pause"}},
    {"watch": {"for": "1m", "keep": "50%"}},
    {"deadlines": {"ready": "40s", "pull": "20s", "schedule": "30s"}},
    {"fastReturn": 0},
    {"fastReturn": 1},
]


def spec(
    version: str, *, gateway: bool, judged: bool, steps: str, scaling: str, rollout: dict[str, Any], **more: Any
) -> dict[str, Any]:
    """A ModelDeployment's spec."""
    written: dict[str, Any] = {
        "model": {"version": version},
        "runtime": {"image": f"registry.example/churn:{version}", "port": 8080, "env": ENV},
        "rollout": dict(rollout),
        **more,
    }
    if written["runtime"] is None:
        written["runtime"] = {"image": f"registry.example/churn:{version}", "port": 8080, "env": ENV}
    if STEPS[steps] is not None:
        written["rollout"]["steps"] = STEPS[steps]
    if SCALINGS[scaling]:
        written["scaling"] = SCALINGS[scaling]
    if gateway:
        written["traffic"] = {"hostnames": ["churn.example"], "gateway": {"name": "models", "namespace": "gateways"}}
    if judged:
        written["objectives"] = [{"name": "errors", "errors": {"below": "1%"}}]
    return written


behaviour = st.sampled_from(
    [
        Behaviour(),
        Behaviour(load=0),
        Behaviour(load=25),
        Behaviour(load=90),
        Behaviour(never_ready=True),
        Behaviour(crash_at_start=True),
        Behaviour(crash_at_start=True, flash=2, oom=True, last_words="Killed\n\x1b[31mout of memory\r\n"),
        Behaviour(crash_after=15),
        Behaviour(crash_after=60, last_words="boom " * 100),
        Behaviour(flap=(20, 7)),
        Behaviour(flap=(3, 3)),
        Behaviour(unschedulable=True),
        Behaviour(refused=f'pods "churn-x1" is forbidden: exceeded quota: {LEAK}'),
        Behaviour(pull_error="rpc error: code = NotFound: registry.example/churn: not found"),
        Behaviour(pull_error=LEAK),
    ]
)


@dataclass(frozen=True)
class Verdict:
    """What the samples say from now on."""

    state: str
    sufficient: bool = False
    objectives: int = 1
    message: str = ""

    def reading(self, run: str, at: float) -> Reading:
        numbers: dict[str, Any] = {"value": "0.2%", "stable_value": "0.2%", "requests": 4000}
        if self.state == "Regressed":
            numbers = {"value": "50%", "stable_value": "0.1%", "requests": 400, "log10_evidence": 9.1}
        names = [f"objective-number-{number}-of-a-long-list-of-promises" for number in range(self.objectives)]
        found = tuple(
            ObjectiveReading(
                name, self.state, "1%", sufficient=self.sufficient, message=self.message or None, **numbers
            )  # type: ignore[arg-type]
            for name in names
        )
        stored = "9" * 450 * self.objectives
        return Reading(run, self.state, at, self.message, found, lambda: stored)  # type: ignore[arg-type]


HEALTHY = Verdict("Healthy")
verdict = st.sampled_from(
    [
        HEALTHY,
        HEALTHY,
        Verdict("Healthy", objectives=10),
        Verdict("Regressed"),
        Verdict("Regressed"),
        Verdict("Regressed", objectives=10),
        Verdict("Undecided"),
        Verdict("Undecided", sufficient=True),
        Verdict("NoTraffic"),
        Verdict("SharedDegradation"),
        Verdict("NoData", message="the series http_requests_total has no sample of this revision " * 3),
        Verdict("ProviderError", message="the metrics provider: refused"),
    ]
)


class Oracle(FakeAnalysis):
    """Asks at each scrape, as the analysis does, and finds what it was told to find."""

    def __init__(self) -> None:
        super().__init__()
        self.verdict = Verdict("Undecided")

    def next_reading(self, now: float) -> float | None:
        return (now // SCRAPE + 1) * SCRAPE if self.asked else None

    def tick(self, now: float) -> bool:
        fresh = False
        for key, question in self.asked.items():
            fresh |= self._read(key, question, now // SCRAPE * SCRAPE)
        return fresh

    def _read(self, key: Key, question: Question, at: float) -> bool:
        known = self.readings.get(key)
        if known and known.run == question.run and known.at >= at:
            return False
        if at < question.since:
            return False
        self.readings[key] = self.verdict.reading(question.run, at)
        return True

    def forget(self, key: Key) -> None:
        super().forget(key)
        self.readings.pop(key, None)

    def restarted(self) -> None:
        self.asked.clear()
        self.readings.clear()


def _error(status: int, reason: str) -> ClusterError:
    return ClusterError(status, reason, f"{reason} by the test's API server")


errors = st.sampled_from(
    [_error(500, "InternalError"), _error(409, "Conflict"), _error(429, "TooManyRequests"), _error(403, "Forbidden"),
     _error(0, "Unreachable")]
)  # fmt: skip
fault = st.builds(
    Fault,
    action=st.sampled_from(["kill", "kill-after", "refuse", "refuse-after"]),
    skip=st.integers(0, 6),
    error=errors,
)


def fresh(fault: Fault) -> Fault:
    """A fault of one's own: strategies may give the same object again."""
    return replace(fault)
