"""Notifications by webhook: queued beside the pass, tried again with patience, and dropped rather than waited for."""

import asyncio
import base64
import binascii
import hashlib
import hmac
import logging
import random
import secrets
import ssl
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

from fairway.adapters.notify_forms import FORMS, Form, Notice
from fairway.core.pods import one_line
from fairway.ports import Manifest

log = logging.getLogger(__name__)

MOST_WAITING = 200
MOST_TEXT = 1000
TRIES = 5
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
CONNECT_TIMEOUT, READ_TIMEOUT, DEADLINE = 2.0, 5.0, 10.0
"""Seconds; the last one is for a whole attempt: an endpoint that trickles must not hold the others' queue."""
AGAIN = {408, 425, 429, 500, 502, 503, 504}
NO_ANSWER = 0


@dataclass(frozen=True, slots=True)
class Channel:
    """One receiver. No events or no namespaces mean all of them."""

    name: str
    url: str | None = None
    url_file: Path | None = None
    """Holds the address where that is a secret, as with Slack; read for each attempt, since it is rotated."""
    form: Form = "CloudEvents"
    signing_key_file: Path | None = None
    ca_file: str | None = None
    events: frozenset[str] = frozenset()
    namespaces: frozenset[str] = frozenset()

    def wants(self, notice: Notice) -> bool:
        """Whether this receiver asked for it."""
        named = not self.events or notice.reason in self.events
        return named and (not self.namespaces or notice.namespace in self.namespaces)


class Notifier:
    """Implements the Recorder port over HTTP: one bounded queue and one writer for each channel.

    Never raises, never blocks, and never says an address or a key: Slack's addresses are secrets.
    """

    def __init__(
        self,
        channels: Sequence[Channel],
        *,
        counted: Callable[[str, str], None] = lambda _channel, _result: None,
        now: Callable[[], float] = time.time,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """``counted`` hears of the fate of every notification: sent, failed or dropped.

        Raises ValueError for a channel whose certificates cannot be read.
        """
        self._now = now
        self._senders = [_Sender(channel, counted, now, pause) for channel in channels]

    def event(self, owner: Manifest, *, type_: str, reason: str, message: str) -> None:
        """Queue one notification for every channel that wants it; of too many the oldest is dropped."""
        meta = owner["metadata"]
        notice = Notice(
            id=secrets.token_hex(16),
            at=self._now(),
            namespace=meta["namespace"],
            name=meta["name"],
            uid=meta["uid"],
            reason=reason,
            warning=type_ == "Warning",
            message=one_line(message, MOST_TEXT),
            status=owner.get("status") or {},
        )
        for sender in self._senders:
            sender.take(notice)

    async def write(self) -> None:
        """Send what is queued until cancelled."""
        async with asyncio.TaskGroup() as group:
            for sender in self._senders:
                group.create_task(sender.write())

    async def drain(self, seconds: float) -> None:
        """Give what waits a moment before the process ends, then close the connections."""
        try:
            async with asyncio.timeout(seconds):
                await asyncio.gather(*(sender.empty() for sender in self._senders))
        except TimeoutError:
            log.warning("%d notifications were not sent", sum(sender.waiting for sender in self._senders))
        for sender in self._senders:
            await sender.close()


class _Sender:
    """The queue and the connection of one channel."""

    def __init__(
        self,
        channel: Channel,
        counted: Callable[[str, str], None],
        now: Callable[[], float],
        pause: Callable[[float], Awaitable[None]],
    ) -> None:
        self._channel = channel
        self._counted = counted
        self._now = now
        self._pause = pause
        self._queue: deque[Notice] = deque()
        self._news = asyncio.Event()
        self._client = httpx.AsyncClient(
            verify=_trust(channel),
            timeout=httpx.Timeout(READ_TIMEOUT, connect=CONNECT_TIMEOUT),
            limits=httpx.Limits(max_connections=1),
            follow_redirects=False,
            trust_env=False,
        )

    @property
    def waiting(self) -> int:
        """Notifications that were not sent yet."""
        return len(self._queue)

    def take(self, notice: Notice) -> None:
        """Queue a notice if the channel wants it."""
        if not self._channel.wants(notice):
            return
        if len(self._queue) >= MOST_WAITING:
            self._queue.popleft()
            self._counted(self._channel.name, "dropped")
        self._queue.append(notice)
        self._news.set()

    async def write(self) -> None:
        """Send until cancelled."""
        while True:
            await self._news.wait()
            self._news.clear()
            await self.empty()

    async def empty(self) -> None:
        """Send all that waits now."""
        while self._queue:
            notice = self._queue.popleft()
            try:
                await self._send(notice)
            except asyncio.CancelledError:
                self._queue.appendleft(notice)  # with the same id: a receiver that has it knows it
                raise
            except Exception as error:  # noqa: BLE001  one notice must not end all of them; its words may hold secrets
                self._counted(self._channel.name, "failed")
                log.error("a notification failed: %s", type(error).__name__, extra={"channel": self._channel.name})  # noqa: TRY400

    async def close(self) -> None:
        """Close the connection."""
        await self._client.aclose()

    async def _send(self, notice: Notice) -> None:
        problem = ""
        for attempt in range(TRIES):
            status, problem, wait = await self._try(notice)
            if not problem:
                self._counted(self._channel.name, "sent")
                return
            if status not in AGAIN | {NO_ANSWER} or attempt == TRIES - 1:
                break
            pause = wait or FIRST_PAUSE * 2**attempt
            await self._pause(min(pause, LONGEST_PAUSE) * random.uniform(0.8, 1.2))  # noqa: S311
        self._counted(self._channel.name, "failed")
        about = {"namespace": notice.namespace, "model": notice.name, "channel": self._channel.name}
        log.warning("a notification was not taken: %s", problem, extra={**about, "reason": notice.reason})

    async def _try(self, notice: Notice) -> tuple[int, str, float | None]:
        """Make one attempt; return the HTTP status, what went wrong, and how long the receiver wants us to wait."""
        try:
            url, key = self._secrets()
            form = FORMS[self._channel.form]
            body = form.body(notice)
            headers = {"Content-Type": form.content_type, **_signature(key, notice.id, self._now(), body)}
            async with (
                asyncio.timeout(DEADLINE),
                self._client.stream("POST", url, content=body, headers=headers) as answer,
            ):
                # The answer's body is never read: nothing in it concerns us.
                return answer.status_code, _problem(answer.status_code), _retry_after(answer)
        except (TimeoutError, httpx.TimeoutException):
            return NO_ANSWER, "no answer in time", None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return NO_ANSWER, f"no connection ({type(error).__name__})", None
        except (OSError, ValueError) as error:
            return NO_ANSWER, f"its address or key cannot be read ({type(error).__name__})", None

    def _secrets(self) -> tuple[str, bytes | None]:
        channel = self._channel
        url = channel.url_file.read_text(encoding="utf-8").strip() if channel.url_file else channel.url or ""
        if not url.startswith(("https://", "http://")):
            raise ValueError(url)
        return url, _key(channel.signing_key_file) if channel.signing_key_file else None


def _trust(channel: Channel) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=channel.ca_file)
    except OSError:
        words = f"{channel.ca_file} cannot be read, or holds no certificates"
        raise ValueError(f"the notification {channel.name!r}: caFile: {words}") from None


def _problem(status: int) -> str:
    if httpx.codes.is_success(status):
        return ""
    return f"HTTP {status}" + (": redirects are not followed" if httpx.codes.is_redirect(status) else "")


def _retry_after(answer: httpx.Response) -> float | None:
    after = answer.headers.get("Retry-After", "")
    return float(after) if after.isdecimal() and after.isascii() and len(after) < 6 else None  # noqa: PLR2004


def _key(path: Path) -> bytes:
    """Read a signing key: ``whsec_`` and base64, as Standard Webhooks writes it, or else the bytes themselves."""
    raw = path.read_bytes().strip()
    if not raw:
        raise ValueError("empty key")
    if raw.startswith(b"whsec_"):
        try:
            return base64.b64decode(raw.removeprefix(b"whsec_"), validate=True)
        except binascii.Error:
            raise ValueError("not base64") from None
    return raw


def _signature(key: bytes | None, id_: str, now: float, body: bytes) -> dict[str, str]:
    """Return the headers of Standard Webhooks 1.0: HMAC-SHA256 over ``id.timestamp.body``.

    Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
    """
    headers = {"webhook-id": id_, "webhook-timestamp": str(int(now))}
    if key is None:
        return headers
    signed = hmac.new(key, f"{id_}.{int(now)}.".encode() + body, hashlib.sha256).digest()
    return {**headers, "webhook-signature": f"v1,{base64.b64encode(signed).decode()}"}
