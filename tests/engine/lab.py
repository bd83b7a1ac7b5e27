"""Some providers with a world each, and an analysis that asks them. Time only moves by hand."""

from dataclasses import replace

from fairway.core.verdict import ObjectivePlan, QueryPlan, Question, SeriesMatcher
from fairway.engine.analysis import Analysis
from fairway.ports import Endpoint
from tests.fakes.prometheus import Clock, Pod, World

FAILURE = (SeriesMatcher("status", "=~", "5.."),)
ERRORS = ObjectivePlan("errors", "errors", "requests_total", (), FAILURE, 0.01, min_requests=300, text="1%")
SLOW = ObjectivePlan("latency", "latency", "seconds", (), (), 0.02, edge=0.05, min_requests=150, text="p98 50ms")
DRIFT = QueryPlan("drift", "max(drift{$selector})", scoped=False, below=0.2, text="below 0.2")
SINCE = 1000.0
KEY = ("ml", "churn")
MINUTE = 60.0


def question(name="churn", **more):
    asked = Question(("ml", name), "run-1", "b", "a", (ERRORS,), since=SINCE, weight=5)
    return replace(asked, **more)


def pods(name="churn", *, bad=0.0, rate=95, start=0.0, end=1200.0, phase=3.0, **more):
    stable = Pod(f"{name}-a-x-1", phase=phase, **more).serve(start, end, rate, 0.001)
    candidate = Pod(f"{name}-b-x-1", phase=phase, **more).serve(SINCE, end, 5, bad)
    return [stable, candidate]


class Lab:
    """A clock, some providers with a world each, and an analysis that asks them."""

    def __init__(self, *inhabitants, providers=("main",), now=SINCE, interval=5.0, label=None, **more):
        self.clock = Clock(now)
        self.worlds = {name: World(self.clock, list(inhabitants)) for name in providers}
        endpoints = [Endpoint(name, world, interval, label) for name, world in self.worlds.items()]
        self.told = []
        self.analysis = Analysis(endpoints, self.clock, self.told.append, **more)

    @property
    def world(self):
        return self.worlds["main"]

    async def until(self, end, stop=lambda: False):
        """Poll as run() does, jumping from one due time to the next."""
        while self.clock.time < end and not stop():
            seconds = await self.analysis.poll()
            self.clock.time = min(end, self.clock.time + (seconds if seconds is not None else end))
        return self

    def reading(self, key=KEY, run="run-1"):
        return self.analysis.reading(key, run)

    def state(self, key=KEY):
        reading = self.reading(key)
        return reading.state if reading else None
