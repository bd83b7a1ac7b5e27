"""The API server over HTTP: a few verbs on plain dictionaries.

From the standard library alone, so that it starts fast (docs/adr/0012-a-small-client-for-the-plugin.md).
"""

import http.client
import json
import os
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urlencode, urlsplit

from fairway.cli.credentials import Credentials, as_file, drop, trust
from fairway.cli.errors import ApiError, CliError, UnreachableError
from fairway.cli.kubeconfig import Access
from fairway.cli.wire import CutError, GoneError, Tls, answering, lines_of

Manifest = dict[str, Any]
MERGE = "application/merge-patch+json"
APPLY = "application/apply-patch+yaml"
ACCEPT = "application/json, */*"
"""Logs are plain text."""
PAGE = 500
TRIES = 3
BUSY = (429, 503)
UNAUTHORIZED = 401
ERROR = 400


@dataclass(frozen=True, slots=True)
class Request:
    """One request; ``kind`` is the content type of its body."""

    method: str
    path: str
    query: Mapping[str, str]
    body: Any = None
    kind: str = "application/json"

    @property
    def payload(self) -> bytes | None:
        """The body as it is sent."""
        return None if self.body is None else json.dumps(self.body).encode()

    @property
    def where(self) -> str:
        """Path and query."""
        return self.path + (f"?{urlencode(self.query)}" if self.query else "")


class Client:
    """One user's way to one API server. Not for several threads at once: each takes its own with ``another``."""

    def __init__(
        self,
        access: Access,
        *,
        timeout: float | None = 30.0,
        interactive: bool = False,
        log: Callable[[str], None] = lambda _line: None,
        credentials: Credentials | None = None,
    ) -> None:
        """``timeout`` in seconds is for each answer, None for ever; ``log`` hears of every request."""
        if not access.server.startswith(("https://", "http://")):
            raise CliError(f"the kubeconfig's server {access.server!r} is not an address")
        self._access = access
        self._address = urlsplit(access.server)
        self._credentials = credentials or Credentials(access, interactive=interactive)
        self._timeout = timeout
        self._log = log
        self._connection: http.client.HTTPConnection | None = None

    @property
    def namespace(self) -> str:
        """The namespace that is meant when none is said."""
        return self._access.namespace

    def another(self) -> "Client":
        """Return a client of the same user for another thread; a credential plugin is not asked anew."""
        return Client(self._access, timeout=self._timeout, log=self._log, credentials=self._credentials)

    def get(self, path: str, **query: str) -> Manifest:
        """Read one object or one page."""
        return self._send(Request("GET", path, query))

    def list(self, path: str, **query: str) -> list[Manifest]:
        """Read a collection, page by page."""
        found: list[Manifest] = []
        more = {"limit": str(PAGE), **query}
        while True:
            page = self.get(path, **more)
            found.extend(page.get("items") or ())
            token = page.get("metadata", {}).get("continue")
            if not token:
                return found
            more["continue"] = token

    def create(self, path: str, body: Manifest) -> Manifest:
        """Post one object; the plugin does so only with reviews, which store nothing."""
        return self._send(Request("POST", path, {}, body))

    def patch(self, path: str, body: Any, *, kind: str = MERGE, **query: str) -> Manifest:
        """Patch one object."""
        return self._send(Request("PATCH", path, {"fieldManager": "kubectl-fairway", **query}, body, kind))

    def lines(self, path: str, *, seconds: float | None = None, **query: str) -> Iterator[str]:
        """Stream an answer line by line. Raises CutError when it breaks off, or when nothing comes for ``seconds``."""
        request, connection, response = Request("GET", path, query), self._connect(self._timeout), None
        try:
            with answering(connection, self._url(request)):
                connection.connect()
                # Connecting is not waited for as long as an answer that may be silent for hours.
                connection.timeout = seconds
                connection.sock.settimeout(seconds)
                response = self._ask(connection, request)
                yield from lines_of(response)
        except UnreachableError as error:
            if response is None:
                raise
            raise CutError(f"the answer broke off: {error.message}") from error
        finally:
            connection.close()

    def watch(self, path: str, *, seconds: float, **query: str) -> Iterator[tuple[str, Manifest]]:
        """Yield (type, object) of every change for so many seconds, or until the connection breaks off."""
        asked = {"watch": "true", "timeoutSeconds": str(max(1, round(seconds))), **query}
        try:
            for line in self.lines(path, seconds=seconds + 5, **asked):
                event = json.loads(line)
                if event["type"] == "ERROR":
                    status = event["object"]
                    raise ApiError(status.get("code", 0), status.get("reason", ""), status.get("message", ""))
                yield event["type"], event["object"]
        except (CutError, json.JSONDecodeError):
            return  # the caller watches again; the last line may be half a one

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    # --- one request -----------------------------------------------------------------------------------------------

    def _send(self, request: Request) -> Manifest:
        for attempt in range(TRIES):
            last = attempt == TRIES - 1
            fresh = self._connection is None
            try:
                return self._once(request)
            except ApiError as error:
                if last or error.status not in BUSY:
                    raise
                time.sleep(0.3 * 2**attempt)
            except GoneError:
                # A connection that was kept open may have ended meanwhile: nothing was sent over it.
                if fresh or last:
                    raise
        raise AssertionError

    def _once(self, request: Request) -> Manifest:
        if self._connection is None:
            self._connection = self._connect(self._timeout)
        try:
            with answering(self._connection, self._url(request)):
                text = self._ask(self._connection, request).read()
        except ApiError:
            raise  # it was answered to the end
        except BaseException:
            self.close()  # half a request or answer may be on its way: no other can be sent over this connection
            raise
        try:
            return dict(json.loads(text))
        except ValueError:
            raise CliError(f"{self._access.server} did not answer as an API server does") from None

    def _ask(self, connection: http.client.HTTPConnection, request: Request) -> http.client.HTTPResponse:
        for attempt in (1, 2):
            started = time.monotonic()
            self._put(connection, request)
            response = connection.getresponse()
            took = (time.monotonic() - started) * 1000
            self._log(f"{request.method} {self._url(request)} {response.status} {took:.0f} ms")
            if response.status < ERROR:
                return response
            text = response.read()
            if response.status == UNAUTHORIZED and attempt == 1 and self._credentials.renewable:
                self._credentials.forget()
                continue
            raise _refusal(response.status, text)
        raise AssertionError

    def _put(self, connection: http.client.HTTPConnection, request: Request) -> None:
        payload = request.payload
        connection.putrequest(request.method, self._address.path.rstrip("/") + request.where, skip_accept_encoding=True)
        headers = {"Accept": ACCEPT, "User-Agent": "kubectl-fairway", **self._credentials.headers()}
        if payload is not None:
            headers |= {"Content-Type": request.kind, "Content-Length": str(len(payload))}
        for name, value in [*headers.items(), *self._credentials.groups()]:
            connection.putheader(name, value)
        connection.endheaders(payload)

    def _url(self, request: Request) -> str:
        return f"{self._access.server.rstrip('/')}{request.where}"

    # --- the connection ---------------------------------------------------------------------------------------------

    def _connect(self, timeout: float | None) -> http.client.HTTPConnection:
        address, proxy = self._address, self._proxy()
        host, port = address.hostname or "", address.port or (443 if address.scheme == "https" else 80)
        if address.scheme == "http":
            return http.client.HTTPConnection(host, port, timeout=timeout)
        name = self._access.cluster.get("tls-server-name") or host
        reached = (proxy.hostname or "", proxy.port or 80) if proxy else (host, port)
        connection = Tls(*reached, context=self._context(), timeout=timeout)
        connection.server_name = name
        if proxy:
            connection.set_tunnel(host, port)
        return connection

    def _context(self) -> ssl.SSLContext:
        cluster = self._access.cluster
        context = ssl.create_default_context(cadata=trust(cluster))
        # Clusters' own authorities often lack what newer Pythons insist on; kubectl does not.
        context.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)
        if cluster.get("insecure-skip-tls-verify"):
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        pair = self._credentials.certificate()
        if pair:
            files = [as_file(content) for content in pair]
            try:
                context.load_cert_chain(*files)
            except (ssl.SSLError, OSError) as error:
                raise CliError(f"the client certificate cannot be used: {error}") from None
            finally:
                for name in files:
                    drop(name)
        return context

    def _proxy(self) -> SplitResult | None:
        """Return the proxy of the kubeconfig, else that of the environment."""
        asked = self._access.cluster.get("proxy-url")
        if not asked and any(name.lower() == "https_proxy" for name in os.environ):
            from urllib.request import getproxies, proxy_bypass  # noqa: PLC0415  rarely needed

            host = self._address.hostname or ""
            asked = None if proxy_bypass(host) else getproxies().get("https")
        if not asked:
            return None
        proxy = urlsplit(str(asked))
        if proxy.scheme not in ("http", ""):
            raise CliError(f"the proxy {asked} is not an http:// proxy: others are not supported")
        return proxy


def _refusal(status: int, text: bytes) -> ApiError:
    try:
        said = json.loads(text)
        return ApiError(status, said.get("reason", ""), " ".join(str(said.get("message", "")).split()))
    except (ValueError, AttributeError):
        return ApiError(status, "", f"the API server answered {status}")
