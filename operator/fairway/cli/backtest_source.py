"""A metrics provider's past, read once: what a replay asks comes from memory, up to the time that the replay has."""

import json
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
import urllib3
from prometheus_api_client import PrometheusConnect
from prometheus_api_client.exceptions import PrometheusApiClientException

from fairway.cli.errors import CliError
from fairway.core.verdict import SeriesMatcher
from fairway.ports import Clock, MetricsError, QueryRefusedError, RawSeries, Selector

CHUNK = 3600
"""Seconds of raw samples in one answer."""
TIMEOUT = 60


class RecordedError(CliError):
    """The provider's past cannot be read; the message says why."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a provider is, and what it wants to see first."""

    url: str
    ca_file: Path | None = None
    bearer_token_file: Path | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


class Recorded:
    """MetricsSource over recorded samples of ``[start, end]`` (epoch seconds); raises RecordedError.

    Raw samples, as the operator reads them: a range selector in an instant query, not a range query, whose steps would
    invent samples between two scrapes.
    """

    def __init__(self, address: Address, clock: Clock, start: float, end: float) -> None:
        self._clock = clock
        self._start, self._end = start, end
        self._client = PrometheusConnect(
            address.url.rstrip("/"),
            headers=_headers(address),
            retry=urllib3.Retry(0),
            session=_session(address),
            timeout=TIMEOUT,
            method="POST",
        )
        self._known: dict[Selector, list[RawSeries]] = {}

    async def raw(self, selectors: Sequence[Selector], window: float) -> list[RawSeries]:
        """Return the samples of the last ``window`` seconds, as the provider would have then."""
        now = self._clock.now()
        found = []
        for selector in selectors:
            if selector not in self._known:
                self._known[selector] = self._read(selector)
            for series in self._known[selector]:
                begin = bisect_left(series.times, now - window)
                end = bisect_right(series.times, now)
                if begin < end:
                    found.append(RawSeries(series.labels, series.times[begin:end], series.values[begin:end]))
        return found

    async def query(self, promql: str) -> list[float]:
        """Return the numbers that a query would have given then. Raises MetricsError, as the operator's source does."""
        try:
            answer: Any = self._client.custom_query(promql, params={"time": f"{self._clock.now():.3f}"})
            is_vector = all(isinstance(one, dict) for one in answer)
            return [float(one["value"][1]) for one in answer] if is_vector else [float(answer[1])]
        except PrometheusApiClientException as error:
            raise QueryRefusedError(str(error)[:200]) from None
        except (requests.RequestException, RecordedError) as error:
            raise MetricsError(f"{type(error).__name__}: {str(error)[:200]}") from None
        except (KeyError, TypeError, ValueError, IndexError, OverflowError):
            raise QueryRefusedError("the query gives no numbers") from None

    def _read(self, selector: Selector) -> list[RawSeries]:
        merged: dict[tuple[tuple[str, str], ...], dict[float, float]] = {}
        until = self._start
        while until < self._end:
            length = min(CHUNK, self._end - until)
            until += length
            # One second more: whether the first moment belongs to a range depends on the provider's version.
            query = f"{promql(selector)}[{round(length) + 1}s]"
            for labels, samples in self._ask(query, until):
                merged.setdefault(tuple(sorted(labels.items())), {}).update(samples)
        return [RawSeries.of(dict(labels), sorted(samples.items())) for labels, samples in merged.items()]

    def _ask(self, query: str, at: float) -> list[tuple[dict[str, str], list[tuple[float, float]]]]:
        try:
            answer: Any = self._client.custom_query(query, params={"time": f"{at:.3f}"})
            return [
                (dict(one["metric"]), [(float(time), float(value)) for time, value in one.get("values", ())])
                for one in answer
            ]
        except (requests.RequestException, PrometheusApiClientException) as error:
            raise RecordedError(f"the metrics provider: {type(error).__name__}: {str(error)[:200]}") from None
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
            raise RecordedError("the metrics provider: the answer is no list of raw samples") from None


def promql(selector: Selector) -> str:
    """Write a selector; JSON's strings are PromQL's."""
    inside = ",".join(f"{m.label}{m.op}{_text(m)}" for m in selector.matchers)
    return f"{selector.metric}{{{inside}}}"


def _text(matcher: SeriesMatcher) -> str:
    return json.dumps(matcher.value, ensure_ascii=False)


def _headers(address: Address) -> dict[str, str]:
    if address.bearer_token_file is None:
        return dict(address.headers)
    try:
        token = address.bearer_token_file.read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        raise RecordedError("the bearer token file cannot be read") from None
    return {**address.headers, "Authorization": f"Bearer {token}"}


def _session(address: Address) -> requests.Session:
    """Return a session that follows no redirect, takes no proxy from the environment, and knows a partial answer."""
    session = requests.Session()
    session.trust_env = False
    session.max_redirects = 0
    session.verify = str(address.ca_file) if address.ca_file else True
    session.hooks["response"].append(_whole)
    return session


def _whole(response: requests.Response, **_: Any) -> None:
    """Refuse an answer that says of itself that something is missing; the client would drop the warning."""
    if response.ok and '"warnings"' in response.text and response.json().get("warnings"):
        raise RecordedError("the metrics provider: the answer is partial, it came with a warning")
