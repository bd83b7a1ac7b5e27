"""What goes over the wire to a provider, and what happens when it does not answer as it should."""

import asyncio
import math

import pytest
from aiohttp import web

from fairway.adapters import prometheus
from fairway.adapters.prometheus import Prometheus
from fairway.core.verdict import SeriesMatcher
from fairway.ports import MetricsError, RawSeries, Selector, TooLargeError
from tests.fakes.prometheus import FakePrometheus, document, matrix, text

MATCHERS = (SeriesMatcher("namespace", "=", "ml"), SeriesMatcher("pod", "=~", "churn-(a|b)-.*"))
ERRORS = Selector("requests_total", MATCHERS)
GOOD = matrix(({"__name__": "requests_total", "pod": "churn-a-1"}, [[1000.5, "3"], [1005.5, "4.5"]]))


@pytest.fixture
async def fake():
    async with FakePrometheus(GOOD) as server:
        yield server


async def ask(fake, *selectors, window=90.0, **options):
    source = Prometheus(fake.url, read_timeout=0.3, **options)
    try:
        return await source.raw(selectors or [ERRORS], window)
    finally:
        await source.close()


async def failure(fake, answer, **options):
    fake.answer = answer
    with pytest.raises(MetricsError) as caught:
        await ask(fake, **options)
    return caught.value


async def test_raw_samples_are_asked_for_by_post_and_parsed(fake):
    assert await ask(fake) == [
        RawSeries({"__name__": "requests_total", "pod": "churn-a-1"}, ((1000.5, 3.0), (1005.5, 4.5)))
    ]
    ((head, form),) = fake.requests
    assert (head["method"], head["path"]) == ("POST", "/prometheus/api/v1/query")
    assert form["query"] == 'requests_total{namespace="ml",pod=~"churn-(a|b)-.*"}[90s]'
    assert head["Accept-Encoding"] == "identity"
    assert "Authorization" not in head


async def test_metrics_with_equal_matchers_share_a_query_and_others_do_not(fake):
    other = Selector("third", (SeriesMatcher("x", "!~", "y"),))
    await ask(fake, ERRORS, Selector("seconds_bucket", MATCHERS), other, window=12.3)
    assert sorted(form["query"] for _, form in fake.requests) == [
        'third{x!~"y"}[13s]',
        '{__name__=~"requests_total|seconds_bucket",namespace="ml",pod=~"churn-(a|b)-.*"}[13s]',
    ]


async def test_values_enter_a_query_only_escaped(fake):
    evil = 'a"}[1h]) or vector(1) # \\ \n é'
    await ask(fake, Selector("m", (SeriesMatcher("x", "=", evil),)))
    assert fake.requests[0][1]["query"] == 'm{x="a\\"}[1h]) or vector(1) # \\\\ \\n é"}[90s]'


async def test_a_token_is_read_again_for_each_query_and_headers_are_sent(fake, tmp_path):
    token = tmp_path / "token"
    token.write_text("one\n")
    source = Prometheus(fake.url, bearer_token_file=str(token), headers={"X-Scope-OrgID": "team"})
    await source.raw([ERRORS], 90.0)
    token.write_text("two\n")
    await source.raw([ERRORS], 90.0)
    await source.close()
    assert [head["Authorization"] for head, _ in fake.requests] == ["Bearer one", "Bearer two"]
    assert fake.requests[0][0]["X-Scope-OrgID"] == "team"


async def test_a_missing_token_is_an_error_and_no_query(fake, tmp_path):
    error = await failure(fake, GOOD, bearer_token_file=str(tmp_path / "none"))
    assert str(error) == "the bearer token file cannot be read"
    assert fake.requests == []


async def test_values_that_are_no_numbers_come_as_they_are(fake):
    fake.answer = matrix(({"pod": "a"}, [[1, "NaN"], [2, "+Inf"], [3, "-Inf"]]))
    ((_, first), (_, second), (_, third)) = (await ask(fake))[0].samples
    assert math.isnan(first)
    assert (second, third) == (math.inf, -math.inf)


async def test_an_empty_answer_and_native_histograms_are_answers(fake):
    fake.answer = matrix()
    assert await ask(fake) == []
    histogram = {"metric": {"pod": "a"}, "histograms": [[1, {"count": "3"}]]}
    fake.answer = document({"status": "success", "data": {"resultType": "matrix", "result": [histogram]}})
    assert await ask(fake) == [RawSeries({"pod": "a"}, ())]


async def hang(_request):
    await asyncio.sleep(30)
    return web.Response()


async def trickle(request):
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    for _ in range(100):
        await response.write(b" ")
        await asyncio.sleep(0.1)
    return response


async def huge(request):
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    for _ in range(1000):
        await response.write(b" " * 65536)
    return response


async def cut(request):
    response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b'{"status":')
    request.transport.close()
    return response


async def zipped(_request):
    return web.Response(body=b"x", headers={"Content-Type": "application/json", "Content-Encoding": "gzip"})


SECRET = "s3cret-body"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (text(SECRET, status=500), "HTTP 500"),
        (text(SECRET, status=401), "HTTP 401"),
        (text(SECRET, status=400, content_type="application/json"), "HTTP 400"),
        (text("", status=302, headers={"Location": "http://127.0.0.1:1/x"}), "HTTP 302: redirects are not followed"),
        (text(f"<html>{SECRET}</html>", content_type="text/html"), "the answer is not plain JSON"),
        (text(f"{{{SECRET}", content_type="application/json"), "the answer is not plain JSON"),
        (text("[" * 100_000, content_type="application/json"), "the answer is not plain JSON"),
        (text('{"status":"success","x":NaN}', content_type="application/json"), "the answer is not plain JSON"),
        (zipped, "the answer is not plain JSON"),
        (document({"status": "error", "error": SECRET}), "the query failed"),
        (document([SECRET]), "the query failed"),
        (matrix(warnings=[SECRET]), "the answer is partial: the provider sent a warning"),
        (document({"status": "success", "data": {"resultType": "vector", "result": []}}), "list of raw samples"),
        (document({"status": "success", "data": SECRET}), "unexpected form"),
        (document({"status": "success"}), "unexpected form"),
        (matrix(({"pod": "a"}, [[1, SECRET]])), "unexpected form"),
        (matrix(({"pod": "a"}, [["1", "1"]])), "unexpected form"),
        (matrix(({"pod": "a"}, [[10**400, "1"]])), "unexpected form"),
        (matrix(({"pod": "a"}, [[2, "1"], [1, "1"]])), "unexpected form"),
        (matrix(({"pod": "a"}, [[1e400, "1"]])), "not plain JSON"),
        (hang, "no answer within 0.3s"),
        (trickle, "no answer within 0.3s"),
        (cut, "no connection (RemoteProtocolError)"),
    ],
)
async def test_anything_but_a_complete_answer_is_an_error_that_echoes_nothing(fake, answer, reason, monkeypatch):
    monkeypatch.setattr(prometheus, "CONNECT_TIMEOUT", 0.2)
    error = await failure(fake, answer)
    assert reason in str(error)
    assert SECRET not in repr(error)
    assert "127.0.0.1" not in str(error)
    assert error.__suppress_context__ or error.__context__ is None or SECRET not in repr(error.__context__)


async def test_a_huge_answer_is_not_read_to_its_end(fake):
    assert isinstance(await failure(fake, huge), TooLargeError)


async def test_a_refused_connection_is_an_error_without_the_address():
    source = Prometheus("http://user:hunter2@127.0.0.1:9")
    with pytest.raises(MetricsError) as caught:
        await source.raw([ERRORS], 90.0)
    await source.close()
    assert str(caught.value) == "no connection (ConnectError)"


async def test_proxies_of_the_environment_are_ignored(fake, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    assert len(await ask(fake)) == 1
