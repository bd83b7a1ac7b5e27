"""The PrometheusRule of a ModelDeployment: an alert for each promise that what serves may break."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fairway.core import objectives
from fairway.core.build.common import Owner, metadata
from fairway.core.query import matcher_text
from fairway.core.verdict import ObjectivePlan, SeriesMatcher

KIND = "PrometheusRule"
ALERT = "FairwayObjectiveBroken"
WINDOW = "10m"
"""The requests that an alert looks at, and how long they have to be too bad: one burst is no alarm."""
_REVISION = "[a-z][a-z2-7]{9}"
_REST = "[a-z0-9]+(-[a-z0-9]+)?"
"""How the name of a pod goes on after its revision: of long names Kubernetes cuts the second dash."""


def prometheus_rule(owner: Owner, plans: Sequence[ObjectivePlan], labels: Mapping[str, str]) -> dict[str, Any]:
    """One alert for each of these objectives. It names no revision, so that a promotion does not write it."""
    meta = metadata(owner, owner.name)
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": KIND,
        "metadata": {**meta, "labels": {**labels, **meta["labels"]}},
        "spec": {"groups": [{"name": "fairway", "rules": [_rule(owner, plan) for plan in plans]}]},
    }


def _rule(owner: Owner, plan: ObjectivePlan) -> dict[str, Any]:
    model = f"{owner.namespace}/{owner.name}"
    promise = f"errors below {plan.text}" if plan.kind == "errors" else plan.text
    bad = "failed" if plan.kind == "errors" else "were slower than promised"
    return {
        "alert": ALERT,
        "expr": expression(owner, plan),
        "for": WINDOW,
        "labels": {
            "namespace": owner.namespace,
            "model": owner.name,
            "objective": plan.name,
            "severity": "warning",
        },
        "annotations": {
            "summary": f"{model} breaks its objective {plan.name} ({promise})",
            "description": (
                f"{{{{ $value | humanizePercentage }}}} of the requests of the last {WINDOW} {bad}; "
                f"at most {plan.limit * 100:.12g}% may. `kubectl describe modeldeployment` says which versions serve. "
                f"docs/runbooks.md has a section on {ALERT}."
            ),
        },
    }


def expression(owner: Owner, plan: ObjectivePlan) -> str:
    """Return PromQL that has a value, the share of bad requests, while it is over the limit and enough were seen."""
    bad, total = (_slow if plan.kind == "latency" else _failed)(owner, plan)
    return f"{bad}\n/ {total} > {plan.limit:.12g}\nand {total} >= {plan.min_requests}"


def _failed(owner: Owner, plan: ObjectivePlan) -> tuple[str, str]:
    """Return the failed requests and all of them, as the analysis counts them.

    A counter that nothing has counted yet does not exist; the other one alone must do then.
    """
    asked = objectives.family(plan)
    total = f"sum({_increase(owner, asked.metric, plan.matchers)})"
    if plan.second is None:
        # A request that failed in two ways is one: `or` joins equal labels.
        ways = (_increase(owner, asked.metric, (*plan.matchers, way)) for way in plan.failure)
        return f"sum({' or '.join(ways)})", total
    second = f"sum({_increase(owner, plan.second.metric, plan.matchers)})"
    if plan.second.counts == "succeeded":
        return f"({total} - ({second} or vector(0)))", total
    if plan.second.counts == "failedApart":
        return second, f"(({total} or vector(0)) + {second})"
    return second, total


def _slow(owner: Owner, plan: ObjectivePlan) -> tuple[str, str]:
    """Return the requests slower than the limit and all, of those series that have a bucket at the limit itself.

    Where there is none both are empty, and so is the alert: only samples know the buckets, and a rule has none.
    """
    bucket = objectives.family(plan).metric
    edge = objectives.le_value(plan.edge or 0.0)

    def within(le: SeriesMatcher) -> str:
        # An edge has two spellings while Prometheus is upgraded: one of each series is enough.
        return f"max without (le) ({_increase(owner, bucket, (*plan.matchers, le))})"

    every, fast = within(SeriesMatcher("le", "=", "+Inf")), within(SeriesMatcher("le", "=~", edge))
    return f"sum({every} - {fast})", f"sum({every} and {fast})"


def _increase(owner: Owner, metric: str, matchers: Iterable[SeriesMatcher]) -> str:
    inside = ",".join(matcher_text(each) for each in (*_pods(owner), *matchers))
    return f"increase({metric}{{{inside}}}[{WINDOW}])"


def _pods(owner: Owner) -> tuple[SeriesMatcher, SeriesMatcher]:
    """Return what tells the pods of all revisions of a model from those of others, whose names may begin the same."""
    pods = f"{objectives.literal(owner.name)}-{_REVISION}-{_REST}"
    return SeriesMatcher("namespace", "=", owner.namespace), SeriesMatcher("pod", "=~", pods)
