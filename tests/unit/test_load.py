"""The load generator against servers that lose, inject and delay known numbers of requests."""

import asyncio
import json
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from tests.load import Load, Plan, Result, Sample, run
from tests.load.__main__ import main, parse

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
OK = b"HTTP/1.1 200 OK\r\nx-model-version: 1\r\ncontent-length: 2\r\n\r\n{}"


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    """A server that answers POST /predict by the handler."""
    app = web.Application()
    app.router.add_route("*", "/predict", handler)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/predict"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def raw(answer: Callable[[int, int], bytes]) -> AsyncIterator[tuple[str, list[int]]]:
    """A server that writes `answer(connection, request)` and closes when that is empty or cut short."""
    seen: list[int] = []

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(0)
        connection = len(seen) - 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length"))
                await reader.readexactly(int(length.split(b":")[1]))
                seen[connection] += 1
                data = answer(connection, seen[connection])
                writer.write(data)
                if data != OK:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", seen
    finally:
        server.close()
        await server.wait_closed()


def plan(url: str, **rest) -> Plan:
    return Plan(**{"url": url, "rate": 400, "seconds": 0.25, "body": b"{}", **rest})


def answer(status: int = 200, version: str = "1", **headers: str) -> web.Response:
    named = {"x-model-version": version} if version else {}
    return web.Response(status=status, text="{}", headers={**named, **headers})


async def test_counts_are_exact() -> None:
    # Given a server whose every 10 requests hold 1 injected failure, 1 bare 500, 1 gateway 503 and 2 of version 2
    count = 0

    async def handler(request: web.Request) -> web.Response:
        nonlocal count
        count += 1
        assert request.headers["host"] == "churn.models.example"
        assert await request.json() == {}
        special = {1: (500, "1", {"x-fault": "injected"}), 2: (500, "1", {}), 3: (503, "", {"x-fault": "injected"})}
        status, version, headers = special.get(count % 10, (200, "2" if count % 10 in (4, 5) else "1", {}))
        return answer(status, version, **headers)

    # When 100 requests are sent
    async with serving(handler) as url:
        result = await run(plan(url, host="churn.models.example"))

    # Then each is accounted for once
    assert (count, result.requests, result.lost, result.unsent, result.cancelled) == (100, 100, 20, 0, 0)
    kinds = ("requests", "ok", "injected", "lost")
    assert [result.by_version["1"][k] for k in kinds] == [70, 50, 10, 10]
    assert [result.by_version["2"][k] for k in kinds] == [20, 20, 0, 0]
    assert [result.by_version[""][k] for k in kinds] == [10, 0, 0, 10]
    assert result.share("2") == 20 / 90
    assert result.first_bad_answer("2") is None
    bad = result.first_bad_answer("1")
    assert bad is not None
    assert result.started < bad < result.started + 5
    assert sum(c["requests"] for second in result.timeline.values() for c in second.values()) == 100
    assert json.loads(result.dump())["statuses"] == {"200": 70, "500": 20, "503": 10}


@pytest.mark.parametrize("status", [201, 302, 404, 422, 429, 502])
async def test_only_2xx_is_an_answer(status: int) -> None:
    async def handler(_: web.Request) -> web.Response:
        return answer(status, location="/predict")

    async with serving(handler) as url:
        result = await run(plan(url, seconds=0.01))

    assert (result.requests, result.lost) == (4, 0 if status == 201 else 4)
    assert all(loss.status == status and loss.version == "1" for loss in result.losses)


async def test_a_connection_closed_in_use_is_one_loss_and_no_retry() -> None:
    # Given a server that closes each connection at its second request, without an answer
    async with raw(lambda _, request: OK if request == 1 else b"") as (url, seen):
        # When requests follow each other on one connection
        result = await run(plan(url, rate=100, seconds=0.2, connections=1))

    # Then every other is lost, and none was sent twice
    assert sum(seen) == result.requests == 20
    assert result.lost == 10
    assert all(loss.reused and loss.status is None and "Disconnected" in loss.error for loss in result.losses)


async def test_a_connection_closed_while_idle_is_no_loss() -> None:
    # Given a server that closes each connection 2 ms after its answer, when requests come every 200 ms
    async with serving(_closing) as url:
        result = await run(plan(url, rate=5, seconds=2, connections=1))
    # Then each takes a new connection
    assert (result.requests, result.lost) == (10, 0)


async def _closing(request: web.Request) -> web.Response:
    transport = request.transport
    assert transport is not None
    asyncio.get_running_loop().call_later(0.002, transport.close)
    return answer()


async def test_a_body_that_breaks_off_is_lost() -> None:
    async with raw(lambda _, __: OK[:-1]) as (url, _):
        result = await run(plan(url, seconds=0.01))
    assert result.lost == 4
    assert {(loss.status, loss.version) for loss in result.losses} == {(200, "1")}
    assert "Payload" in result.losses[0].error


async def test_nobody_listens() -> None:
    async with serving(_closing) as url:
        pass
    result = await run(plan(url))
    assert result.lost == 100
    assert len(result.losses) == 50
    assert "ConnectorError" in result.losses[0].error


async def test_slow_answers_hold_no_request_back() -> None:
    # Given a server that answers nobody before all 100 have asked
    everybody = asyncio.Barrier(100)

    async def handler(_: web.Request) -> web.Response:
        await everybody.wait()
        return answer()

    async with serving(handler) as url:
        result = await run(plan(url, connections=100))

    # Then all were sent although none was answered, and the wait is the latency of the first
    assert result.by_version["1"]["ok"] == 100
    first = min(result.samples, key=lambda sample: sample.at)
    last = max(result.samples, key=lambda sample: sample.at)
    assert first.done >= last.at


async def test_timeouts_and_bounds() -> None:
    async def handler(_: web.Request) -> web.Response:
        await asyncio.Event().wait()
        return answer()

    async with serving(handler) as url:
        result = await run(plan(url, timeout=2.0, seconds=0.1, in_flight=10))

    assert (result.requests, result.unsent) == (10, 30)
    assert all("Timeout" in loss.error for loss in result.losses)


async def test_stop_waits_for_answers_and_cancel_does_not() -> None:
    arrived = asyncio.Event()
    release = asyncio.Event()

    async def handler(_: web.Request) -> web.Response:
        arrived.set()
        await release.wait()
        return answer()

    async with serving(handler) as url:
        # Given a load in flight, when it is stopped, then its answers are still counted and nothing more is sent
        async with Load(plan(url, rate=10, seconds=100)) as load:
            await arrived.wait()
            asyncio.get_running_loop().call_later(0.05, release.set)
            result = await load.stop()
        assert (result.requests, result.lost, result.cancelled) == (1, 0, 0)

        # When the task around it is cancelled, then it ends at once and says what it left
        release.clear()
        arrived.clear()
        load = Load(plan(url, rate=10, seconds=100))
        task = asyncio.create_task(_hold(load))
        await arrived.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert load.result().cancelled == 1
        assert load.result().lost == 0


async def _hold(load: Load) -> None:
    async with load:
        await load.wait()


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/",
        "https://127.0.0.1/",
        "http://8.8.8.8/",
        "http://[2001:db8::1]/",
        "127.0.0.1:80",
        "http://",
    ],
)
def test_only_near_addresses(url: str) -> None:
    with pytest.raises(ValueError, match=r"address|ADDRESS"):
        plan(url)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/", "http://10.1.2.3/", "http://[::1]/", "http://localhost/x"])
def test_near_addresses(url: str) -> None:
    assert plan(url).total == 100


@pytest.mark.parametrize("rest", [{"rate": 0}, {"seconds": -1}, {"rate": 1e6, "seconds": 2}, {"rate": math.nan}])
def test_bounded_plans(rest: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="requests"):
        plan("http://127.0.0.1/", **rest)


def test_quantiles_and_times_are_observed_values() -> None:
    # Given 100 answers of 1 to 100 ms by version 1, of which the 7th failed, and one by version 2
    samples = [
        Sample(at=1000 + n, lag=0, latency=n / 1000, status=500 if n == 7 else 200, version="1", fault="injected")
        for n in range(1, 101)
    ]
    samples.append(Sample(at=1200, lag=0, latency=1, status=200, version="2"))
    result = Result(started=1000, samples=tuple(samples))
    # Then
    assert (result.by_version["1"]["p50"], result.by_version["1"]["p99"]) == (0.05, 0.099)
    assert result.first_bad_answer("1") == pytest.approx(1007.007)
    assert (result.last_answer("1"), result.last_answer("3")) == (1100, None)
    assert result.share("1", since=1100, until=1201) == 0.5
    assert math.isnan(result.share("1", since=5000))
    assert result.timeline[7] == {"1": {"requests": 1, "injected": 1}}


def test_command_line() -> None:
    arguments = ["http://127.0.0.1:30080", "--host", "churn.models.example", "--rate", "150", "--for", "1m30s"]
    made, dump = parse([*arguments, "--header", "x-a: b"])
    assert (made.url, made.host, made.total) == ("http://127.0.0.1:30080/predict", "churn.models.example", 13_500)
    assert made.headers == {"x-a": "b"}
    assert "mean_radius" in json.loads(made.body)
    assert dump is None


def test_command_reports_losses(tmp_path, capsys) -> None:
    # Given a port where nobody listens, when the command runs, then it fails, prints and writes what it saw
    file = tmp_path / "load.json"
    assert main(["http://127.0.0.1:1", "--rate", "100", "--for", "0.05s", "--json", str(file)]) == 1
    assert json.loads(capsys.readouterr().out)["lost"] == 5
    assert json.loads(file.read_text())["timeline"]["0"][""] == {"requests": 5, "lost": 5}
    with pytest.raises(SystemExit):
        main(["http://example.com"])
