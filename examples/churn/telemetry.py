"""Counting requests: an ASGI middleware and the registry behind /metrics."""

import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
# Probes and scrapes are no one's requests: counted, they would dilute every error rate.
UNCOUNTED = frozenset({"/healthz", "/readyz", "/metrics"})
# Labels come from these two closed sets, whatever a client sends: unbounded labels fill a Prometheus.
HANDLERS = frozenset({"/predict", "/stream"})
METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})

# The `_created` series double the size of a scrape and nothing here reads them.
prometheus_client.disable_created_metrics()


class Telemetry:
    """The request counter and histogram of one application, each application with its own registry."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._requests = Counter(
            "http_requests_total", "Answered requests.", ["method", "handler", "status"], registry=self.registry
        )
        self._seconds = Histogram(
            "http_request_duration_seconds",
            "From the request's first byte to the answer's last.",
            ["method", "handler"],
            buckets=BUCKETS,
            registry=self.registry,
        )
        # A series that starts at 1 hides its first request from every rate(): start those that matter at 0.
        for status in (200, 422, 500, 503):
            self._requests.labels("POST", "/predict", str(status))
        self._requests.labels("GET", "/stream", "200")
        self._seconds.labels("POST", "/predict")

    def count(self, *, method: str, path: str, status: int, seconds: float) -> None:
        """Count one answered request."""
        handler = path if path in HANDLERS else "other"
        method = method if method in METHODS else "other"
        self._requests.labels(method, handler, str(status)).inc()
        self._seconds.labels(method, handler).observe(seconds)

    def expose(self, accept: str) -> tuple[bytes, str]:
        """Return the body and the content type that the scraper's Accept header asks for."""
        encode, content_type = prometheus_client.exposition.choose_encoder(accept)
        return encode(self.registry), content_type


class CountRequests:
    """Counts every answer but those of probes and scrapes. Pure ASGI: BaseHTTPMiddleware costs a task a request."""

    def __init__(self, app: App, telemetry: Telemetry, version: str) -> None:
        self._app = app
        self._telemetry = telemetry
        self._header = (b"x-model-version", version.encode())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; an answer that never started is counted only when it failed by an exception."""
        if scope["type"] != "http" or scope["path"] in UNCOUNTED:
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 0

        async def remember(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                # Here rather than in the handler, so that 422, 405 and 503 carry it, too.
                message["headers"] = [*message.get("headers", ()), self._header]
            await send(message)

        try:
            await self._app(scope, receive, remember)
        except Exception:
            status = status or 500  # what the outermost layer will answer
            raise
        finally:
            if status:
                self._telemetry.count(
                    method=scope["method"], path=scope["path"], status=status, seconds=time.perf_counter() - started
                )
