"""A scriptable API server on loopback: it answers as it is told and remembers what it was asked."""

import json
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Self

from aiohttp import web

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Call:
    """One request as it came over the wire."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


@dataclass
class FakeApiServer:
    """Answers from a script, one answer a request; afterwards always with the last one."""

    script: list[Answer] = field(default_factory=list)
    tls: ssl.SSLContext | None = None
    calls: list[Call] = field(default_factory=list)
    url: str = ""
    port: int = 0

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, ssl_context=self.tls).start()
        self.port = self._runner.addresses[0][1]
        self.url = f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    def answers(self, *script: Answer) -> None:
        """What comes next."""
        self.script = list(script)

    @property
    def call(self) -> Call:
        """The only request."""
        (only,) = self.calls
        return only

    @property
    def seen(self) -> list[tuple[str, str]]:
        """Method and path of every request."""
        return [(call.method, call.path) for call in self.calls]

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        text = await request.text()
        body = json.loads(text) if text else None
        self.calls.append(Call(request.method, request.path, dict(request.query), dict(request.headers), body))
        answer = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        return await answer(request)


def stored(**more: Any) -> Answer:
    """The object of the request, as the API server would store it."""

    async def answer(request: web.Request) -> web.StreamResponse:
        sent = json.loads(await request.text() or "{}")
        return web.json_response({**sent, **more} if isinstance(sent, dict) else more)

    return answer


def document(content: Any, *, status: int = 200, **headers: str) -> Answer:
    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.json_response(content, status=status, headers=headers)

    return answer


def failure(status: int, reason: str = "Because", message: str = "in words", **headers: str) -> Answer:
    """A metav1.Status, as the API server explains a refusal."""
    content = {"kind": "Status", "apiVersion": "v1", "code": status, "reason": reason, "message": message}
    return document(content, status=status, **headers)


def html(status: int) -> Answer:
    """What a load balancer answers in the API server's place."""

    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.Response(text="<html>oops</html>", status=status, content_type="text/html")

    return answer


async def truncated(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b'{"kind":')
    assert request.transport is not None
    request.transport.close()
    return response


async def cut_off(request: web.Request) -> web.StreamResponse:
    """The connection ends before any answer."""
    assert request.transport is not None
    request.transport.close()
    return web.Response()
