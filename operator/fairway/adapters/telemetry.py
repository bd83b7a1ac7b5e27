"""What the process says about itself: metrics and probes."""

from collections.abc import Callable

from aiohttp import web
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from fairway import __version__
from fairway.adapters.fleet import Fleet
from fairway.api.status import Status
from fairway.core.rollout.decide import Decision
from fairway.core.rollout.situation import Event, Situation
from fairway.core.verdict import Key

_MINUTES = tuple(60.0 * minutes for minutes in (1, 2, 5, 10, 20, 30, 60, 120, 360, 720, 1440))


class Metrics:
    """Every metric of the operator, in a registry of its own. docs/reference/metrics.md lists them."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # nothing asks when a counter began, and it would double their series
        self.registry = CollectorRegistry()
        self.fleet = Fleet()
        self.registry.register(self.fleet)
        ProcessCollector(registry=self.registry)
        info = Gauge("fairway_build_info", "Version of the operator", ["version"], registry=self.registry)
        info.labels(version=__version__).set(1)
        self.leader = Gauge("fairway_leader", "1 while this process acts", registry=self.registry)
        self.queue = Gauge("fairway_queue_depth", "ModelDeployments that wait for a pass", registry=self.registry)
        self.passes = Histogram(
            "fairway_pass_seconds",
            "Duration of one pass over a ModelDeployment",
            ["result"],
            registry=self.registry,
            buckets=(0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
        )
        self.requests = self._counter("fairway_api_requests", "Requests to the API server", "method", "status")
        self.queries = self._counter("fairway_metrics_queries", "Queries to a metrics provider", "provider", "result")
        self.query_seconds = Histogram(
            "fairway_metrics_query_seconds",
            "Duration of one query to a metrics provider",
            ["provider"],
            registry=self.registry,
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
        )
        self.notifications = self._counter("fairway_notifications", "Notifications by their fate", "channel", "result")
        self.decisions = self._counter("fairway_decisions", "Transitions by reason", "namespace", "model", "reason")
        self.rollouts = self._counter("fairway_rollouts", "Runs that ended", "namespace", "model", "outcome")
        self.rollout_seconds = Histogram(
            "fairway_rollout_seconds", "Duration of a run", ["outcome"], registry=self.registry, buckets=_MINUTES
        )

    def _counter(self, name: str, words: str, *labels: str) -> Counter:
        return Counter(name, words, labels, registry=self.registry)

    def api_call(self, method: str, status: int) -> None:
        """Count one request to the API server; status 0 is none."""
        self.requests.labels(method=method, status=str(status)).inc()

    def asked(self, provider: str, seconds: float, ok: bool) -> None:  # noqa: FBT001  a callback's form
        """Count one query to a metrics provider."""
        self.queries.labels(provider=provider, result="ok" if ok else "error").inc()
        self.query_seconds.labels(provider=provider).observe(seconds)

    def notified(self, channel: str, result: str) -> None:
        """Count one notification: sent, failed or dropped."""
        self.notifications.labels(channel=channel, result=result).inc()

    def passed(self, seconds: float, ok: bool) -> None:  # noqa: FBT001  a callback's form
        """Count one pass."""
        self.passes.labels(result="ok" if ok else "error").observe(seconds)

    def forget(self, key: Key) -> None:
        """Remove the series of a ModelDeployment that is gone."""
        self.fleet.forget(key)
        for counter in (self.decisions, self.rollouts):
            counter.remove_by_labels({"namespace": key[0], "model": key[1]})

    def decided(self, key: Key, s: Situation, decision: Decision) -> None:
        """Show a decision."""
        where = {"namespace": key[0], "model": key[1]}
        for event in decision.events:
            self.decisions.labels(**where, reason=event.reason).inc()
        before = {(entry.run, entry.outcome) for entry in s.status.history}
        for entry in decision.status.history:
            if (entry.run, entry.outcome) not in before:
                self.rollouts.labels(**where, outcome=entry.outcome).inc()
                self.rollout_seconds.labels(outcome=entry.outcome).observe(entry.ended_at - entry.started_at)
        self.fleet.show(key, s, decision.status)

    def stuck(self, key: Key, status: Status, event: Event | None) -> None:
        """Show a spec that no decision can be made from; ``event`` is what was told about it, if it is news."""
        if event:
            self.decisions.labels(namespace=key[0], model=key[1], reason=event.reason).inc()
        self.fleet.hold(key, status)


async def serve(port: int, metrics: Metrics, ready: Callable[[], bool]) -> web.AppRunner:
    """Serve /metrics, /healthz and /readyz; return the runner to be cleaned up."""

    async def show_metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(metrics.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(_: web.Request) -> web.Response:
        fine = ready()
        return web.Response(text="ok\n" if fine else "starting\n", status=200 if fine else 503)

    app = web.Application()
    app.add_routes([web.get("/metrics", show_metrics), web.get("/healthz", healthz), web.get("/readyz", readyz)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, port=port).start()
    return runner
