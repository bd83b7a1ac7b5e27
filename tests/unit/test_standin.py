"""The model server that stands in for the example: it looks like it from outside, as far as tests look."""

import asyncio
import json
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import httpx
from prometheus_client.parser import text_string_to_metric_families as families

from examples.churn.telemetry import Telemetry
from tests.e2e.loading import sample
from tests.e2e.programs import ROOT

SERVER = ROOT / "tests/standin/server.py"


@asynccontextmanager
async def serving(**env: str) -> AsyncIterator[httpx.AsyncClient]:
    """The server as a process, and a client of it; told to end, it must end well."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(SERVER), env={**os.environ, "MODEL_VERSION": "1.2.3", "PORT": str(port), **env}
    )
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            async with asyncio.timeout(30):
                while True:
                    with suppress(httpx.TransportError):
                        if (await client.get("/healthz")).status_code == 200:
                            break
                    await asyncio.sleep(0.02)
            yield client
        process.terminate()
        assert await asyncio.wait_for(process.wait(), 30) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def predict(client: httpx.AsyncClient) -> httpx.Response:
    return await client.post("/predict", content=sample(), headers={"content-type": "application/json"})


def samples(text: str) -> dict[tuple[str, ...], float]:
    """(name, label=value...) -> value, of the requests' metrics."""
    found = [each for family in families(text) for each in family.samples if each.name.startswith("http_request")]
    return {(each.name, *(f"{k}={v}" for k, v in sorted(each.labels.items()))): each.value for each in found}


async def test_its_series_are_those_of_the_example_and_count_every_prediction() -> None:
    async with serving() as client:
        before = samples((await client.get("/metrics")).text)
        answers = [await predict(client) for _ in range(3)]
        after = samples((await client.get("/metrics")).text)
    example = samples(Telemetry().expose("text/plain")[0].decode())
    here = {key for key in example if "handler=/stream" not in key and "status=422" not in key}
    assert set(before) == here
    assert set(before.values()) == {0.0}
    assert [(each.status_code, each.headers["x-model-version"]) for each in answers] == [(200, "1.2.3")] * 3
    assert answers[0].json()["version"] == "1.2.3"
    assert after["http_requests_total", "handler=/predict", "method=POST", "status=200"] == 3
    assert after["http_request_duration_seconds_bucket", "handler=/predict", "le=+Inf", "method=POST"] == 3
    assert after["http_request_duration_seconds_count", "handler=/predict", "method=POST"] == 3


async def test_it_fails_as_told() -> None:
    async with serving(FAULT_ERROR_SHARE="1") as client:
        answer = await predict(client)
        counted = samples((await client.get("/metrics")).text)
    assert (answer.status_code, answer.headers["x-fault"], json.loads(answer.text)["detail"]) == (
        500, "injected", "injected failure",
    )  # fmt: skip
    assert counted["http_requests_total", "handler=/predict", "method=POST", "status=500"] == 1


async def test_it_is_not_ready_while_it_loads() -> None:
    async with serving(LOAD_SECONDS="600") as client:
        assert [(await client.get(path)).status_code for path in ("/readyz", "/healthz")] == [503, 200]
        assert (await predict(client)).status_code == 503
    async with serving() as client:
        assert (await client.get("/readyz")).status_code == 200


async def test_it_crashes_at_its_start() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(SERVER), env={**os.environ, "FAULT_CRASH": "start"}, stderr=asyncio.subprocess.PIPE
    )
    _, said = await asyncio.wait_for(process.communicate(), 30)
    assert (process.returncode, said.decode().strip()) == (1, "FAULT_CRASH: exit at start")
