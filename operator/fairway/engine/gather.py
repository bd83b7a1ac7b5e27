"""Everything that a decision may depend on, read from the store in one place."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from fairway.api.runtime import ModelRuntimeSpec
from fairway.api.spec import GatewayRef, ModelDeploymentSpec
from fairway.api.status import Status
from fairway.core import routing, runtimes
from fairway.core.alerting import Alerting
from fairway.core.build import alerts
from fairway.core.build.common import Owner
from fairway.core.commands import pending
from fairway.core.desired import Routing
from fairway.core.errors import Unresolved
from fairway.core.observe import Observed, observe
from fairway.core.providers import Providers, first_problem
from fairway.core.revision import Record
from fairway.core.rollout.regression import watch_id
from fairway.core.rollout.situation import Policy, Situation, Target
from fairway.core.target import find_record, make_record
from fairway.engine.analysis import Analysis
from fairway.ports import Clock, Manifest, Store


@dataclass(frozen=True, slots=True)
class Defaults:
    """What the admin sets for all ModelDeployments."""

    gateway: GatewayRef | None = None
    policy: Policy = field(default_factory=Policy)
    providers: Providers | None = None
    fetch_image: str = ""
    """The operator's own image: the init container of models that are fetched or verified."""
    alerting: Alerting | None = None
    """With what models get alerts of their own; None for no alerts."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """One ModelDeployment with all that concerns it."""

    model: Manifest
    owner: Owner
    situation: Situation
    routing: Routing
    alerting: Alerting | None = None


class Gatherer:
    """Reads the store; writes nothing, decides nothing."""

    def __init__(self, store: Store, analysis: Analysis, clock: Clock, defaults: Defaults) -> None:
        self._store = store
        self._analysis = analysis
        self._clock = clock
        self._defaults = defaults
        self._claims: dict[str, tuple[int, routing.Claim | None]] = {}

    def gather(self, model: Manifest, status: Status, blocked: str | None) -> Gathered:
        """Read one ModelDeployment. Raises ValidationError or Unresolved for a spec that cannot be acted on."""
        meta = model["metadata"]
        owner = Owner(meta["namespace"], meta["name"], meta["uid"])
        spec = ModelDeploymentSpec.model_validate(model["spec"])
        observed = observe(owner.name, self._store.children(owner.uid), blocked)
        record, upgrade, runtime = self._target(owner, spec, status, observed)
        observed = replace(observed, records={**observed.records, record.revision: record})
        gateway = routing.routed_by(spec, self._defaults.gateway)
        live = self._store.gateway(gateway.namespace or owner.namespace, gateway.name) if gateway else None
        claim = routing.claim(model, self._defaults.gateway)
        trouble = routing.trouble(claim, self._other_claims(model) if claim else (), live)
        run, key = _analysed(status), (owner.namespace, owner.name)
        situation = Situation(
            now=self._clock.now(),
            spec=spec,
            generation=meta.get("generation", 0),
            created=_epoch(meta.get("creationTimestamp")),
            target=Target(record.revision, record.version, record.image),
            status=status,
            observed=observed,
            reading=self._analysis.reading(key, run) if run else None,
            policy=self._defaults.policy,
            gateway=gateway is not None,
            commands=pending(meta.get("annotations") or {}, status.commands, meta.get("commanded-by")),
            upgrade=upgrade,
            runtime=runtime,
            trouble=trouble,
            problem=first_problem(spec, self._defaults.providers, key),
            url=routing.url(owner, spec, live),
        )
        routable = trouble is None or observed.route is not None
        alerting = self._defaults.alerting if self._store.serves(alerts.KIND) else None
        return Gathered(model, owner, situation, Routing(gateway, routable), alerting)

    def _target(
        self, owner: Owner, spec: ModelDeploymentSpec, status: Status, observed: Observed
    ) -> tuple[Record, str | None, str | None]:
        """Return the revision asked for, the one that today's ModelRuntime would make, and the ModelRuntime's name."""
        known = find_record(spec, owner.name, status, observed.records)
        try:
            chosen = runtimes.choose(spec, self._runtimes())
            today = make_record(owner, spec, chosen[1] if chosen else None, self._defaults.fetch_image)
        except Unresolved:
            if known is None:
                raise
            return known, None, spec.runtime.name  # what is recorded runs without its ModelRuntime
        if known is None or today.revision == status.chosen:
            known = observed.records.get(today.revision, today)  # what is recorded is never rendered again
        upgrade = today.revision if today.revision != known.revision else None
        return known, upgrade, chosen[0] if chosen else None

    def _runtimes(self) -> Mapping[str, ModelRuntimeSpec]:
        return {name: ModelRuntimeSpec.model_validate(found["spec"]) for name, found in self._store.runtimes().items()}

    def _other_claims(self, model: Mapping[str, Any]) -> list[routing.Claim]:
        uid = model["metadata"]["uid"]
        others = (other for other in self._store.all_models() if other["metadata"]["uid"] != uid)
        return [found for other in others if (found := self._claim(other))]

    def _claim(self, model: Mapping[str, Any]) -> routing.Claim | None:
        """Read a claim once per generation: every pass looks at everybody's."""
        uid, mark = model["metadata"]["uid"], model["metadata"].get("generation", 0)
        if model["metadata"].get("deletionTimestamp"):
            self._claims.pop(uid, None)
            return None
        if self._claims.get(uid, (None, None))[0] != mark:
            self._claims[uid] = (mark, routing.claim(model, self._defaults.gateway))
        return self._claims[uid][1]


def _epoch(text: str | None) -> float:
    return datetime.fromisoformat(text).timestamp() if text else 0.0


def _analysed(status: Status) -> str | None:
    """Name of the analysis that speaks about what is under way."""
    if status.run:
        return status.run.id
    return watch_id(status.former.run) if status.former else None
