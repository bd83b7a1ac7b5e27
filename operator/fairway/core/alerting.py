"""Which promises of a ModelDeployment are watched by alerts while it serves."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from fairway.api.spec import ModelDeploymentSpec
from fairway.api.status import Status
from fairway.core.build.alerts import prometheus_rule
from fairway.core.build.common import Owner
from fairway.core.desired import Child
from fairway.core.providers import Providers, counted
from fairway.core.revision import Record
from fairway.core.verdict import ObjectivePlan


@dataclass(frozen=True, slots=True)
class Alerting:
    """That alerts are wanted, and what they are made with."""

    providers: Providers | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    """Labels by which a Prometheus selects its rules."""


def alerts(
    owner: Owner, spec: ModelDeploymentSpec, status: Status, records: Mapping[str, Record], alerting: Alerting | None
) -> list[Child]:
    """Return the rule that watches what serves, if there is anything to watch."""
    record = records.get(status.stable.revision) if status.stable else None
    if alerting is None or record is None:
        return []
    plans = counted(spec, record.series, alerting.providers, (owner.namespace, owner.name))
    found = watched(plans, alerting.providers)
    return [Child(prometheus_rule(owner, found, alerting.labels))] if found else []


def watched(plans: Iterable[ObjectivePlan], providers: Providers | None) -> list[ObjectivePlan]:
    """Return the objectives that the default Prometheus can watch by the names of the pods, whatever the revision."""
    main = providers.known[0] if providers and providers.known else None
    if main is not None and main.revision_label:
        return []  # its series need not have the pods' names, and the revision must not be in a rule
    names = (None, main.name) if main else (None,)
    return [
        plan
        for plan in plans
        if not (plan.problem or plan.dry_run or plan.owner is not None) and plan.provider in names
    ]
