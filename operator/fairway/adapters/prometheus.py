"""The metrics provider: a Prometheus, or anything that speaks its HTTP API."""

import asyncio
import json
import math
import operator
import ssl
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NoReturn

import httpx

from fairway.core.verdict import SeriesMatcher
from fairway.ports import MetricsError, RawSeries, Selector, TooLargeError

MAX_BODY = 1 << 20
"""Bytes of one answer."""
CONNECT_TIMEOUT = 2.0
READ_TIMEOUT = 5.0
"""Seconds until the whole answer is there: a provider that trickles must not hold a poll."""
MAX_CONNECTIONS = 4


class Prometheus:
    """MetricsSource over HTTP. The endpoint is the admin's; only escaped matchers come from models.

    No redirects and no proxies from the environment: no query leaves the configured endpoint. Errors hold stable words,
    never the answer or the address.
    """

    def __init__(
        self,
        url: str,
        *,
        bearer_token_file: str | None = None,
        ca_file: str | None = None,
        headers: Mapping[str, str] | None = None,
        read_timeout: float = READ_TIMEOUT,
    ) -> None:
        self._token_file = Path(bearer_token_file) if bearer_token_file else None
        self._deadline = CONNECT_TIMEOUT + read_timeout
        self._read_timeout = read_timeout
        self._client = httpx.AsyncClient(
            base_url=url,
            # Compressed answers are refused: a small one may hide one that does not fit into memory.
            headers={"Accept": "application/json", "Accept-Encoding": "identity", **(headers or {})},
            verify=ssl.create_default_context(cafile=ca_file),
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
        answers = await asyncio.gather(*(self._query(query) for query in queries))
        return list(chain.from_iterable(answers))

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _query(self, query: str) -> list[RawSeries]:
        headers = self._authorization()
        form = {"query": query, "timeout": f"{math.ceil(self._read_timeout)}s"}
        try:
            async with (
                asyncio.timeout(self._deadline),
                self._client.stream("POST", "api/v1/query", data=form, headers=headers) as response,
            ):
                _check(response)
                body = await _body(response)
        except (TimeoutError, httpx.TimeoutException):
            raise MetricsError(f"no answer within {self._read_timeout:g}s") from None
        except httpx.HTTPError as error:
            raise MetricsError(f"no connection ({type(error).__name__})") from None
        return _parse(body)

    def _authorization(self) -> dict[str, str]:
        """Read the token again each time: it is rotated."""
        if self._token_file is None:
            return {}
        try:
            return {"Authorization": f"Bearer {self._token_file.read_text(encoding='utf-8').strip()}"}
        except (OSError, ValueError):
            raise MetricsError("the bearer token file cannot be read") from None


def _selector(metrics: Iterable[str], matchers: Iterable[SeriesMatcher]) -> str:
    names = sorted(set(metrics))
    inside = [f"{m.label}{m.op}{json.dumps(m.value, ensure_ascii=False)}" for m in matchers]
    if len(names) == 1:
        return f"{names[0]}{{{','.join(inside)}}}"
    # Metric names need no escaping: the API allows word characters and colons only.
    return f'{{__name__=~"{"|".join(names)}",{",".join(inside)}}}'


def _check(response: httpx.Response) -> None:
    if response.is_redirect:
        raise MetricsError(f"HTTP {response.status_code}: redirects are not followed")
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


def _parse(body: bytes) -> list[RawSeries]:
    try:
        answer = json.loads(body, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise MetricsError("the answer is not plain JSON") from None
    if not isinstance(answer, dict) or answer.get("status") != "success":
        raise MetricsError("the query failed")
    if answer.get("warnings"):
        raise MetricsError("the answer is partial: the provider sent a warning")
    try:
        data = answer["data"]
        if data["resultType"] != "matrix":
            raise MetricsError("the answer is not a list of raw samples")
        return [_series(item) for item in data["result"]]
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        raise MetricsError("the answer has an unexpected form") from None


def _series(item: dict[str, Any]) -> RawSeries:
    """Read one series; native histograms have no ``values`` and come out empty."""
    values = item.get("values", ())
    times = [at for at, _ in values]
    if not all(map(math.isfinite, times)):  # a TypeError for what is no number, an OverflowError for what is too large
        raise ValueError("not a time")
    if any(map(operator.le, times[1:], times)):
        raise ValueError("samples out of order")
    labels = {str(k): str(v) for k, v in item["metric"].items()}
    return RawSeries(labels, tuple(zip(times, [float(value) for _, value in values], strict=True)))


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)
