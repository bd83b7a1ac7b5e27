"""Asks one provider the queries of all open runs, each by itself: nobody waits for another's answer."""

import asyncio
from collections.abc import Callable, Iterable

from fairway.core import query
from fairway.core.judgement import Trouble
from fairway.core.query import QueryError
from fairway.engine.track import GUESS, IN_A_ROW, SOON, Gauge, Open
from fairway.ports import Clock, Endpoint, MetricsError, QueryRefusedError

LEAST_EVERY = 5.0
"""Seconds between two answers of one query, at least; else the scrape interval."""

Pair = tuple[Open, Gauge]
Scoped = Callable[[str, str], str]


class Querying:
    """The queries to one provider."""

    def __init__(
        self,
        endpoint: Endpoint,
        clock: Clock,
        gauges: Callable[[], Iterable[Pair]],
        concluded: Callable[[Open, bool], None],
        scoped: Scoped,
    ) -> None:
        self._endpoint = endpoint
        self._clock = clock
        self._gauges = gauges
        self._concluded = concluded
        self._scoped = scoped
        self._every = max(endpoint.scrape_interval or GUESS, LEAST_EVERY)
        self._asking: set[asyncio.Task[None]] = set()
        self.wake: Callable[[], None] = lambda: None
        """Called when an answer has come and more may be due."""

    async def poll(self) -> None:
        """Send what is due, and wait for nothing."""
        now = self._clock.now()
        for known, gauge in self._gauges():
            if gauge.due <= now:
                gauge.due = float("inf")
                task = asyncio.create_task(self._ask(known, gauge))
                self._asking.add(task)
                task.add_done_callback(self._landed)

    def rest(self) -> float | None:
        """Return the seconds until something is due, None for never."""
        due = min((gauge.due for _, gauge in self._gauges()), default=float("inf"))
        return None if due == float("inf") else max(SOON, due - self._clock.now())

    async def answered(self) -> None:
        """Wait for all that was sent."""
        await asyncio.gather(*self._asking)

    def stop(self) -> None:
        """Wait for nothing any more."""
        for task in self._asking:
            task.cancel()

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
            gauge.failures, gauge.due = gauge.failures + 1, self._clock.now() + self._every
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
            gauge.answers = gauge.answers.plus(plan, now, value, self._every)

    def _settle(self, gauge: Gauge) -> None:
        gauge.failures, gauge.due = 0, self._clock.now() + self._every

    async def _value(self, known: Open, gauge: Gauge) -> float:
        question, plan = known.question, gauge.plan
        window = query.window(question, self._clock.now())
        promql = query.filled(plan, question, window, self._endpoint.revision_label)
        if plan.scoped:
            promql = self._scoped(promql, question.key[0])
        return query.only(await self._endpoint.source.query(promql))
