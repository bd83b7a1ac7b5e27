"""Takes webhooks as a bad day would: each one is refused at first, and taken when it comes again. Needs only Python.

GET returns a JSON list of all that came, in its order: ``{"headers", "body", "status"}``. Usage:
``webhook_receiver.py ADDRESS PORT``
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Receiver(BaseHTTPRequestHandler):
    """Knows a notification again by its id."""

    came: list[dict[str, object]] = []  # noqa: RUF012  one receiver in a process

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        # Header names have no case; HTTP libraries write them as they like.
        headers = {name.lower(): value for name, value in self.headers.items()}
        known = {each["headers"]["webhook-id"] for each in self.came}
        status = 204 if headers["webhook-id"] in known else 503
        self.came.append({"headers": headers, "body": body, "status": status})
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self):
        body = json.dumps(self.came).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), Receiver).serve_forever()
