"""One pass over one ModelDeployment: observe -> decide -> record status -> apply children -> report."""

import re
from collections.abc import Callable
from dataclasses import replace

from pydantic import ValidationError

from fairway.api.status import Status
from fairway.core.alerting import alerts
from fairway.core.desired import desired
from fairway.core.errors import Unresolved, first_words
from fairway.core.fit import fit
from fairway.core.pods import one_line
from fairway.core.rollout.decide import Decision, decide
from fairway.core.rollout.question import question
from fairway.core.rollout.refused import refused
from fairway.core.rollout.situation import Event, Situation
from fairway.core.verdict import Key
from fairway.engine.analysis import Analysis
from fairway.engine.audit import audit, audit_event
from fairway.engine.children import apply_children
from fairway.engine.gather import Defaults, Gathered, Gatherer
from fairway.engine.preflight import Preflight
from fairway.engine.untold import Tell, Untold
from fairway.ports import Clock, Cluster, ClusterError, Manifest, Recorder, Store


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
        decided: Callable[[Key, Situation, Decision], None] = lambda _key, _situation, _decision: None,
        stuck: Callable[[Key, Status, Event | None], None] = lambda _key, _status, _event: None,
        gone: Callable[[Key], None] = lambda _key: None,
    ) -> None:
        """``decided`` hears of every decision, ``stuck`` of every spec that none can be made from, and what is told."""
        self._cluster = cluster
        self._store = store
        self._recorder = recorder
        self._analysis = analysis
        self._clock = clock
        self._gatherer = Gatherer(store, analysis, clock, defaults)
        self._providers = defaults.providers
        self._preflight = Preflight(analysis, defaults.providers)
        self._untold = Untold()
        self._decided = decided
        self._stuck = stuck
        self._gone = gone
        self._blocked: dict[Key, str] = {}
        self._ending: dict[Key, str] = {}
        """UIDs of models whose namespace is being deleted: as good as gone, until the name is another object's."""

    async def reconcile(self, key: Key) -> float | None:
        """Do one pass; return when the next one is due. Raises ClusterError to be tried again."""
        model = self._store.deployment_of_model(key)
        if model is None or self._ending.get(key) != model["metadata"]["uid"]:
            self._ending.pop(key, None)
        if model is None or model["metadata"].get("deletionTimestamp") or key in self._ending:
            self._forget(key)
            return None
        self._untold.tell(key, model)
        status = Status.model_validate(model.get("status") or {})
        try:
            gathered = self._gatherer.gather(model, status, self._blocked.get(key), go_on=True)
        except (ValidationError, Unresolved) as error:
            await self._refuse(model, status, error)
            return None
        return await self._pass(key, gathered)

    def _forget(self, key: Key) -> None:
        """Forget a model that is gone, or as good as gone."""
        self._analysis.forget(key)
        self._preflight.forget(key)
        self._gatherer.forget(key)
        self._untold.forget(key)
        self._blocked.pop(key, None)
        self._gone(key)

    async def _pass(self, key: Key, gathered: Gathered) -> float | None:
        model, owner = gathered.model, gathered.owner
        situation = replace(gathered.situation, preflight=self._preflight.reading(key, gathered.situation))
        decision = decide(situation, owner_uid=owner.uid)

        def tell(stored: Manifest) -> None:
            audit(model, situation, decision)
            self._tell(key, stored, situation, decision)

        await self._record(key, model, decision.status, tell)
        self._preflight.told(key)
        records, alerting = situation.observed.records, gathered.alerting
        wanted = desired(owner, situation.spec, decision.status, records, gathered.routing)
        wanted += alerts(owner, situation.spec, decision.status, records, alerting)
        errors = await apply_children(self._cluster, self._store, owner.uid, wanted, _unrecorded(gathered, decision))
        look_at = self._ask(key, replace(situation, status=decision.status))
        if any(error.ending for error in errors):
            self._ending[key] = owner.uid
            self._forget(key)
            return None
        if errors:
            # What passes by itself is tried again and not told: a Stalled that comes and goes costs two writes,
            # and whoever waits for the model would take it for a failure.
            lasting = next((error for error in errors if not error.temporary), None)
            if lasting:
                self._block(key, one_line(f"the API server refused a child: {lasting.message}", 400))
            raise lasting or errors[0]
        if self._blocked.pop(key, None):
            return self._clock.now()
        return min((time for time in (decision.wake_at, look_at) if time is not None), default=None)

    def _block(self, key: Key, words: str) -> None:
        """Remember a refusal. A time or a port in its words is no news: each write of them would cause the next try."""
        if _numberless(words) != _numberless(self._blocked.get(key, "")):
            self._blocked[key] = words

    async def _record(self, key: Key, model: Manifest, status: Status, tell: Tell) -> None:
        """Write the status if it says anything new, then tell; an answer that is lost is made up for by a later pass.

        A stale view fails here, before any child is touched.
        """
        dump = fit(status.model_dump(mode="json", by_alias=True, exclude_none=True))
        if dump == model.get("status"):
            tell(model)
            return
        try:
            stored = await self._cluster.write_status(model, dump)
        except ClusterError:
            # Even a conflict may be with our own first try, whose answer was lost.
            self._untold.keep(key, model, dump, tell)
            raise
        self._untold.forget(key)
        self._store.put(stored)
        tell(stored)

    def _tell(self, key: Key, model: Manifest, situation: Situation, decision: Decision) -> None:
        for event in decision.events:
            self._event(model, event)
        self._decided(key, situation, decision)

    def _event(self, model: Manifest, event: Event) -> None:
        type_ = "Warning" if event.warning else "Normal"
        self._recorder.event(model, type_=type_, reason=event.reason, message=event.message)

    def _ask(self, key: Key, situation: Situation) -> float | None:
        """Ask the metrics what the next decision needs; return when a look is due although nothing changes."""
        asked = question(situation, key, self._providers)
        if asked is None:
            return self._preflight.ask(key, situation)
        self._analysis.ask(asked)
        return None

    async def _refuse(self, model: Manifest, status: Status, error: ValidationError | Unresolved) -> None:
        key = model["metadata"]["namespace"], model["metadata"]["name"]
        self._analysis.forget(key)  # nobody decides by it
        reason, message = _why(error)
        generation = model["metadata"].get("generation", 0)
        told = refused(status, generation=generation, reason=reason, message=message, now=self._clock.now())
        known = {(c.type, c.reason, c.message) for c in status.conditions}
        event = None if ("Stalled", reason, message) in known else Event(reason, message, warning=True)

        def tell(stored: Manifest) -> None:
            if event:
                audit_event(stored, event)
                self._event(stored, event)
            self._stuck(key, told, event)

        await self._record(key, model, told, tell)


def _why(error: ValidationError | Unresolved) -> tuple[str, str]:
    if isinstance(error, Unresolved):
        return error.reason, error.message
    return "InvalidSpec", first_words(error, "spec")


def _unrecorded(gathered: Gathered, decision: Decision) -> set[str]:
    """Return revisions that have a purpose but no record to be rendered from."""
    status = decision.status
    live = [status.stable, status.candidate if status.run else None, status.former, *status.retiring]
    return {each.revision for each in live if each} - set(gathered.situation.observed.records)


def is_stale(error: ClusterError) -> bool:
    """Whether a fresher view alone will cure it: no reason to complain."""
    return error.conflict


def _numberless(words: str) -> str:
    return re.sub("[0-9]+", "0", words)
