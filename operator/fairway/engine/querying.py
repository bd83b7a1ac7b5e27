"""Asks one provider the queries of all open runs, each by itself: nobody waits for another's answer."""

import asyncio
from collections.abc import Callable, Iterable

from fairway.core import query
from fairway.core.judgement import Trouble
from fairway.core.query import QueryError
from fairway.engine.track import GUESS, IN_A_ROW, SOON, Gauge, Open, Track
from fairway.ports import Clock, Endpoint, MetricsError, QueryRefusedError

LEAST_EVERY = 5.0
"""Seconds between two answers of one query, at least; else the scrape interval."""
UNKNOWN = 60.0
"""The same while nobody knows the scrape interval: Prometheus' own default, and what most people keep. Three of four
answers decide, so one sample must not be read as several answers, and an answer too few only takes time."""

Pair = tuple[Open, Gauge]
Tracks = Callable[[Open], Iterable[Track]]
Scoped = Callable[[str, str], str]


class Querying:
    """The queries to one provider."""

    def __init__(  # noqa: PLR0913  whom to ask, what, and whom to tell
        self,
        endpoint: Endpoint,
        clock: Clock,
        gauges: Callable[[], Iterable[Pair]],
        concluded: Callable[[Open, bool], None],
        scoped: Scoped,
        *,
        tracks: Tracks,
    ) -> None:
        """``tracks`` are what this provider counts of a run: they know how often it has samples."""
        self._endpoint = endpoint
        self._clock = clock
        self._gauges = gauges
        self._tracks = tracks
        self._concluded = concluded
        self._scoped = scoped
        self._asking: set[asyncio.Task[None]] = set()
        self.wake: Callable[[], None] = lambda: None
        """Called when an answer has come and more may be due."""

    async def poll(self) -> None:
        """Send what is due, and wait for nothing."""
        now = self._clock.now()
        for known, gauge in self._gauges():
            if self._due(known, gauge) <= now:
                gauge.due = float("inf")
                task = asyncio.create_task(self._ask(known, gauge))
                self._asking.add(task)
                task.add_done_callback(self._landed)

    def rest(self) -> float | None:
        """Return the seconds until something is due, None for never."""
        due = min((self._due(*pair) for pair in self._gauges()), default=float("inf"))
        # Nobody tells when the counts have shown a shorter scrape interval: look now and then.
        return None if due == float("inf") else min(max(SOON, due - self._clock.now()), GUESS)

    async def answered(self) -> None:
        """Wait for all that was sent."""
        await asyncio.gather(*self._asking)

    def stop(self) -> None:
        """Wait for nothing any more."""
        for task in self._asking:
            task.cancel()

    def _due(self, known: Open, gauge: Gauge) -> float:
        """Return when to ask: one scrape interval, as it is known by now, after the last answer."""
        return max(gauge.due, gauge.last + self._every(known))

    def _every(self, known: Open) -> float:
        """Return the seconds from one answer to the next: what the admin says, else the longest that was measured.

        A look judges nothing, and need not wait for another sample.
        """
        measured = [track.tally.scrape for track in self._tracks(known) if track.tally.scrape]
        guess = GUESS if known.question.look else UNKNOWN
        return max(self._endpoint.scrape_interval or max(measured, default=guess), LEAST_EVERY)

    def _landed(self, task: asyncio.Task[None]) -> None:
        self._asking.discard(task)
        self.wake()

    async def _ask(self, known: Open, gauge: Gauge) -> None:
        try:
            await self._answer(known, gauge)
        except Exception as error:  # noqa: BLE001  told by stumble; nobody waits for this task to fail
            gauge.stumble(error, gauge.plan.name, known.question, self._clock.now())
        self._concluded(known, True)

    async def _answer(self, known: Open, gauge: Gauge) -> None:
        question, plan = known.question, gauge.plan
        try:
            value = await self._value(known, gauge)
        except QueryError as error:
            # An answer, although no number: asked again at its own pace, since one NaN of a quiet moment is no news.
            gauge.failures, gauge.last = gauge.failures + 1, self._clock.now()
            gauge.due = gauge.last
            if gauge.failures >= IN_A_ROW:
                trouble = Trouble("NoData", f"{plan.name}: {error}", "NoValue", passing=True)
                gauge.obstruct(plan.name, question, trouble)
        except QueryRefusedError as error:
            self._settle(gauge)
            gauge.obstruct(plan.name, question, Trouble("NoData", f"{plan.name}: {error}", "InvalidQuery"))
        except MetricsError as error:
            trouble = Trouble("ProviderError", f"the metrics provider: {error}")
            gauge.fail(plan.name, question, trouble, self._clock.now())
        else:
            now = self._clock.now()
            self._settle(gauge)
            gauge.trouble, gauge.answered = None, True
            gauge.answers = gauge.answers.plus(plan, now, value, self._every(known))

    def _settle(self, gauge: Gauge) -> None:
        gauge.failures = 0
        gauge.due = gauge.last = self._clock.now()

    async def _value(self, known: Open, gauge: Gauge) -> float:
        question, plan = known.question, gauge.plan
        window = query.window(question, self._clock.now())
        promql = query.filled(plan, question, window, self._endpoint.revision_label)
        if plan.scoped:
            promql = self._scoped(promql, question.key[0])
        return query.only(await self._endpoint.source.query(promql))
