"""What the process says about itself: metrics, probes, JSON logs."""

import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, get_args

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from fairway import __version__
from fairway.api.status import Phase, Status

_PLAIN = set(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
PHASES = get_args(Phase)


class Metrics:
    """Every metric of the operator, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
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
        self.requests = Counter(
            "fairway_api_requests_total", "Requests to the API server", ["method", "status"], registry=self.registry
        )
        self.decisions = Counter(
            "fairway_decisions_total", "Transitions by reason", ["namespace", "model", "reason"], registry=self.registry
        )
        self.phase = Gauge(
            "fairway_model_phase", "1 for the present phase", ["namespace", "model", "phase"], registry=self.registry
        )
        self.weight = Gauge(
            "fairway_model_weight", "Share of requests in percent", ["namespace", "model", "track"],
            registry=self.registry,
        )  # fmt: skip

    def api_call(self, method: str, status: int) -> None:
        """Count one request to the API server."""
        self.requests.labels(method=method, status=str(status)).inc()

    def passed(self, seconds: float, ok: bool) -> None:  # noqa: FBT001  a callback's form
        """Count one pass."""
        self.passes.labels(result="ok" if ok else "error").observe(seconds)

    def forget(self, namespace: str, model: str) -> None:
        """Remove the series of a ModelDeployment that is gone."""
        for metric in (self.decisions, self.phase, self.weight):
            metric.remove_by_labels({"namespace": namespace, "model": model})

    def decided(self, namespace: str, model: str, status: Status, reasons: tuple[str, ...]) -> None:
        """Show a decision."""
        for reason in reasons:
            self.decisions.labels(namespace=namespace, model=model, reason=reason).inc()
        for phase in PHASES:
            self.phase.labels(namespace=namespace, model=model, phase=phase).set(phase == status.phase)
        for track, value in (("stable", status.stable), ("candidate", status.candidate)):
            self.weight.labels(namespace=namespace, model=model, track=track).set(value.weight if value else 0)


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


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, message and whatever the caller added."""

    def format(self, record: logging.LogRecord) -> str:
        """Render one record."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line.update({key: value for key, value in record.__dict__.items() if key not in _PLAIN})
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


def log_to_stderr(level: str) -> None:
    """Log JSON lines for machines and people with jq."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for chatty in ("httpx", "httpcore", "kopf"):  # a line for every request says nothing to anyone
        logging.getLogger(chatty).setLevel(logging.WARNING)
