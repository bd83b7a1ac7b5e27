"""A scriptable HTTPS server on the loopback, with a certificate of its own."""

import ssl
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BODY = bytes(range(256)) * 1000


def make_certificate(folder, address="127.0.0.1"):
    """A self-signed certificate for an address and localhost: (certificate, key)."""
    key, crt = folder / "key", folder / "crt"
    kind = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    names = ["-days", "2", "-subj", "/CN=test", "-addext", f"subjectAltName=IP:{address},DNS:localhost"]
    command = ["openssl", *kind, *names, "-keyout", str(key), "-out", str(crt)]
    subprocess.run(command, check=True, capture_output=True)
    return crt, key


class Server:
    """HTTPS on the loopback. ``script`` holds one answer for each request; the last one stays."""

    def __init__(self, authority):
        self.script = [answer(BODY)]
        self.asked: list[tuple[str, dict[str, str]]] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                server.asked.append((self.path, {k.lower(): v for k, v in self.headers.items()}))
                reply = server.script.pop(0) if len(server.script) > 1 else server.script[0]
                reply(self)
                self.close_connection = True

            def log_message(self, *_):
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.handle_error = lambda *_: None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*authority)
        self._http.socket = context.wrap_socket(self._http.socket, server_side=True)
        self.port = self._http.server_address[1]
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,))
        self._thread.start()

    def url(self, path="/model.bin", host="127.0.0.1"):
        return f"https://{host}:{self.port}{path}"

    def close(self):
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


def answer(body=b"", status=200, *, length=None, **headers):
    def reply(handler):
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body) if length is None else length))
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return reply
