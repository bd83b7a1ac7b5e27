"""What has to be asked of the metrics about the present state, if anything."""

from fairway.api.runtime import GENERIC_HTTP
from fairway.api.status import Run
from fairway.core import names
from fairway.core.providers import Providers, counted, queried
from fairway.core.revision import Record
from fairway.core.rollout.regression import watch_id
from fairway.core.rollout.situation import Situation
from fairway.core.verdict import Key, ObjectivePlan, Question


def question(s: Situation, key: Key, providers: Providers | None = None) -> Question | None:
    """Ask about the candidate once it had weight, about stable in its watch window, else nothing."""
    status = s.status
    if not s.spec.objectives:
        return None
    if status.run and status.candidate and status.stable and status.run.first_weight_at is not None:
        return Question(
            key=key,
            run=status.run.id,
            candidate=status.candidate.revision,
            stable=status.stable.revision,
            objectives=_objectives(s, key, status.candidate.revision, providers),
            queries=queried(s.spec, providers, key),
            since=status.run.first_weight_at,
            weight=status.candidate.weight,
            checkpoint=status.evidence,
            split="Router" if s.gateway else "Pods",
            settled=_settled(s, status.run, status.candidate.weight),
            born=s.created,
        )
    if status.former and status.stable and not status.run:
        return Question(
            key=key,
            run=watch_id(status.former.run),
            candidate=status.stable.revision,
            stable=None,
            objectives=_objectives(s, key, status.stable.revision, providers),
            queries=queried(s.spec, providers, key),
            since=status.former.promoted_at,
            weight=100,
            checkpoint=status.evidence,
            former=status.former.revision,
            born=s.created,
        )
    return None


def preflight(s: Situation, key: Key, providers: Providers | None = None) -> Question | None:
    """Ask whether the objectives can be measured at all: about stable, between runs, before the first canary."""
    stable = s.status.stable
    if not s.spec.objectives or stable is None or stable.ready == 0 or s.status.run or s.status.former:
        return None
    return Question(
        key=key,
        run=preflight_id(stable.revision),
        candidate=stable.revision,
        stable=None,
        objectives=_objectives(s, key, stable.revision, providers),
        queries=queried(s.spec, providers, key),
        look=True,
        probes=_probes(s.observed.records.get(stable.revision)),
        since=0.0,
        weight=100,
        born=s.created,
    )


def preflight_id(revision: str) -> str:
    """Name of the analysis that only looks whether anything is measured."""
    return f"preflight/{revision}"


def _settled(s: Situation, run: Run, weight: int) -> float | None:
    """Return since when the requests are split as planned."""
    if run.stage != "Observing" or run.unconfirmed or weight != run.weight:
        return None
    return run.since + (s.policy.settle if s.gateway else 0.0)


def _objectives(s: Situation, key: Key, revision: str, providers: Providers | None) -> tuple[ObjectivePlan, ...]:
    record = s.observed.records.get(revision)
    return counted(s.spec, record.series if record else GENERIC_HTTP, providers, key)


def _probes(record: Record | None) -> tuple[str, ...]:
    """Return the paths that the kubelet and the scrapes ask for: no counter of requests should hold them."""
    if record is None:
        return ()
    containers = record.template["spec"]["containers"]
    asked = (
        probe["httpGet"]["path"]
        for container in containers
        for name, probe in container.items()
        if name.endswith("Probe") and "httpGet" in probe
    )
    scraped = record.template["metadata"].get("annotations", {}).get(names.SCRAPE_PATH)
    return tuple(sorted({*asked, *([scraped] if scraped else [])}))
