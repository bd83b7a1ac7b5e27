"""Everything that a decision may depend on, read from the store in one place."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from fairway.api.runtime import ModelRuntimeSpec
from fairway.api.spec import GatewayRef, ModelDeploymentSpec
from fairway.api.status import Status
from fairway.core import routing, runtimes
from fairway.core.alerting import Alerting
from fairway.core.build import alerts
from fairway.core.build.common import Owner
from fairway.core.commands import pending
from fairway.core.desired import Routing
from fairway.core.errors import Problem, Unresolved, first_words
from fairway.core.observe import Observed, observe
from fairway.core.providers import Providers, first_problem
from fairway.core.revision import Record
from fairway.core.rollout.regression import analysed
from fairway.core.rollout.situation import Policy, Situation, Target
from fairway.core.target import find_record, make_record
from fairway.core.verdict import Key
from fairway.engine.analysis import Analysis
from fairway.ports import Clock, Manifest, Store

_Mark = tuple[str, int]


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


@dataclass(frozen=True, slots=True)
class _Asked:
    """The revision asked for, the one that today's ModelRuntime would make if another, and the ModelRuntime's name."""

    record: Record
    upgrade: str | None = None
    runtime: str | None = None
    unresolved: Problem | None = None
    """Why the record is only what runs, and not what is asked for."""


class Gatherer:
    """Reads the store; writes nothing, decides nothing."""

    def __init__(self, store: Store, analysis: Analysis, clock: Clock, defaults: Defaults) -> None:
        self._store = store
        self._analysis = analysis
        self._clock = clock
        self._defaults = defaults
        self._claims: dict[Key, tuple[_Mark, routing.Claim | None]] = {}
        self._runtimes: dict[str, tuple[_Mark, ModelRuntimeSpec | str]] = {}

    def gather(self, model: Manifest, status: Status, blocked: str | None, *, go_on: bool = False) -> Gathered:
        """Read one ModelDeployment. Raises ValidationError or Unresolved for a spec that cannot be acted on.

        With ``go_on`` a spec that cannot be resolved is no end while anything runs: a candidate that breaks in mid-run
        has to be taken out all the same. What runs is the target then, and the situation says why.
        """
        meta = model["metadata"]
        owner = Owner(meta["namespace"], meta["name"], meta["uid"])
        spec = ModelDeploymentSpec.model_validate(model["spec"])
        observed = observe(owner.name, self._store.children(owner.uid), blocked)
        asked = self._target(owner, spec, status, observed, go_on=go_on)
        record = asked.record
        observed = replace(observed, records={**observed.records, record.revision: record})
        gateway = routing.routed_by(spec, self._defaults.gateway)
        live = self._store.gateway(gateway.namespace or owner.namespace, gateway.name) if gateway else None
        claim = routing.claim(model, self._defaults.gateway)
        trouble = routing.trouble(claim, self._other_claims(model) if claim else (), live)
        run, key = analysed(status), (owner.namespace, owner.name)
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
            upgrade=asked.upgrade,
            runtime=asked.runtime,
            unresolved=asked.unresolved,
            trouble=trouble,
            problem=first_problem(spec, self._defaults.providers, key),
            url=routing.url(owner, spec, live),
        )
        routable = trouble is None or observed.route is not None
        alerting = self._defaults.alerting if self._store.serves(alerts.KIND) else None
        return Gathered(model, owner, situation, Routing(gateway, routable), alerting)

    def _target(
        self, owner: Owner, spec: ModelDeploymentSpec, status: Status, observed: Observed, *, go_on: bool
    ) -> _Asked:
        """Return the revision asked for. Raises Unresolved where none can be made, and nothing is to go on."""
        known = find_record(spec, owner.name, status, observed.records)
        try:
            chosen = runtimes.choose(spec, *self._read_runtimes())
            today = make_record(owner, spec, chosen[1] if chosen else None, self._defaults.fetch_image)
        except Unresolved as error:
            if known is not None:
                return _Asked(known, runtime=spec.runtime.name)  # what is recorded runs without its ModelRuntime
            current = _current(status, observed) if go_on else None
            if current is None:
                raise
            return _Asked(current, unresolved=Problem(error.reason, error.message))
        if known is None or today.revision == status.chosen:
            known = observed.records.get(today.revision, today)  # what is recorded is never rendered again
        upgrade = today.revision if today.revision != known.revision else None
        return _Asked(known, upgrade, chosen[0] if chosen else None)

    def _read_runtimes(self) -> tuple[dict[str, ModelRuntimeSpec], dict[str, str]]:
        """Return the ModelRuntimes by name, and of those that cannot be read the reason; each is read once."""
        known, self._runtimes = self._runtimes, {}
        for name, found in self._store.runtimes().items():
            if name not in known or known[name][0] != _mark(found):
                known[name] = _mark(found), _runtime(found)
            self._runtimes[name] = known[name]
        read = {name: found for name, (_, found) in self._runtimes.items()}
        fine = {name: found for name, found in read.items() if isinstance(found, ModelRuntimeSpec)}
        return fine, {name: found for name, found in read.items() if isinstance(found, str)}

    def _other_claims(self, model: Mapping[str, Any]) -> list[routing.Claim]:
        uid = model["metadata"]["uid"]
        others = (other for other in self._store.all_models() if other["metadata"]["uid"] != uid)
        return [found for other in others if (found := self._claim(other))]

    def _claim(self, model: Mapping[str, Any]) -> routing.Claim | None:
        """Read a claim once per generation: every pass looks at everybody's."""
        meta = model["metadata"]
        key, mark = (meta["namespace"], meta["name"]), _mark(model)
        if meta.get("deletionTimestamp"):
            self.forget(key)
            return None
        if self._claims.get(key, (None, None))[0] != mark:
            self._claims[key] = (mark, routing.claim(model, self._defaults.gateway))
        return self._claims[key][1]

    def forget(self, key: Key) -> None:
        """Forget a ModelDeployment that is gone."""
        self._claims.pop(key, None)


def _current(status: Status, observed: Observed) -> Record | None:
    """Return what is tried, or else what serves."""
    tracks = (status.candidate if status.run else None, status.stable)
    return next((observed.records[t.revision] for t in tracks if t and t.revision in observed.records), None)


def _mark(resource: Mapping[str, Any]) -> _Mark:
    """Return what is another one as soon as the spec is."""
    return resource["metadata"].get("uid", ""), resource["metadata"].get("generation", 0)


def _runtime(found: Mapping[str, Any]) -> ModelRuntimeSpec | str:
    try:
        return ModelRuntimeSpec.model_validate(found.get("spec"))
    except ValidationError as error:
        return first_words(error, "spec")


def _epoch(text: str | None) -> float:
    return datetime.fromisoformat(text).timestamp() if text else 0.0
