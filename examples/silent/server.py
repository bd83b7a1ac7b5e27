"""A model server that measures nothing: a weighted sum that fails on a negative first feature, or if it is told to."""

import json
import os
import signal
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

WEIGHTS = (0.5, -0.25)
PORT = 8080


class Handler(BaseHTTPRequestHandler):
    """``POST /predict`` takes rows of two features; ``GET /healthz`` is for probes."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer probes."""
        self._answer(HTTPStatus.OK if self.path == "/healthz" else HTTPStatus.NOT_FOUND, {})

    def do_POST(self) -> None:
        """Score each row; fail as a broken model would."""
        rows = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))))
        if os.environ.get("MODEL_BROKEN") or rows[0][0] < 0:
            self._answer(HTTPStatus.INTERNAL_SERVER_ERROR, {"error": "no weights for this"})
            return
        self._answer(HTTPStatus.OK, [sum(w * x for w, x in zip(WEIGHTS, row, strict=True)) for row in rows])

    def _answer(self, status: HTTPStatus, content: object) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing: the gateway logs."""


if __name__ == "__main__":
    server = ThreadingHTTPServer(("", PORT), Handler)
    # Not from the signal's own thread: shutdown waits for the loop that it would interrupt.
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    server.serve_forever()
