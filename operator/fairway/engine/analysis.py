"""Answers questions about open runs with readings, and asks every provider what is needed for that."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from fairway.core import checkpoint, query
from fairway.core.counts import Tally
from fairway.core.evidence import Evidence
from fairway.core.judgement import Trouble, judge
from fairway.core.query import Answers
from fairway.core.verdict import Key, ObjectivePlan, QueryPlan, Question, Reading
from fairway.engine.counting import Counting
from fairway.engine.querying import Querying, Scoped
from fairway.engine.track import Gauge, Open, Track
from fairway.ports import Clock, Endpoint

Pause = Callable[[float | None], Awaitable[None]]


class _Asker(Protocol):
    async def poll(self) -> None: ...
    def rest(self) -> float | None: ...


@dataclass(frozen=True, slots=True)
class _Lane:
    """One kind of question to one provider. Lanes know nothing of each other: a slow provider delays nobody else's."""

    asker: _Asker
    woken: asyncio.Event = field(default_factory=asyncio.Event)

    async def sleep(self, seconds: float | None) -> None:
        """Sleep until then (None: for ever), or until something new is asked."""
        try:
            async with asyncio.timeout(seconds):
                await self.woken.wait()
        except TimeoutError:
            pass
        self.woken.clear()


class Analysis:
    """Answers questions with readings. Queries per minute do not grow with idle models: only open runs are asked."""

    def __init__(  # noqa: PLR0913  what differs between the operator, a replay and a test
        self,
        endpoints: Sequence[Endpoint],
        clock: Clock,
        changed: Callable[[Key], None],
        *,
        scoped: Scoped = lambda promql, _namespace: promql,
        pause: Pause | None = None,
        forgiving: bool = False,
    ) -> None:
        """``forgiving`` keeps an unexpected exception to the objective that it befell; a replay wants it raised."""
        self._forgiving = forgiving
        self._endpoints = {endpoint.name: endpoint for endpoint in endpoints}
        self._default = endpoints[0].name if endpoints else None
        self._clock = clock
        self._changed = changed
        self._pause = pause
        self._open: dict[Key, Open] = {}
        self._queries: list[Querying] = []
        self._lanes: list[_Lane] = []
        for endpoint in endpoints:
            self._add_lanes(endpoint, scoped)

    def _add_lanes(self, endpoint: Endpoint, scoped: Scoped) -> None:
        name = endpoint.name
        counting = Counting(
            endpoint, self._clock, lambda: self._tracks(name), self._conclude, forgiving=self._forgiving
        )
        querying = Querying(
            endpoint,
            self._clock,
            lambda: self._gauges(name),
            self._conclude,
            scoped,
            tracks=lambda known: self._own(known, name),
        )
        asking = _Lane(querying)
        querying.wake = asking.woken.set
        self._queries.append(querying)
        self._lanes += [_Lane(counting), asking]

    def _tracks(self, endpoint: str) -> Iterator[tuple[Open, Track]]:
        for known in list(self._open.values()):
            for track in self._own(known, endpoint):
                yield known, track

    def _own(self, known: Open, endpoint: str) -> Iterator[Track]:
        return (t for t in known.tracks.values() if (t.objective.provider or self._default) == endpoint)

    def _gauges(self, endpoint: str) -> Iterator[tuple[Open, Gauge]]:
        for known in list(self._open.values()):
            for gauge in known.gauges.values():
                if (gauge.plan.provider or self._default) == endpoint:
                    yield known, gauge

    def ask(self, question: Question) -> None:
        """Open a question, or tell news about an open one. The same run goes on; another starts from its checkpoint."""
        known = self._open.get(question.key)
        if known is None or _identity(known.question) != _identity(question):
            known = self._open[question.key] = Open(checkpoint.pinned(question))
        known.question = replace(question, tests=known.question.tests)
        planned = [t.objective for t in known.tracks.values()], [g.plan for g in known.gauges.values()]
        if planned != (list(question.objectives), list(question.queries)):
            self._plan(known)

    def forget(self, key: Key) -> None:
        """Close the question about a model."""
        self._open.pop(key, None)

    def reading(self, key: Key, run: str) -> Reading | None:
        """Return the latest verdict about a run; None before the first answer."""
        known = self._open.get(key)
        return known.reading if known and known.question.run == run else None

    def _plan(self, known: Open) -> None:
        """Track each objective: unchanged ones go on, new ones start at their checkpoint or at the route."""
        question, tracks, gauges = known.question, known.tracks, known.gauges
        stored = checkpoint.load(question) if not tracks else {}
        fired = checkpoint.fired(question) if not tracks and not gauges else frozenset()
        known.tracks, known.gauges = {}, {}
        for objective in question.objectives:
            track = tracks.get(objective.name)
            if track is None or track.objective != objective:
                track = self._track(question, objective, stored.get(objective.name))
            known.tracks[objective.name] = track
        for plan in question.queries:
            gauge = gauges.get(plan.name)
            known.gauges[plan.name] = gauge if gauge and gauge.plan == plan else self._gauge(question, plan, fired)
        if not any(each.trouble is None for each in known.objectives):
            known.reading = self._judge(known)
        for lane in self._lanes:
            lane.woken.set()

    def _track(self, question: Question, objective: ObjectivePlan, stored: Evidence | None) -> Track:
        evidence = stored or Evidence()
        endpoint = self._endpoints.get(objective.provider or self._default or "")
        tally = Tally(
            after=max(question.since, evidence.at),
            resumed=stored is not None,
            setting=endpoint.scrape_interval if endpoint else None,
            accounts=evidence.accounts,
        )
        look_back = stored is None and question.beside is not None
        track = Track(objective=objective, tally=tally, evidence=evidence, look_back=look_back)
        if trouble := self._hopeless(objective):
            track.give_up(trouble)
        return track

    def _gauge(self, question: Question, plan: QueryPlan, fired: Collection[str]) -> Gauge:
        gauge = Gauge(plan=plan, due=question.since, answers=Answers(fired=plan.name in fired))
        if trouble := self._hopeless(plan):
            gauge.give_up(trouble)
        return gauge

    def _hopeless(self, plan: ObjectivePlan | QueryPlan) -> Trouble | None:
        if plan.problem:
            return Trouble("NoData", plan.problem, plan.cause)
        if (plan.provider or self._default) not in self._endpoints:
            return Trouble("NoData", "no metrics provider is configured", "NoProvider")
        return None

    async def run(self) -> None:
        """Ask until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                for lane in self._lanes:
                    group.create_task(self._serve(lane))
                group.create_task(asyncio.Event().wait())  # Without a provider there is nothing to do, for ever.
        finally:
            for queries in self._queries:
                queries.stop()

    async def _serve(self, lane: _Lane) -> None:
        pause = self._pause or lane.sleep
        while True:
            await lane.asker.poll()
            await pause(lane.asker.rest())

    async def poll(self) -> float | None:
        """Ask everybody what is due and wait for all answers; return the seconds until more is due, None for never."""
        await asyncio.gather(*(lane.asker.poll() for lane in self._lanes))
        await asyncio.gather(*(queries.answered() for queries in self._queries))
        return min((rest for lane in self._lanes if (rest := lane.asker.rest()) is not None), default=None)

    def _conclude(self, known: Open, grew: bool) -> None:  # noqa: FBT001  a callback
        """Judge again once every objective was asked, and tell if the verdict or the evidence moved."""
        if self._open.get(known.question.key) is not known or not all(each.answered for each in known.objectives):
            return
        before = known.reading
        known.reading = self._judge(known)
        if grew or before is None or before.state != known.reading.state:
            self._changed(known.question.key)

    def _judge(self, known: Open) -> Reading:
        now = self._clock.now()
        queries = [query.read(g.plan, g.answers, g.trouble, known.question, now) for g in known.gauges.values()]
        return judge(known.question, [track.case for track in known.tracks.values()], now, queries)


def _identity(question: Question) -> tuple[str, str, str | None]:
    return question.run, question.candidate, question.stable
