"""Conditions: normal-true ones always there, abnormal-true ones only while they hold."""

from collections.abc import Iterator
from typing import Literal

from fairway.api.status import Condition, Status
from fairway.core.rollout.progress import settled_at
from fairway.core.rollout.situation import Situation
from fairway.core.rollout.waiting import pause_reason
from fairway.core.verdict import Reading

State = Literal["True", "False", "Unknown"]
Raw = tuple[str, State, str, str]
"""type, status, reason, message"""


def conditions(s: Situation, status: Status) -> tuple[Condition, ...]:
    """All conditions of a status; the transition time is kept while the state stays."""
    before = {condition.type: condition for condition in s.status.conditions}
    built = []
    for type_, state, reason, message in _all(s, status):
        old = before.get(type_)
        since = old.last_transition_time if old and old.status == state else float(int(s.now))
        built.append(
            Condition(
                type=type_,
                status=state,
                reason=reason,
                message=message,
                last_transition_time=since,
                observed_generation=s.generation,
            )
        )
    return tuple(built)


def _all(s: Situation, status: Status) -> Iterator[Raw]:
    yield _ready(s, status)
    yield _up_to_date(s, status)
    if s.gateway:
        yield _route(s)
    if s.spec.objectives:
        yield _metrics(s, status)
    yield from _abnormal(s, status)


def _ready(s: Situation, status: Status) -> Raw:
    if status.stable is None and not s.suspended:
        if status.phase == "Degraded":
            cause = s.candidate.cause
            return "Ready", "False", "FirstRevisionFailed", cause.message if cause else status.message
        return "Ready", "Unknown", "Starting", "the first revision is not ready yet"
    if s.suspended or status.stable is None:
        return "Ready", "False", "Suspended", status.message
    if status.suspended and status.phase != "Degraded":
        return "Ready", "Unknown", "Resuming", "its pods are on their way"
    if status.stable.ready == 0:
        return "Ready", "False", "NoReadyPods", status.message
    return "Ready", "True", "Serving", f"{status.stable.version} serves"


def _up_to_date(s: Situation, status: Status) -> Raw:
    if s.unresolved:
        return "UpToDate", "False", s.unresolved.cause, s.unresolved.message
    asked, stable, refused = s.target, status.stable, status.refused
    if refused and refused.revision == asked.revision:
        why = next((r for r in status.rejected if r.revision == asked.revision), None)
        return "UpToDate", "False", why.reason if why else "Rejected", why.message if why else refused.run
    if stable and stable.revision == asked.revision and status.run is None:
        return "UpToDate", "True", "Promoted", f"{stable.version} is what the spec asks for"
    return "UpToDate", "Unknown", "RunOpen" if status.run else "Pending", f"{asked.version} is on its way"


def _route(s: Situation) -> Raw:
    route = s.observed.route
    if s.trouble:
        return "RouteReady", "False", s.trouble.reason, s.trouble.message
    if route is None:
        return "RouteReady", "Unknown", "Pending", "the HTTPRoute is not there yet"
    if route.accepted:
        return "RouteReady", "True", "Accepted", "the gateway serves the route"
    if route.reason != "Pending":
        return "RouteReady", "False", route.reason, route.message
    old = next((c for c in s.status.conditions if c.type == "RouteReady"), None)
    if old and s.now < (settled_at(s) or s.now):
        # A gateway takes a moment for each change of weights: that is no news.
        return "RouteReady", old.status, old.reason, old.message
    return "RouteReady", "Unknown", route.reason, route.message


def _metrics(s: Situation, status: Status) -> Raw:
    old = next((c for c in s.status.conditions if c.type == "MetricsReady"), None)
    if s.problem:
        return "MetricsReady", "False", s.problem.cause, s.problem.message
    if s.preflight is not None:
        return _preflight(s.preflight)
    verdict = status.verdict
    if verdict is None or not (status.run or status.former):
        # Nothing is asked between runs: what was last known stays, but for what only a comparison shows.
        if old and old.reason == "SharedDegradation":
            return _MEASURED
        return ("MetricsReady", old.status, old.reason, old.message) if old else _NOT_ASKED
    if verdict.state == "SharedDegradation":
        return "MetricsReady", "True", "SharedDegradation", verdict.message
    if verdict.state in ("NoData", "ProviderError", "SampleRatioMismatch"):
        return "MetricsReady", "False", verdict.cause or verdict.state, verdict.message
    if verdict.state == "NoTraffic":
        return "MetricsReady", "Unknown", "NoTraffic", "no request has been counted yet"
    return _MEASURED


def _preflight(reading: Reading) -> Raw:
    if reading.state in ("NoData", "ProviderError"):
        return "MetricsReady", "False", reading.cause or reading.state, reading.message
    if not reading.measured:
        return "MetricsReady", "Unknown", "NoTraffic", "the series are there, but no request has been counted yet"
    return _MEASURED


_MEASURED: Raw = ("MetricsReady", "True", "Measured", "the objectives are measured")
_NOT_ASKED: Raw = ("MetricsReady", "Unknown", "NotAsked", "the objectives have not been asked for yet")


def _abnormal(s: Situation, status: Status) -> Iterator[Raw]:
    # Who waits by kstatus takes the first of Reconciling and Stalled for the truth: a first revision that is stuck is,
    # and so is a spec that cannot be resolved.
    if status.run and status.phase != "Degraded" and not s.unresolved:
        yield "Reconciling", "True", "RunOpen", status.message
    elif status.phase == "Pending" and not s.unresolved:
        yield "Reconciling", "True", "Resuming", status.message
    pause = pause_reason(s)
    if pause:
        yield "Paused", "True", pause[0], pause[1]
    if s.unresolved and not s.observed.blocked:
        yield "Stalled", "True", s.unresolved.cause, s.unresolved.message
    elif status.phase in ("RolledBack", "Degraded") or s.observed.blocked:
        reason = "WriteRefused" if s.observed.blocked else status.phase
        yield "Stalled", "True", reason, status.message
    refused = status.refused
    if status.phase in ("RolledBack", "RollingBack") and refused and refused.revision == s.target.revision:
        why = next((r for r in status.rejected if r.revision == refused.revision), None)
        yield "RolledBack", "True", why.reason if why else "Rejected", why.message if why else refused.run
    if status.phase == "Degraded":
        yield "Degraded", "True", "NoReadyPods", status.message
