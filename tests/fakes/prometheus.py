"""Two fakes: a simulated Prometheus (a world of scraped pods), and a scriptable HTTP server on loopback."""

import json
import random
import re
from bisect import bisect_right
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Self

from aiohttp import web

from fairway.core.verdict import SeriesMatcher
from fairway.ports import RawSeries, Selector

# --- a world of pods ----------------------------------------------------------------------------------------------


@dataclass
class Pod:
    """A pod with its own requests: (time, failed, seconds); labelled counters appear with their first request."""

    name: str
    namespace: str = "ml"
    phase: float = 0.0
    scrape: float = 5.0
    born: float = 0.0
    died: float = float("inf")
    restarts: tuple[float, ...] = ()
    missed: tuple[tuple[float, float], ...] = ()
    job: str = "models"
    buckets: tuple[float, ...] = (0.01, 0.05, 0.1, 1.0)
    requests: list[tuple[float, bool, float]] = field(default_factory=list)
    _memo: dict = field(default_factory=dict)

    def serve(self, start: float, end: float, rate: float, bad: float, *, seed: int = 0, slow: float = 0.0) -> "Pod":
        """Evenly spaced requests, of which a random share fails or is slow."""
        self.requests += _requests(f"{seed}{self.name}{start}", start, round((end - start) * rate), rate, bad, slow)
        self.requests.sort()
        return self

    def counted(self, start: float, end: float) -> tuple[int, int]:
        """Requests and failures in (start, end]: the truth."""
        inside = [r for r in self.requests if start < r[0] <= end]
        return len(inside), sum(r[1] for r in inside)

    @property
    def identity(self) -> dict[str, str]:
        return {"namespace": self.namespace, "pod": self.name}

    def scrapes(self, start: float, end: float) -> list[float]:
        first = int((max(start, self.born) - self.phase) // self.scrape)
        times = [self.phase + k * self.scrape for k in range(first, int((end - self.phase) // self.scrape) + 1)]
        after, until = max(start, self.born), min(end, self.died)
        return [t for t in times if after < t <= until and not any(a < t <= b for a, b in self.missed)]

    def series(self, metric: str, start: float, end: float) -> list[RawSeries]:
        scrapes = [(t, self._process(t)) for t in self.scrapes(start, end)]
        identity = {"__name__": metric, **self.identity, "job": self.job, "instance": self.name}
        found = []
        for labels, births, hits in self._counters(metric.endswith("_bucket")):
            samples = tuple(
                (t, float(bisect_right(hits, t) - bisect_right(hits, process)))
                for t, process in scrapes
                if bisect_right(births, t) > bisect_right(births, process)
            )
            if samples:
                found.append(RawSeries.of({**identity, **labels}, samples))
        return found

    def _counters(self, histogram: bool) -> list[tuple[dict[str, str], list[float], list[float]]]:
        """Labels, times at which the series may be born, times at which it counts."""
        key = histogram, len(self.requests)
        if key not in self._memo:
            every = [r[0] for r in self.requests]
            if histogram:
                edges = [*((f"{e:g}", e) for e in self.buckets), ("+Inf", float("inf"))]
                made = [({"le": text}, every, [r[0] for r in self.requests if r[2] <= edge]) for text, edge in edges]
            else:
                good, bad = ([r[0] for r in self.requests if r[1] == failed] for failed in (False, True))
                made = [({"status": "200"}, good, good), ({"status": "500"}, bad, bad)]
            self._memo[key] = made
        return self._memo[key]

    def _process(self, t: float) -> float:
        """When the process that is scraped at a time was started."""
        return max((r for r in self.restarts if r <= t), default=float("-inf"))


@lru_cache(maxsize=8)
def _requests(
    seed: str, start: float, count: int, rate: float, bad: float, slow: float
) -> list[tuple[float, bool, float]]:
    """What a pod serves. Most tests of a module begin with the same hundred thousand requests."""
    dice = random.Random(seed)
    drawn = [dice.random() for _ in range(2 * count)]
    return [
        (start + i / rate, failed < bad, 0.2 if late < slow else 0.02)
        for i, late, failed in zip(range(count), drawn[::2], drawn[1::2], strict=True)
    ]


@dataclass
class World:
    """A MetricsSource that scrapes pods, with the time as it stands on ``clock``."""

    clock: "Clock"
    pods: list[Pod] = field(default_factory=list)
    ingestion: float = 0.1
    forgets_before: float = float("-inf")
    failure: Exception | None = None
    too_many: int = 10**9
    asked: list[tuple[float, Selector, float]] = field(default_factory=list)
    numbers: Callable[[str], list[float]] | None = None
    """What queries give, by their text."""
    queries: list[tuple[float, str]] = field(default_factory=list)

    async def query(self, promql):
        self.queries.append((self.clock.now(), promql))
        if self.failure:
            raise self.failure
        return self.numbers(promql) if self.numbers else []

    async def raw(self, selectors, window):
        now = self.clock.now()
        self.asked += [(now, selector, window) for selector in selectors]
        if self.failure:
            raise self.failure
        start = max(now - window, self.forgets_before)
        return [
            series
            for selector in selectors
            for pod in self.pods
            if all(_matches(m, pod.identity) for m in selector.matchers if m.label in pod.identity)
            for series in pod.series(selector.metric, start, now - self.ingestion)
            if all(_matches(m, series.labels) for m in selector.matchers)
        ]


def _matches(matcher, labels):
    return _hits(matcher, labels.get(matcher.label, ""))


@lru_cache(maxsize=1 << 18)
def _hits(matcher, value):
    hit = re.fullmatch(matcher.value, value) is not None if "~" in matcher.op else value == matcher.value
    return hit != matcher.op.startswith("!")


@dataclass
class Clock:
    """A movable clock."""

    time: float = 1000.0

    def now(self) -> float:
        return self.time


# --- an HTTP server -----------------------------------------------------------------------------------------------

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class FakePrometheus:
    """Answers POST /api/v1/query as it is told and remembers what it was asked."""

    answer: Answer | None = None
    requests: list[tuple[dict[str, str], dict[str, str]]] = field(default_factory=list)
    url: str = ""

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/prometheus"
        return self

    async def __aexit__(self, *_) -> None:
        await self._runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        form = {k: str(v) for k, v in (await request.post()).items()}
        self.requests.append(({"method": request.method, "path": request.path, **request.headers}, form))
        assert self.answer is not None
        return await self.answer(request)


def matrix(*series: tuple[dict[str, str], list[list]], **more) -> Answer:
    """A good answer."""
    result = [{"metric": labels, "values": values} for labels, values in series]
    return document({"status": "success", "data": {"resultType": "matrix", "result": result}, **more})


def history(pods: list[Pod], *, ingestion: float = 0.0) -> Answer:
    """Answers range selectors at the time that is asked for, from what pods have counted."""

    async def answer(request):
        asked = {**request.query, **(await request.post())}
        metric, inside, window = re.fullmatch(r"([\w:]+)\{(.*)\}\[(\d+)s\]", asked["query"]).groups()
        found = re.findall(r'(\w+)(=~|!~|!=|=)("(?:[^"\\]|\\.)*")', inside)
        matchers = [SeriesMatcher(label, op, json.loads(value)) for label, op, value in found]
        end = float(asked["time"])
        series = [
            (one.labels, [[at, str(value)] for at, value in zip(one.times, one.values, strict=True)])
            for pod in pods
            for one in pod.series(metric, end - int(window), end - ingestion)
            if all(_matches(matcher, one.labels) for matcher in matchers)
        ]
        return await matrix(*series)(request)

    return answer


def document(content) -> Answer:
    return text(json.dumps(content), content_type="application/json")


def text(body: str, *, status: int = 200, **more) -> Answer:
    async def answer(_request):
        return web.Response(text=body, status=status, **more)

    return answer
