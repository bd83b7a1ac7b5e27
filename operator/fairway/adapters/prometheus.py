"""The metrics provider: a Prometheus, or anything that speaks its HTTP API."""

import asyncio
import base64
import json
import math
import operator
import ssl
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import httpx

from fairway.core.query import matcher_text
from fairway.core.verdict import SeriesMatcher
from fairway.ports import MetricsError, QueryRefusedError, RawSeries, Selector, TooLargeError

MAX_BODY = 1 << 20
"""Bytes of one answer."""
CONNECT_TIMEOUT = 2.0
READ_TIMEOUT = 5.0
"""Seconds until the whole answer is there: a provider that trickles must not hold a poll."""
MAX_CONNECTIONS = 4
_KINDS = ("scalar", "vector", "matrix", "string")
_OF_THE_QUERY = (httpx.codes.BAD_REQUEST, httpx.codes.UNPROCESSABLE_ENTITY)
_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True)
class Credentials:
    """How we say who we are. Files are read again for each query, because what is in them is rotated."""

    bearer_token_file: str | None = None
    username: str | None = None
    password_file: str | None = None

    def header(self) -> dict[str, str]:
        """Return the Authorization header, if there is one. Raises MetricsError without its file, or for nonsense."""
        if self.bearer_token_file:
            token = _secret(self.bearer_token_file, "bearer token")
            if not token.isascii():
                raise MetricsError("the bearer token file holds more than plain ASCII text")
            return {"Authorization": f"Bearer {token}"}
        if self.username is not None and self.password_file:
            pair = f"{self.username}:{_secret(self.password_file, 'password')}".encode()
            return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
        return {}


class Prometheus:
    """MetricsSource over HTTP. The endpoint is the admin's; only escaped matchers and checked PromQL come from models.

    No redirects and no proxies from the environment: no query leaves the configured endpoint. Errors hold stable words,
    never the answer or the address.
    """

    def __init__(  # noqa: PLR0913  the admin's settings of one endpoint
        self,
        url: str,
        *,
        credentials: Credentials | None = None,
        ca_file: str | None = None,
        headers: Mapping[str, str] | None = None,
        read_timeout: float = READ_TIMEOUT,
        asked: Callable[[float, bool], None] = lambda _seconds, _ok: None,
    ) -> None:
        """``asked`` hears of every query: how many seconds it took, and whether its answer is usable."""
        self._credentials = credentials or Credentials()
        self._deadline = CONNECT_TIMEOUT + read_timeout
        self._read_timeout = read_timeout
        self._asked = asked
        self._turns = asyncio.Semaphore(MAX_CONNECTIONS)
        # A model owner's slow queries must not keep the counts of all others waiting.
        self._turns_of_queries = asyncio.Semaphore(MAX_CONNECTIONS // 2)
        self._client = httpx.AsyncClient(
            base_url=url,
            # Compressed answers are refused: a small one may hide one that does not fit into memory.
            headers={"Accept": "application/json", "Accept-Encoding": "identity", **(headers or {})},
            verify=_trust(ca_file),
            timeout=httpx.Timeout(read_timeout, connect=CONNECT_TIMEOUT),
            limits=httpx.Limits(max_connections=MAX_CONNECTIONS),
            follow_redirects=False,
            trust_env=False,
        )

    async def raw(self, selectors: Sequence[Selector], window: float) -> list[RawSeries]:
        """Return the raw samples of the last ``window`` seconds, with one query for all selectors of equal matchers.

        PromQL cannot join ranges with ``or``, but one selector can hold several metric names.
        """
        names: dict[tuple[SeriesMatcher, ...], list[str]] = {}
        for selector in selectors:
            names.setdefault(selector.matchers, []).append(selector.metric)
        queries = [f"{_selector(metrics, matchers)}[{math.ceil(window)}s]" for matchers, metrics in names.items()]
        answers = await asyncio.gather(*(self._ask(query, _samples) for query in queries))
        return list(chain.from_iterable(answers))

    async def query(self, promql: str) -> list[float]:
        """Return the numbers that a query gives now, one for each series. Queries get at most half of the turns."""
        async with self._turns_of_queries:
            return await self._ask(promql, _numbers)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _ask(self, promql: str, read: Callable[[str, Any], _Answer]) -> _Answer:
        """Send one query and read its result by type. The time to wait for a turn does not count."""
        async with self._turns:
            started, usable = time.perf_counter(), False
            try:
                answer = read(*_parse(await self._send(promql)))
                usable = True
                return answer
            finally:
                self._asked(time.perf_counter() - started, usable)

    async def _send(self, promql: str) -> bytes:
        form = {"query": promql, "timeout": f"{math.ceil(self._read_timeout)}s"}
        try:
            async with asyncio.timeout(self._deadline):
                headers = self._credentials.header()
                async with self._client.stream("POST", "api/v1/query", data=form, headers=headers) as response:
                    _check(response)
                    return await _body(response)
        except (TimeoutError, httpx.TimeoutException):
            raise MetricsError(f"no answer within {self._read_timeout:g}s") from None
        except httpx.HTTPError as error:
            raise MetricsError(f"no connection ({type(error).__name__})") from None


def _trust(ca_file: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError:
        raise ValueError(f"caFile: {ca_file} cannot be read, or holds no certificates") from None


def _secret(path: str, what: str) -> str:
    try:
        secret = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        raise MetricsError(f"the {what} file cannot be read") from None
    if not secret.isprintable():
        raise MetricsError(f"the {what} file holds more than one line")
    return secret


def _selector(metrics: Iterable[str], matchers: Iterable[SeriesMatcher]) -> str:
    names = sorted(set(metrics))
    inside = [matcher_text(matcher) for matcher in matchers]
    if len(names) == 1:
        return f"{names[0]}{{{','.join(inside)}}}"
    # Metric names need no escaping: the API allows word characters and colons only.
    return f'{{__name__=~"{"|".join(names)}",{",".join(inside)}}}'


def _check(response: httpx.Response) -> None:
    if response.is_redirect:
        raise MetricsError(f"HTTP {response.status_code}: redirects are not followed")
    if response.status_code in _OF_THE_QUERY:
        raise QueryRefusedError(f"HTTP {response.status_code}: the provider refuses the query")
    if response.status_code != httpx.codes.OK:
        raise MetricsError(f"HTTP {response.status_code}")
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind != "application/json" or response.headers.get("Content-Encoding", "identity") != "identity":
        raise MetricsError("the answer is not plain JSON")


async def _body(response: httpx.Response) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > MAX_BODY:
            raise TooLargeError("the answer is larger than 1 MiB")
    return bytes(body)


def _parse(body: bytes) -> tuple[str, Any]:
    try:
        answer = json.loads(body, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise MetricsError("the answer is not plain JSON") from None
    if not isinstance(answer, dict) or answer.get("status") != "success":
        raise MetricsError("the query failed")
    if answer.get("warnings"):
        raise MetricsError("the answer is partial: the provider sent a warning")
    try:
        return str(answer["data"]["resultType"]), answer["data"]["result"]
    except (KeyError, TypeError):
        raise MetricsError("the answer has an unexpected form") from None


def _samples(kind: str, result: Any) -> list[RawSeries]:
    if kind != "matrix":
        raise MetricsError("the answer is not a list of raw samples")
    try:
        return [_series(item) for item in result]
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        raise MetricsError("the answer has an unexpected form") from None


def _numbers(kind: str, result: Any) -> list[float]:
    try:
        if kind == "scalar":
            return [float(result[1])]
        if kind == "vector":
            return [float(item["value"][1]) for item in result]
    except (KeyError, TypeError, ValueError, IndexError, OverflowError):
        raise QueryRefusedError("the query gives histograms or an unexpected form") from None
    raise QueryRefusedError(f"the query gives no numbers but a {kind if kind in _KINDS else 'stranger'}")


def _series(item: dict[str, Any]) -> RawSeries:
    """Read one series; native histograms have no ``values`` and come out empty."""
    labels = item["metric"]
    labels = dict(zip(labels, map(str, labels.values()), strict=True))
    if not item.get("values"):
        return RawSeries(labels)
    times, values = zip(*item["values"], strict=True)
    # What rises from one finite number to another is finite all the way, as nothing is less than NaN. A TypeError for
    # what is no number, an OverflowError for what is too large.
    if not (math.isfinite(times[0]) and math.isfinite(times[-1]) and all(map(operator.lt, times, times[1:]))):
        raise ValueError("not times, or out of order")
    return RawSeries(labels, times, tuple(map(float, values)))


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)
