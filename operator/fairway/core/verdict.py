"""The words between the analysis and the rollout: what is asked about a run, and what the samples say."""

from collections.abc import Callable
from dataclasses import dataclass, field
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
    cause: str | None = None
    """Why there is nothing to judge by, in one stable word; None where ``state`` says it all."""
    sureness: str | None = None
    """How sure a query's answers are, in words; None where evidence and requests tell it."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The verdict about one run at one time."""

    run: str
    state: VerdictState
    at: float
    message: str = ""
    objectives: tuple[ObjectiveReading, ...] = ()
    checkpoint: Callable[[], str | None] = field(default=lambda: None, compare=False)
    """Writes what restores the evidence after a restart: when it is asked for, as a run is judged more often."""
    cause: str | None = None
    """The cause of the objective that made the verdict."""

    @property
    def measured(self) -> bool:
        """Whether any request was counted, and every query has given a number."""
        counts = [o for o in self.objectives if o.sureness is None]
        queries = [o for o in self.objectives if o.sureness is not None]
        return (not counts or any(o.requests for o in counts)) and all(o.value is not None for o in queries)

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
    queries: "tuple[QueryPlan, ...]" = ()
    """Objectives that are judged by one number each; they take no part of alpha."""
    look: bool = False
    """Only whether anything can be measured is asked, not how well it does."""
    probes: tuple[str, ...] = ()
    """HTTP paths that no user's requests go to: no counter should hold them."""

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
class SecondCounter:
    """A counter beside ``ObjectivePlan.metric``: of failures that it counts or leaves out, or of its good requests."""

    metric: str
    counts: Literal["failed", "failedApart", "succeeded"]


@dataclass(frozen=True, slots=True)
class Owner:
    """A label that names the revision, and the expression for its value with $namespace, $name and $revision."""

    label: str
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
    second: "SecondCounter | None" = None
    """errors: the counter that tells failed requests from good ones where labels do not."""
    owner: "Owner | None" = None
    """Whose the series are; None where the pods' own labels say so."""
    problem: str | None = None
    """Why this objective cannot be asked at all, in one line; its reading is NoData with this message."""
    cause: str | None = None
    """The same in one stable word."""
    provider: str | None = None
    """Whom to ask; None for the default."""


@dataclass(frozen=True, slots=True)
class QueryPlan:
    """One objective that is a query: one number against a bound."""

    name: str
    promql: str
    """The query with its variables."""
    scoped: bool
    """Whether every selector is held to the namespace: a model owner has written it."""
    below: float | None = None
    above: float | None = None
    text: str = ""
    """The limit for people: ``below 0.2``."""
    provider: str | None = None
    dry_run: bool = False
    problem: str | None = None
    cause: str | None = None

    def breaks(self, value: float) -> bool:
        """Return whether this number breaks the promise; the bound itself does."""
        return (self.below is not None and value >= self.below) or (self.above is not None and value <= self.above)
