"""The metrics providers that an admin has named, and what a ModelDeployment may ask of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from fairway.api.runtime import Series
from fairway.api.spec import ModelDeploymentSpec, Objective
from fairway.api.types import format_number
from fairway.core import objectives, query
from fairway.core.errors import Problem
from fairway.core.query import QueryError
from fairway.core.verdict import Key, ObjectivePlan, QueryPlan

_NONE = "no metrics provider is configured: an admin sets prometheus.url"


@dataclass(frozen=True, slots=True)
class Provider:
    """What is known of one provider without asking it."""

    name: str
    revision_label: str | None = None
    """The label of its series that holds the revision; None where the pods' names tell it."""
    free_queries: bool = False
    """Whether model owners may write PromQL."""
    queries: Mapping[str, str] = field(default_factory=dict)
    """The admin's own PromQL by name."""


@dataclass(frozen=True, slots=True)
class Providers:
    """Every provider; the first is the default."""

    known: tuple[Provider, ...] = ()
    scoped: Callable[[str, str], str] = lambda promql, _namespace: promql
    """Holds every selector of a query to a namespace. Raises QueryError."""

    def find(self, name: str | None) -> Provider | Problem:
        """Return the provider of this name, or the default."""
        if not self.known:
            return Problem("NoProvider", _NONE)
        found = self.known[0] if name is None else next((each for each in self.known if each.name == name), None)
        if found is None:
            names = ", ".join(each.name for each in self.known)
            return Problem("UnknownProvider", f"there is no metrics provider {name!r}, only {names}")
        return found

    def problem(self, objective: Objective, key: Key) -> Problem | None:
        """Return why this objective cannot be asked, if so, without asking anybody."""
        provider = self.find(objective.provider)
        if isinstance(provider, Problem):
            return provider
        if objective.template is not None and objective.template not in provider.queries:
            names = ", ".join(sorted(provider.queries)) or "none"
            return Problem(
                "UnknownTemplate",
                f"there is no query {objective.template!r} for the provider {provider.name!r}, only {names}",
            )
        return self._of_query(objective.query, provider, key) if objective.query is not None else None

    def _of_query(self, promql: str, provider: Provider, key: Key) -> Problem | None:
        if not provider.free_queries:
            return Problem(
                "QueryNotAllowed",
                f"an admin does not allow PromQL for the provider {provider.name!r} (freeQueries); use a template",
            )
        try:
            # Any revision and window will do: the names in the query's place are all of one form.
            self.scoped(query.fill(promql, key, "revision", query.MAX_WINDOW, provider.revision_label), key[0])
        except QueryError as error:
            return Problem("InvalidQuery", f"the query cannot be asked: {error}")
        return None


def counted(
    spec: ModelDeploymentSpec, series: Series, providers: Providers | None, key: Key
) -> tuple[ObjectivePlan, ...]:
    """Resolve the objectives that count requests, each with the reason if it cannot be asked."""
    problems = _problems(spec, providers, key)
    return tuple(objectives.hindered(plan, problems.get(plan.name)) for plan in objectives.plan(spec, series))


def queried(spec: ModelDeploymentSpec, providers: Providers | None, key: Key) -> tuple[QueryPlan, ...]:
    """Resolve the objectives that are a query, each with the reason if it cannot be asked."""
    problems = _problems(spec, providers, key)
    plans = (_query(objective, providers) for objective in spec.objectives or () if not objective.counts)
    return tuple(objectives.hindered(plan, problems.get(plan.name)) for plan in plans)


def first_problem(spec: ModelDeploymentSpec, providers: Providers | None, key: Key) -> Problem | None:
    """Return why the first objective that cannot be asked cannot, with its name."""
    for name, problem in _problems(spec, providers, key).items():
        return Problem(problem.cause, f"{name}: {problem.message}")
    return None


def _problems(spec: ModelDeploymentSpec, providers: Providers | None, key: Key) -> dict[str, Problem]:
    if providers is None:
        return {}
    found = ((objective.name, providers.problem(objective, key)) for objective in spec.objectives or ())
    return {name: problem for name, problem in found if problem}


def _query(objective: Objective, providers: Providers | None) -> QueryPlan:
    provider = providers.find(objective.provider) if providers else None
    templates = provider.queries if isinstance(provider, Provider) else {}
    word, bound = ("below", objective.below) if objective.below is not None else ("above", objective.above)
    return QueryPlan(
        name=objective.name,
        promql=objective.query or templates.get(objective.template or "", ""),
        scoped=objective.query is not None,
        below=objective.below,
        above=objective.above,
        text=f"{word} {format_number(bound or 0.0)}",
        provider=objective.provider,
        dry_run=bool(objective.dry_run),
    )
