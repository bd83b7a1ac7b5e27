"""The words between the analysis and the rollout: what is asked about a run, and what the samples say."""

from dataclasses import dataclass
from typing import Literal

from fairway.api.status import VerdictState

Key = tuple[str, str]
"""Namespace and name of a ModelDeployment."""


@dataclass(frozen=True, slots=True)
class ObjectiveReading:
    """What the samples say about one objective. Rates are fractions of requests in 0..1."""

    name: str
    state: VerdictState
    limit: str
    rate: float | None = None
    stable_rate: float | None = None
    value: str | None = None
    stable_value: str | None = None
    log10_evidence: float = 0.0
    log10_needed: float = 3.0
    requests: int = 0
    bad: int = 0
    sufficient: bool = False
    """At least minRequests were seen with the rate within the limit: enough to leave a step at its end."""
    dry_run: bool = False
    message: str | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """The verdict about one run at one time. ``checkpoint`` restores the evidence after a restart."""

    run: str
    state: VerdictState
    at: float
    message: str = ""
    objectives: tuple[ObjectiveReading, ...] = ()
    checkpoint: str | None = None

    @property
    def sufficient(self) -> bool:
        """Whether every deciding objective is Healthy or has seen its minimum of requests within its limit."""
        deciding = [o for o in self.objectives if not o.dry_run]
        if self.state == "Healthy":
            return True
        enough = bool(deciding) and all(o.state == "Healthy" or o.sufficient for o in deciding)
        return self.state == "Undecided" and enough


@dataclass(frozen=True, slots=True)
class Question:
    """What the analysis needs to know to judge one run (or one watch window, where ``stable`` has no weight)."""

    key: Key
    run: str
    candidate: str
    """Revision under judgement."""
    stable: str | None
    """Revision it is compared with; None where by plan nothing else serves."""
    objectives: "tuple[ObjectivePlan, ...]"
    since: float
    """Epoch seconds at which the candidate's route was confirmed; earlier intervals are left out."""
    weight: int
    """Candidate's share of the requests now, 0..100."""
    checkpoint: str | None = None
    alpha: float = 1e-3
    """Largest probability with which the count tests of one run, its watch window included, blame a good candidate."""
    tests: int = 0
    """Count tests with which the question opened, so that editing objectives moves no bar; 0 to count them now."""
    former: str | None = None
    """Revision that served before, where nothing else serves now: tells how bursty errors are, nothing more."""
    split: Literal["Router", "Pods"] | None = None
    """Who splits the requests by weight; None where clients choose, so that no share is expected."""
    settled: float | None = None
    """Epoch seconds since which ``weight`` is served; None while that is not known."""
    born: float = 0.0
    """Epoch seconds of the ModelDeployment's creation: older samples are those of a namesake."""

    @property
    def beside(self) -> str | None:
        """The other revision whose samples are asked for."""
        return self.stable or self.former


@dataclass(frozen=True, slots=True)
class SeriesMatcher:
    """One label matcher with PromQL's meaning (regular expressions are anchored)."""

    label: str
    op: Literal["=", "!=", "=~", "!~"]
    value: str


@dataclass(frozen=True, slots=True)
class ObjectivePlan:
    """One objective, resolved against the runtime's series: everything that the analysis has to ask and count."""

    name: str
    kind: Literal["errors", "latency"]
    metric: str
    """The counter; for latency the histogram's name without ``_bucket``/``_count``."""
    matchers: tuple[SeriesMatcher, ...]
    failure: tuple[SeriesMatcher, ...]
    """errors: a sample's request failed if any of these matches its labels."""
    limit: float
    """Largest share of bad requests that keeps the promise."""
    edge: float | None = None
    """latency: the limit in the unit of the histogram's ``le``; slower requests are bad."""
    unit: float = 1.0
    """latency: seconds per unit of ``le``."""
    relative: float | None = None
    """relativeToStable.atMost"""
    relative_floor: float = 1e-3
    """relativeToStable.above"""
    min_requests: int = 100
    dry_run: bool = False
    text: str = ""
    """The limit for people: ``1%`` or ``p99 50ms``."""
    problem: str | None = None
    """Why this objective cannot be asked at all, in one line; its reading is NoData with this message."""
