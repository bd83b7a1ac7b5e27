"""Stands in for examples/churn where hundreds of pods are started and few are asked: it starts in a tenth of the time.

It answers, fails and is measured like the example, by the same switches, as far as those tests need them. It does not
wait for requests in flight when it ends: tests that count losses run the example.
"""

import json
import os
import random
import signal
import sys
import threading
import time
from collections import Counter
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

VERSION = os.environ.get("MODEL_VERSION", "0.0.0")
ERROR_SHARE = float(os.environ.get("FAULT_ERROR_SHARE", "0"))
LOAD_SECONDS = float(os.environ.get("LOAD_SECONDS", "0"))
CRASH_AT_START = os.environ.get("FAULT_CRASH") == "start"
PORT = int(os.environ.get("PORT", "8080"))
BUCKETS = ("0.005", "0.01", "0.025", "0.05", "0.075", "0.1", "0.25", "0.5", "1.0", "2.5", "5.0", "10.0", "30.0", "60.0",
           "120.0")  # fmt: skip


class Telemetry:
    """Counts the predictions: status -> requests, and how long each took."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests = Counter({"200": 0, "500": 0, "503": 0})
        self._seconds: list[float] = []

    def count(self, status: int, seconds: float) -> None:
        """Count one answered prediction."""
        with self._lock:
            self._requests[str(status)] += 1
            self._seconds.append(seconds)

    def expose(self) -> str:
        """Write everything in Prometheus' text format."""
        with self._lock:
            requests, seconds = dict(self._requests), list(self._seconds)
        name, labels = "http_request_duration_seconds", 'handler="/predict",method="POST"'
        within = [(edge, sum(each <= float(edge) for each in seconds)) for edge in BUCKETS]
        return "\n".join(
            [
                "# TYPE http_requests_total counter",
                *(f'http_requests_total{{{labels},status="{status}"}} {n}' for status, n in requests.items()),
                f"# TYPE {name} histogram",
                *(f'{name}_bucket{{{labels},le="{edge}"}} {n}' for edge, n in [*within, ("+Inf", len(seconds))]),
                f"{name}_count{{{labels}}} {len(seconds)}",
                f"{name}_sum{{{labels}}} {sum(seconds)}",
                "",
            ]
        )


class Handler(BaseHTTPRequestHandler):
    """``POST /predict``; ``GET /healthz``, ``/readyz`` and ``/metrics``, which nobody counts."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer in one piece: in two, the second would wait until the first is acknowledged
    telemetry = Telemetry()
    ready_at = time.monotonic() + LOAD_SECONDS

    def do_GET(self) -> None:
        """Answer probes and scrapes."""
        if self.path == "/metrics":
            self._answer(HTTPStatus.OK, self.telemetry.expose(), "text/plain; version=0.0.4")
        elif self.path == "/healthz" or (self.path == "/readyz" and self._ready()):
            self._answer(HTTPStatus.OK, "ready\n", "text/plain")
        else:
            self._answer(HTTPStatus.SERVICE_UNAVAILABLE, "loading\n", "text/plain")

    def do_POST(self) -> None:
        """Predict, or fail as told."""
        started = time.perf_counter()
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        status, answer = self._predict(body)
        self._answer(status, json.dumps(answer), "application/json")
        self.telemetry.count(status, time.perf_counter() - started)

    def _predict(self, body: bytes) -> tuple[HTTPStatus, object]:
        if not self._ready():
            return HTTPStatus.SERVICE_UNAVAILABLE, {"detail": "the model is loading"}
        if random.random() < ERROR_SHARE:
            return HTTPStatus.INTERNAL_SERVER_ERROR, {"detail": "injected failure"}
        return HTTPStatus.OK, {"probability": min(1.0, sum(json.loads(body).values()) / 1e4), "version": VERSION}

    def _ready(self) -> bool:
        return time.monotonic() >= self.ready_at

    def _answer(self, status: HTTPStatus, text: str, content_type: str) -> None:
        body = text.encode()
        self.send_response(status)
        for name, value in (
            ("Content-Type", content_type),
            ("Content-Length", len(body)),
            ("x-model-version", VERSION),
        ):
            self.send_header(name, str(value))
        if status == HTTPStatus.INTERNAL_SERVER_ERROR:
            self.send_header("x-fault", "injected")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing: the gateway logs."""


if __name__ == "__main__":
    if CRASH_AT_START:
        sys.exit("FAULT_CRASH: exit at start")
    # The first process of a container has no default handlers: without this one it would not end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    ThreadingHTTPServer(("", PORT), Handler).serve_forever()
