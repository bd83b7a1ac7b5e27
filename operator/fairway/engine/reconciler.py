"""One pass over one ModelDeployment: observe -> decide -> record status -> apply children -> report."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import ValidationError

from fairway.api.runtime import ModelRuntimeSpec
from fairway.api.spec import GatewayRef, ModelDeploymentSpec
from fairway.api.status import Status
from fairway.core.build.common import Owner
from fairway.core.commands import pending
from fairway.core.desired import desired, routed_by
from fairway.core.errors import Unresolved
from fairway.core.observe import Observed, observe
from fairway.core.revision import Record
from fairway.core.rollout.decide import Decision, decide
from fairway.core.rollout.question import question
from fairway.core.rollout.refused import refused
from fairway.core.rollout.situation import Event, Policy, Situation, Target
from fairway.core.target import find_record, make_record
from fairway.core.verdict import Key
from fairway.engine.analysis import Analysis
from fairway.engine.children import apply_children
from fairway.ports import Clock, Cluster, ClusterError, Manifest, Recorder, Store

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Defaults:
    """What the admin sets for all ModelDeployments."""

    gateway: GatewayRef | None = None
    policy: Policy = field(default_factory=Policy)


class Reconciler:
    """Knows how one pass goes; knows no library."""

    def __init__(  # noqa: PLR0913  the parts it is made of
        self,
        *,
        cluster: Cluster,
        store: Store,
        recorder: Recorder,
        analysis: Analysis,
        clock: Clock,
        defaults: Defaults,
        decided: Callable[[Key, Decision], None] = lambda _key, _decision: None,
    ) -> None:
        self._cluster = cluster
        self._store = store
        self._recorder = recorder
        self._analysis = analysis
        self._clock = clock
        self._defaults = defaults
        self._decided = decided
        self._blocked: dict[Key, str] = {}

    async def reconcile(self, key: Key) -> float | None:
        """Do one pass; return when the next one is due. Raises ClusterError to be tried again."""
        model = self._store.deployment_of_model(key)
        if model is None or model["metadata"].get("deletionTimestamp"):
            self._analysis.forget(key)
            self._blocked.pop(key, None)
            return None
        owner = Owner(key[0], key[1], model["metadata"]["uid"])
        status = Status.model_validate(model.get("status") or {})
        observed = observe(owner.name, self._store.children(owner.uid), self._blocked.get(key))
        try:
            spec = ModelDeploymentSpec.model_validate(model["spec"])
            observed, target = self._target(owner, spec, status, observed)
        except (ValidationError, Unresolved) as error:
            await self._refuse(model, status, error)
            return None
        return await self._pass(model, owner, self._situation(model, spec, target, status, observed))

    def _target(
        self, owner: Owner, spec: ModelDeploymentSpec, status: Status, observed: Observed
    ) -> tuple[Observed, Record]:
        """Find or render the revision that the spec asks for, and count it among the records."""
        record = find_record(spec, owner.name, status, observed.records)
        if record is None:
            record = make_record(owner, spec, self._runtime(spec))
        return replace(observed, records={**observed.records, record.revision: record}), record

    def _runtime(self, spec: ModelDeploymentSpec) -> ModelRuntimeSpec | None:
        name = spec.runtime.name
        if name is None:
            return None
        found = self._store.runtime(name)
        if found is None:
            raise Unresolved("RuntimeNotFound", f"spec.runtime.name: there is no ModelRuntime {name!r}")
        return ModelRuntimeSpec.model_validate(found["spec"])

    def _situation(
        self, model: Manifest, spec: ModelDeploymentSpec, record: Record, status: Status, observed: Observed
    ) -> Situation:
        key = (model["metadata"]["namespace"], model["metadata"]["name"])
        analysed = status.run.id if status.run else f"{status.former.run}/watch" if status.former else ""
        return Situation(
            now=self._clock.now(),
            spec=spec,
            generation=model["metadata"].get("generation", 0),
            target=Target(record.revision, record.version, record.image),
            status=status,
            observed=observed,
            commands=pending(model["metadata"].get("annotations", {}), status.commands),
            reading=self._analysis.reading(key, analysed) if analysed else None,
            policy=self._defaults.policy,
            gateway=routed_by(spec, self._defaults.gateway) is not None,
        )

    async def _pass(self, model: Manifest, owner: Owner, situation: Situation) -> float | None:
        key = (owner.namespace, owner.name)
        decision = decide(situation, url=_url(situation, owner), owner_uid=owner.uid)
        await self._record(model, decision.status)
        self._tell(key, model, decision)
        wanted = desired(owner, situation.spec, decision.status, situation.observed.records, self._defaults.gateway)
        errors = await apply_children(self._cluster, self._store, owner.uid, wanted)
        self._ask(key, replace(situation, status=decision.status))
        if errors:
            self._blocked[key] = f"the API server refused a child: {errors[0].message}"
            raise errors[0]
        if self._blocked.pop(key, None):
            return self._clock.now()
        return decision.wake_at

    async def _record(self, model: Manifest, status: Status) -> None:
        """Write the status if it says anything new. A stale view fails here, before any child is touched."""
        dump = status.model_dump(mode="json", by_alias=True, exclude_none=True)
        if dump != model.get("status"):
            self._store.put(await self._cluster.write_status(model, dump))

    def _tell(self, key: Key, model: Manifest, decision: Decision) -> None:
        for event in decision.events:
            self._event(model, event)
        self._decided(key, decision)

    def _event(self, model: Manifest, event: Event) -> None:
        meta = model["metadata"]
        about: dict[str, Any] = {"namespace": meta["namespace"], "model": meta["name"], "reason": event.reason}
        log.log(logging.WARNING if event.warning else logging.INFO, event.message, extra=about)
        type_ = "Warning" if event.warning else "Normal"
        self._recorder.event(model, type_=type_, reason=event.reason, message=event.message)

    def _ask(self, key: Key, situation: Situation) -> None:
        asked = question(situation, key)
        if asked is None:
            self._analysis.forget(key)
        else:
            self._analysis.ask(asked)

    async def _refuse(self, model: Manifest, status: Status, error: ValidationError | Unresolved) -> None:
        reason, message = _why(error)
        generation = model["metadata"].get("generation", 0)
        told = refused(status, generation=generation, reason=reason, message=message, now=self._clock.now())
        known = {(c.type, c.reason, c.message) for c in status.conditions}
        await self._record(model, told)
        if ("Stalled", reason, message) not in known:
            self._event(model, Event(reason, message, warning=True))


def _why(error: ValidationError | Unresolved) -> tuple[str, str]:
    if isinstance(error, Unresolved):
        return error.reason, error.message
    first = error.errors(include_url=False, include_context=False)[0]
    path = ".".join(str(part) for part in ("spec", *first["loc"]))
    return "InvalidSpec", f"{path}: {first['msg']}"


def _url(situation: Situation, owner: Owner) -> str:
    traffic = situation.spec.traffic
    if not situation.gateway or traffic is None:
        return f"http://{owner.name}.{owner.namespace}.svc"
    host = traffic.hostnames[0] if traffic.hostnames else "*"
    return f"http://{host}{traffic.path or ''}"


def is_stale(error: ClusterError) -> bool:
    """Whether a fresher view alone will cure it: no reason to complain."""
    return error.conflict
