"""What goes over the wire to a provider, and what happens when it does not answer as it should."""

import asyncio
import math
from base64 import b64decode

import pytest
from aiohttp import web

from fairway.adapters import prometheus
from fairway.adapters.prometheus import Credentials, Prometheus
from fairway.core.verdict import SeriesMatcher
from fairway.ports import MetricsError, QueryRefusedError, RawSeries, Selector, TooLargeError
from tests.fakes.prometheus import Answer, FakePrometheus, document, matrix, text

MATCHERS = (SeriesMatcher("namespace", "=", "ml"), SeriesMatcher("pod", "=~", "churn-(a|b)-.*"))
ERRORS = Selector("requests_total", MATCHERS)
GOOD = matrix(({"__name__": "requests_total", "pod": "churn-a-1"}, [[1000.5, "3"], [1005.5, "4.5"]]))


@pytest.fixture
async def fake():
    async with FakePrometheus(GOOD) as server:
        yield server


async def ask(fake, *selectors, window=90.0, **options):
    source = Prometheus(fake.url, **options)
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
        RawSeries({"__name__": "requests_total", "pod": "churn-a-1"}, (1000.5, 1005.5), (3.0, 4.5))
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
    credentials = Credentials(bearer_token_file=str(token))
    source = Prometheus(fake.url, credentials=credentials, headers={"X-Scope-OrgID": "team"})
    await source.raw([ERRORS], 90.0)
    token.write_text("two\n")
    await source.raw([ERRORS], 90.0)
    await source.close()
    assert [head["Authorization"] for head, _ in fake.requests] == ["Bearer one", "Bearer two"]
    assert fake.requests[0][0]["X-Scope-OrgID"] == "team"


async def test_a_missing_token_is_an_error_and_no_query(fake, tmp_path):
    error = await failure(fake, GOOD, credentials=Credentials(bearer_token_file=str(tmp_path / "none")))
    assert str(error) == "the bearer token file cannot be read"
    assert fake.requests == []


async def test_values_that_are_no_numbers_come_as_they_are(fake):
    fake.answer = matrix(({"pod": "a"}, [[1, "NaN"], [2, "+Inf"], [3, "-Inf"]]))
    first, second, third = (await ask(fake))[0].values
    assert math.isnan(first)
    assert (second, third) == (math.inf, -math.inf)


async def test_an_empty_answer_and_native_histograms_are_answers(fake):
    fake.answer = matrix()
    assert await ask(fake) == []
    histogram = {"metric": {"pod": "a"}, "histograms": [[1, {"count": "3"}]]}
    fake.answer = document({"status": "success", "data": {"resultType": "matrix", "result": [histogram]}})
    assert await ask(fake) == [RawSeries({"pod": "a"})]


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


async def cut(request):
    response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b'{"status":')
    request.transport.close()
    return response


async def zipped(_request):
    return web.Response(body=b"x", headers={"Content-Type": "application/json", "Content-Encoding": "gzip"})


SECRET = "s3cret-body"
LATE = "no answer within 0.3s"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (text(SECRET, status=500), "HTTP 500"),
        (text(SECRET, status=401), "HTTP 401"),
        (text(SECRET, status=400, content_type="application/json"), "HTTP 400: the provider refuses the query"),
        (text(SECRET, status=503, content_type="application/json"), "HTTP 503"),
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
        (hang, LATE),
        (trickle, LATE),
        (cut, "no connection (RemoteProtocolError)"),
    ],
)
async def test_anything_but_a_complete_answer_is_an_error_that_echoes_nothing(fake, answer, reason, monkeypatch):
    if reason == LATE:
        monkeypatch.setattr(prometheus, "CONNECT_TIMEOUT", 0.2)
        error = await failure(fake, answer, read_timeout=0.3)
    else:
        error = await failure(fake, answer)
    assert reason in str(error)
    assert SECRET not in repr(error)
    assert "127.0.0.1" not in str(error)
    assert error.__suppress_context__ or error.__context__ is None or SECRET not in repr(error.__context__)


async def test_an_answer_of_a_gibibyte_is_cut_at_the_cap(fake):
    """Given an answer without an end, when it is read, then hardly more than a mebibyte of it is ever taken."""
    sent = 0

    async def huge(request):
        nonlocal sent
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        for _ in range((1 << 30) // 65536):
            await response.write(b" " * 65536)
            sent += 65536
        return response

    assert isinstance(await failure(fake, huge), TooLargeError)
    assert sent < 16 * prometheus.MAX_BODY  # what fits into the sockets' buffers on the way


async def test_many_series_are_refused_by_their_size(fake):
    """Given an answer with a hundred thousand series, then it is too large, and fewer should be asked for."""
    fake.answer = matrix(*[({"pod": f"churn-a-{i}"}, [[1, "1"]]) for i in range(100_000)])
    with pytest.raises(TooLargeError):
        await ask(fake)


# --- queries --------------------------------------------------------------------------------------------------------


def vector(*values) -> Answer:
    result = [{"metric": {"pod": str(i)}, "value": [1, value]} for i, value in enumerate(values)]
    return document({"status": "success", "data": {"resultType": "vector", "result": result}})


async def value(fake, answer):
    fake.answer = answer
    source = Prometheus(fake.url)
    try:
        return await source.query("max(x)")
    finally:
        await source.close()


async def test_a_query_is_sent_as_it_is_and_gives_its_numbers(fake):
    assert await value(fake, vector("0.25")) == [0.25]
    assert fake.requests[0][1] == {"query": "max(x)", "timeout": "5s"}
    assert await value(fake, vector("1", "2")) == [1.0, 2.0]
    assert await value(fake, vector()) == []
    assert (await value(fake, vector("+Inf"))) == [math.inf]
    assert math.isnan((await value(fake, vector("NaN")))[0])
    scalar = document({"status": "success", "data": {"resultType": "scalar", "result": [1, "3"]}})
    assert await value(fake, scalar) == [3.0]


HISTOGRAM = {"metric": {}, "histogram": [1, {"count": "3"}]}


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({"resultType": "string", "result": [1, SECRET]}, "no numbers but a string"),
        ({"resultType": "matrix", "result": []}, "no numbers but a matrix"),
        ({"resultType": SECRET, "result": []}, "no numbers but a stranger"),
        ({"resultType": "vector", "result": [HISTOGRAM]}, "histograms or an unexpected form"),
        ({"resultType": "vector", "result": [{"value": [1, SECRET]}]}, "histograms or an unexpected form"),
        ({"resultType": "vector", "result": None}, "histograms or an unexpected form"),
    ],
)
async def test_a_query_that_gives_no_numbers_is_to_blame_itself(fake, data, says):
    with pytest.raises(QueryRefusedError, match=says) as caught:
        await value(fake, document({"status": "success", "data": data}))
    assert SECRET not in repr(caught.value)


@pytest.mark.parametrize("status", [400, 422])
async def test_a_query_that_the_provider_refuses_is_to_blame_and_a_provider_that_is_busy_is_not(fake, status):
    with pytest.raises(QueryRefusedError):
        await value(fake, text(SECRET, status=status, content_type="application/json"))
    with pytest.raises(MetricsError) as busy:
        await value(fake, text(SECRET, status=503, content_type="application/json"))
    assert not isinstance(busy.value, QueryRefusedError)


# --- who we say we are ----------------------------------------------------------------------------------------------


async def test_user_and_password_are_sent_and_the_password_is_read_again(fake, tmp_path):
    password = tmp_path / "password"
    password.write_text("one\n")
    source = Prometheus(fake.url, credentials=Credentials(username="fairway", password_file=str(password)))
    await source.raw([ERRORS], 90.0)
    password.write_text("zwei:ü\n")
    await source.raw([ERRORS], 90.0)
    await source.close()
    sent = [b64decode(head["Authorization"].removeprefix("Basic ")).decode() for head, _ in fake.requests]
    assert sent == ["fairway:one", "fairway:zwei:ü"]


@pytest.mark.parametrize("content", [b"\xff\xfe", b"one\ntwo"])
async def test_a_secret_that_is_not_one_line_is_an_error_and_is_not_shown(fake, tmp_path, content):
    secret = tmp_path / "secret"
    secret.write_bytes(content)
    for credentials in (
        Credentials(bearer_token_file=str(secret)),
        Credentials(username="fairway", password_file=str(secret)),
    ):
        error = await failure(fake, GOOD, credentials=credentials)
        assert "file" in str(error)
        assert "two" not in str(error)
    assert fake.requests == []


def test_certificates_that_cannot_be_read_are_named(tmp_path):
    nothing = tmp_path / "ca.crt"
    with pytest.raises(ValueError, match=f"caFile: {nothing} cannot be read"):
        Prometheus("https://prometheus.example", ca_file=str(nothing))
    nothing.write_text("no certificate")
    with pytest.raises(ValueError, match="holds no certificates"):
        Prometheus("https://prometheus.example", ca_file=str(nothing))


# --- how many at once -----------------------------------------------------------------------------------------------


async def test_few_questions_are_under_way_at_once_and_waiting_for_a_turn_takes_nobodys_time(fake, monkeypatch):
    """Given answers that take a part of the deadline, and in a row more than all of it, then four ask at once."""
    monkeypatch.setattr(prometheus, "CONNECT_TIMEOUT", 0.3)
    under_way, most = 0, 0

    async def slow(request):
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.3)
        under_way -= 1
        return await GOOD(request)

    fake.answer = slow
    source = Prometheus(fake.url, read_timeout=1.5)
    await asyncio.gather(*(source.raw([ERRORS], 90.0) for _ in range(32)))
    await source.close()
    assert most == prometheus.MAX_CONNECTIONS


async def test_slow_queries_of_model_owners_leave_turns_for_the_counts(fake):
    """Given more slow queries than there are turns, then counts are answered before any of them is."""
    held = asyncio.Event()

    async def answer(request):
        if "slow" in (await request.post())["query"]:
            await held.wait()
            return await document({"status": "success", "data": {"resultType": "vector", "result": []}})(request)
        return await GOOD(request)

    fake.answer = answer
    source = Prometheus(fake.url)
    slow = [asyncio.ensure_future(source.query("slow()")) for _ in range(2 * prometheus.MAX_CONNECTIONS)]
    await asyncio.sleep(0)
    async with asyncio.timeout(2):
        await source.raw([ERRORS], 90.0)
    assert not any(query.done() for query in slow)
    held.set()
    assert await asyncio.gather(*slow) == [[]] * len(slow)
    await source.close()


@pytest.mark.parametrize("token", ["schlüssel", "ключ"])
async def test_a_token_that_no_header_can_hold_is_an_error_that_does_not_quote_it(fake, tmp_path, token):
    file = tmp_path / "token"
    file.write_text(token, encoding="utf-8")
    error = await failure(fake, GOOD, credentials=Credentials(bearer_token_file=str(file)))
    assert "the bearer token file holds more than" in str(error)
    assert token not in str(error)
    assert fake.requests == []


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
