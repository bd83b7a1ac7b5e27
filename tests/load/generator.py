"""Send requests at planned times, whatever the answers do, and keep one sample of each.

Losses, neither hidden nor invented:

* Every request is a POST. aiohttp silently sends a GET again when a kept-alive connection turns out to be closed; that
  would hide a request that a real client (no retry of what may have been acted on, RFC 9110 9.2.2) loses. A POST it
  sends once, and every error surfaces here.
* Both ends may close an idle connection at any time, and a POST that crosses the server's close fails without anyone
  having done wrong. `IDLE` keeps us out of that race: we drop a connection that has been idle for longer than it, well
  before any server or gateway here would (uvicorn's default, the shortest, is 5 s). What is left, a connection closed
  within `IDLE` of its last answer, is a server or gateway that goes away under its clients: a real loss.
* A connection whose close has been seen while it was idle is not used (aiohttp looks before it takes one): no loss.
* An answer counts when it is whole: a 200 whose body breaks off is lost.
"""

import asyncio
import ipaddress
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace, TracebackType
from typing import Self
from urllib.parse import urlsplit

import aiohttp

from tests.load.result import Result, Sample

IDLE = 2.0
MOST_REQUESTS = 1_000_000
# Loopback, RFC 1918, RFC 6598 and unique local: where clusters live. Nothing here may ever load someone's site.
NETWORKS = tuple(
    ipaddress.ip_network(net)
    for net in ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "::1/128", "fc00::/7")
)
SAMPLE = Path(__file__).parents[2] / "examples" / "churn" / "sample.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to send. `rate` per second; `seconds` and `timeout` in seconds; raises ValueError for what cannot be run."""

    url: str
    rate: float
    seconds: float
    host: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = field(default_factory=SAMPLE.read_bytes)
    connections: int = 64
    in_flight: int = 2000
    timeout: float = 15.0

    def __post_init__(self) -> None:
        require_near(self.url)
        if not (self.rate > 0 and self.seconds > 0 and self.rate * self.seconds <= MOST_REQUESTS):
            raise ValueError(f"rate and seconds must be positive and make at most {MOST_REQUESTS} requests")
        if min(self.connections, self.in_flight, self.timeout) <= 0:
            raise ValueError("connections, in_flight and timeout must be positive")

    @property
    def total(self) -> int:
        """How many requests are planned."""
        return max(1, round(self.rate * self.seconds))


def require_near(url: str) -> None:
    """Raise ValueError unless the URL is plain HTTP to loopback or to a private address, given as such."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme != "http":
        raise ValueError(f"{url}: http://ADDRESS[:PORT]/PATH is needed")
    if host == "localhost" or host.endswith((".svc", ".svc.cluster.local")):
        return
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        raise ValueError(f"{url}: use an address, and --host for the name that the gateway routes by") from None
    if not any(address in network for network in NETWORKS):
        raise ValueError(f"{url}: only loopback and cluster addresses may be loaded")


class Load:
    """A running load: `async with Load(plan) as load: ...; await load.stop()`; leaving the block stops it, too."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._samples: list[Sample] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._sender: asyncio.Task[None] | None = None
        self._session: aiohttp.ClientSession | None = None
        self._unsent = 0
        self._cancelled = 0
        self._wall = 0.0  # epoch seconds of the plan's zero
        self._zero = 0.0  # the same moment on the monotonic clock

    async def __aenter__(self) -> Self:
        """Open the session and begin to send."""
        # The wall clock is read once: samples keep their distances when somebody sets the clock.
        self._wall, self._zero = time.time(), time.perf_counter()
        self._session = _session(self._plan)
        self._sender = asyncio.create_task(self._send_all(self._session))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop; after an error without waiting for the answers."""
        await self.stop(drain=kind is None)

    async def wait(self) -> Result:
        """Wait until the plan is done and every request has ended."""
        if self._sender:
            await asyncio.wait({self._sender})  # neither cancels it nor is hurt when stop() does
            if not self._sender.cancelled():
                self._sender.result()
        while self._tasks:
            await asyncio.wait(set(self._tasks))
        return self.result()

    async def stop(self, *, drain: bool = True) -> Result:
        """Send no more; `drain` waits for what is in flight (bounded by the timeout), else it is cancelled."""
        if self._sender:
            self._sender.cancel()
            await asyncio.gather(self._sender, return_exceptions=True)
        try:
            if drain and self._tasks:
                await asyncio.wait(set(self._tasks), timeout=self._plan.timeout + 1)
        finally:
            self._cancelled += len(self._tasks)
            for task in set(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            if self._session:
                await self._session.close()
        return self.result()

    def result(self) -> Result:
        """What has been seen so far; may be called at any time."""
        return Result(started=self._wall, samples=tuple(self._samples), unsent=self._unsent, cancelled=self._cancelled)

    async def _send_all(self, session: aiohttp.ClientSession) -> None:
        for number in range(self._plan.total):
            # Times come from the plan, not from the last request: a slow server or a late wake-up changes no rate.
            due = self._zero + number / self._plan.rate
            wait = due - time.perf_counter()
            if wait > 0:
                await asyncio.sleep(wait)
            elif number % 64 == 0:
                await asyncio.sleep(0)  # far behind: let the answers in, too
            if len(self._tasks) >= self._plan.in_flight:
                self._unsent += 1
                continue
            task = asyncio.create_task(self._send(session, due))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _send(self, session: aiohttp.ClientSession, due: float) -> None:
        sent = time.perf_counter()
        status, version, fault, server, error = None, "", "", "", ""
        used = SimpleNamespace(reused=False)
        try:
            async with session.post(
                self._plan.url, data=self._plan.body, allow_redirects=False, trace_request_ctx=used
            ) as answer:
                status = answer.status
                version = answer.headers.get("x-model-version", "")
                fault = answer.headers.get("x-fault", "")
                server = answer.headers.get("server", "")
                await answer.read()
        except Exception as problem:  # whatever went wrong, the request was sent and must be counted
            error = f"{type(problem).__name__}: {problem}".rstrip(": ")
        self._samples.append(
            Sample(
                at=self._wall + (sent - self._zero),
                lag=sent - due,
                latency=time.perf_counter() - sent,
                status=status,
                version=version,
                fault=fault,
                server=server,
                error=error,
                reused=used.reused,
            )
        )


async def run(plan: Plan) -> Result:
    """Run the whole plan; when cancelled, nothing is left behind."""
    async with Load(plan) as load:
        return await load.wait()


def _session(plan: Plan) -> aiohttp.ClientSession:
    headers = {"content-type": "application/json", **plan.headers}
    if plan.host:
        headers["host"] = plan.host
    tracing = aiohttp.TraceConfig()
    tracing.on_connection_reuseconn.append(_note_reuse)
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=plan.connections, keepalive_timeout=IDLE),
        timeout=aiohttp.ClientTimeout(total=plan.timeout),
        headers=headers,
        skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding"),
        cookie_jar=aiohttp.DummyCookieJar(),  # a sticky gateway must not pin the load to one version
        auto_decompress=False,
        trace_configs=[tracing],
        trust_env=False,  # never through a proxy
    )


async def _note_reuse(_: aiohttp.ClientSession, context: SimpleNamespace, __: object) -> None:
    context.trace_request_ctx.reused = True
