"""Stands between the operator and Prometheus and answers as a broken one would; needs nothing but Python.

The fault of the moment is a word in a file, so that a test can change it in a running pod. Usage:
``fault_proxy.py PROMETHEUS_URL FAULT_FILE [ADDRESS [PORT]]``
"""

import contextlib
import json
import sys
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

GIBIBYTE = 1 << 30
CHUNK = b" " * 65536
SLOW, HANG = 3.0, 30.0


class Proxy(BaseHTTPRequestHandler):
    """Forwards queries, unless the fault says otherwise."""

    upstream = ""
    fault_file = Path()

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            fault = self.fault_file.read_text(encoding="utf-8").strip()
        except OSError:
            fault = "none"
        answer = getattr(self, f"answer_{fault}", None)
        if answer is not None:
            answer()
        else:
            self.send_json(self.changed(fault, self.forward(body)))

    def forward(self, body):
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        request = urllib.request.Request(self.upstream + self.path, data=body, headers=kind)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def changed(self, fault, answer):
        """Return the true answer, or what a lying provider makes of it."""
        data = answer["data"]
        if fault == "slow":
            time.sleep(SLOW)
        elif fault == "warning":
            answer["warnings"] = ["some stores did not answer"]
        elif fault == "empty":
            data["result"] = []
        elif fault == "many":
            data["result"] = [{"metric": {"pod": f"p{i}"}, "values": [[1, "1"]]} for i in range(40_000)]
        elif fault in ("nan", "inf"):
            value = {"nan": "NaN", "inf": "+Inf"}[fault]
            for series in data["result"]:
                series["values"] = [[at, value] for at, _ in series.get("values", [])]
        return answer

    def send_json(self, content):
        self.send_text(200, json.dumps(content), "application/json")

    def send_text(self, status, text, kind="text/plain", **headers):
        body = text.encode()
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        with contextlib.suppress(OSError):  # the reader may have had enough
            self.wfile.write(body)

    def answer_refused(self):
        self.close_connection = True
        self.connection.close()

    def answer_hangs(self):
        time.sleep(HANG)
        self.close_connection = True

    def answer_500(self):
        self.send_text(500, "broken")

    def answer_401(self):
        self.send_text(401, "who are you?")

    def answer_html(self):
        self.send_text(200, "<html>please log in</html>", "text/html")

    def answer_redirect(self):
        self.send_text(302, "", Location="http://169.254.169.254/")

    def answer_huge(self):
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(GIBIBYTE))
        self.end_headers()
        self.close_connection = True
        with contextlib.suppress(OSError):
            for _ in range(GIBIBYTE // len(CHUNK)):
                self.wfile.write(CHUNK)

    def log_message(self, *_):
        pass


def serve(upstream, fault_file, address="0.0.0.0", port=9090):
    """Return a server that is not running yet; port 0 takes any."""
    handler = type("Bound", (Proxy,), {"upstream": upstream.rstrip("/"), "fault_file": Path(fault_file)})
    server = ThreadingHTTPServer((address, int(port)), handler)
    server.daemon_threads = True
    return server


if __name__ == "__main__":
    serve(*sys.argv[1:]).serve_forever()
