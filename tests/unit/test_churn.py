"""The example model server: every switch, exact counts, and a graceful end."""

import asyncio
import json
import os
import socket
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import joblib
import pytest
import yaml

from examples.churn.faults import Effects
from examples.churn.model import load
from examples.churn.server import create_app, main
from examples.churn.switches import Crash, SwitchError, Switches
from examples.churn.train import train
from fairway.api.spec import ModelDeploymentSpec

ROOT = Path(__file__).parents[2]
CHURN = ROOT / "examples" / "churn"
SAMPLE = json.loads((CHURN / "sample.json").read_text())


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    directory = tmp_path_factory.mktemp("model")
    train(directory)
    return directory


@dataclass
class World:
    """Time that passes when asked to, chances that are known, deaths that are counted."""

    chances: Iterable[float] = ()
    slept: list[float] = field(default_factory=list)
    deaths: int = 0
    died: asyncio.Event = field(default_factory=asyncio.Event)
    gate: asyncio.Event | None = None

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        if self.gate and seconds:
            await self.gate.wait()

    def die(self) -> None:
        self.deaths += 1
        self.died.set()

    def effects(self) -> Effects:
        chances = iter(self.chances)
        return Effects(sleep=self.sleep, chance=lambda: next(chances), die=self.die)


async def until_ready(client: httpx.AsyncClient) -> None:
    async with asyncio.timeout(60):
        while True:
            with suppress(httpx.TransportError):
                if (await client.get("/readyz")).status_code == 200:
                    return
            await asyncio.sleep(0.01)


@asynccontextmanager
async def serving(directory: Path, world: World, *, ready: bool = True, **env: str) -> AsyncIterator[httpx.AsyncClient]:
    """The application with its lifespan, and a client of it; waits until the model is loaded."""
    app = create_app(Switches.read({"MODEL_VERSION": "1.2.3", **env}), directory, world.effects())
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://churn") as client,
    ):
        if ready:
            await until_ready(client)
        yield client


async def counts(client: httpx.AsyncClient) -> dict[str, float]:
    """The samples of the request counter and histogram that are not 0."""
    text = (await client.get("/metrics")).text
    lines = (line.rsplit(" ", 1) for line in text.splitlines() if line.startswith("http_"))
    return {name: float(value) for name, value in lines if float(value)}


def series(method: str, handler: str, status: int) -> str:
    return f'http_requests_total{{handler="{handler}",method="{method}",status="{status}"}}'


async def test_predicts(trained: Path) -> None:
    async with serving(trained, World()) as client:
        answer = await client.post("/predict", json=SAMPLE)
        # Known cases: a large tumour is malignant, a small smooth one is not.
        small = {**SAMPLE, "mean_radius": 9, "mean_perimeter": 57, "mean_area": 250, "mean_concavity": 0.01}
        benign = await client.post("/predict", json=small)
    assert answer.status_code == 200
    assert answer.headers["x-model-version"] == answer.json()["version"] == "1.2.3"
    assert answer.json()["probability"] > 0.95
    assert benign.json()["probability"] < 0.05


@pytest.mark.parametrize("kind", ["sklearn", "json"])
def test_probability_is_scikit_learns(trained: Path, kind: str) -> None:
    model = load(trained, kind)
    rows = [list(SAMPLE.values()), [0.0] * 6, [1e6] * 6, [9, 20, 57, 250, 0.1, 0.01]]
    expected = joblib.load(trained / "model.joblib").predict_proba(rows)[:, 1]
    assert [model.probability(row) for row in rows] == pytest.approx(expected, rel=1e-9, abs=1e-12)


ODD = [{"mean_area": "large"}, {"mean_area": -1}, {"mean_area": float("nan")}, {"mean_area": float("inf")}, {"age": 3}]


@pytest.mark.parametrize("body", ["{", "[]", "{}", *(json.dumps(SAMPLE | odd) for odd in ODD)])
async def test_bad_input_is_the_clients(trained: Path, body: str) -> None:
    async with serving(trained, World()) as client:
        answer = await client.post("/predict", content=body, headers={"content-type": "application/json"})
        assert (answer.status_code, answer.headers["x-model-version"]) == (422, "1.2.3")
        assert answer.json()["detail"][0]["msg"]
        assert (await counts(client))[series("POST", "/predict", 422)] == 1


async def test_counts_are_exact_and_leave_out_probes(trained: Path) -> None:
    # Given a server that fails the second of three predictions
    world = World(chances=[0.9, 0.1, 0.5])
    async with serving(trained, world, FAULT_ERROR_SHARE="0.5") as client:
        # When it serves, probes and strangers included
        statuses = [(await client.post("/predict", json=SAMPLE)).status_code for _ in range(3)]
        for path in ("/healthz", "/readyz", "/metrics", "/metrics"):
            assert (await client.get(path)).status_code == 200
        await client.post("/predict", json={})
        await client.get("/predict")
        await client.get("/admin/1")
        await client.request("BREW", "/admin/2")
        seen = await counts(client)
    # Then
    assert statuses == [200, 500, 200]
    requests = {name: value for name, value in seen.items() if name.startswith("http_requests_total")}
    assert requests == {
        series("POST", "/predict", 200): 2,
        series("POST", "/predict", 500): 1,
        series("POST", "/predict", 422): 1,
        series("GET", "/predict", 405): 1,
        series("GET", "other", 404): 1,
        series("other", "other", 404): 1,
    }
    assert seen['http_request_duration_seconds_count{handler="/predict",method="POST"}'] == 4


async def test_metrics_start_at_zero_in_both_formats(trained: Path) -> None:
    async with serving(trained, World()) as client:
        plain = await client.get("/metrics")
        scraped = await client.get("/metrics", headers={"accept": "application/openmetrics-text;version=1.0.0"})
    assert plain.headers["content-type"].startswith("text/plain")
    assert scraped.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert scraped.text.endswith("# EOF\n")
    for text in (plain.text, scraped.text):
        assert f"{series('POST', '/predict', 500)} 0.0" in text
        for edge in ("0.005", "0.01", "0.025", "0.05", "0.075", "0.1", "0.25", "0.5", "1.0", "2.5"):
            assert f'_bucket{{handler="/predict",le="{edge}",method="POST"}} 0.0' in text
        assert "_created" not in text


async def test_injected_failures_say_so(trained: Path) -> None:
    async with serving(trained, World(chances=[0.999]), FAULT_ERROR_SHARE="1") as client:
        answer = await client.post("/predict", json=SAMPLE)
    assert answer.status_code == 500
    assert (answer.headers["x-fault"], answer.headers["x-model-version"]) == ("injected", "1.2.3")


async def test_latency_is_added_to_its_share(trained: Path) -> None:
    world = World(chances=[0.1, 0.3])
    async with serving(trained, world, FAULT_LATENCY="0.4", FAULT_LATENCY_SHARE="0.25") as client:
        world.slept.clear()
        for _ in range(2):
            assert (await client.post("/predict", json=SAMPLE)).status_code == 200
    assert world.slept == [0.4]


async def test_not_ready_while_loading(trained: Path) -> None:
    # Given a model that takes 30 s to load
    world = World(gate=asyncio.Event())
    async with serving(trained, world, ready=False, LOAD_SECONDS="30") as client:
        # Then the server lives, is not ready and says so
        assert (await client.get("/healthz")).status_code == 200
        assert (await client.get("/readyz")).status_code == 503
        answer = await client.post("/predict", json=SAMPLE)
        assert (answer.status_code, answer.headers["x-model-version"]) == (503, "1.2.3")
        # When the time has passed
        world.gate.set()
        await until_ready(client)
        assert (await client.post("/predict", json=SAMPLE)).status_code == 200
    assert world.slept[0] == 30


@pytest.mark.parametrize("card", ["", "[]", '{"features": ["age"]}'])
async def test_a_model_that_does_not_fit_ends_the_server(trained: Path, tmp_path: Path, card: str) -> None:
    (tmp_path / "model.joblib").write_bytes((trained / "model.joblib").read_bytes())
    (tmp_path / "card.json").write_text(card)
    world = World()
    async with serving(tmp_path, world, ready=False) as client:
        await asyncio.wait_for(world.died.wait(), 10)
        assert (await client.get("/readyz")).status_code == 503


async def test_crash_at_the_nth_request(trained: Path) -> None:
    world = World()
    async with serving(trained, world, FAULT_CRASH="request:2") as client:
        for path, deaths in (("/stream?seconds=1", 0), ("/metrics", 0), ("/stream?seconds=1", 1)):
            await client.get(path)
            assert world.deaths == deaths


async def test_crash_after_seconds(trained: Path) -> None:
    world = World(gate=asyncio.Event())
    async with serving(trained, world, FAULT_CRASH="after:5") as client:
        assert world.deaths == 0
        world.gate.set()
        await client.get("/healthz")
        await asyncio.sleep(0)
        assert (world.deaths, world.slept) == (1, [0, 5])


async def test_hold_and_stream(trained: Path) -> None:
    world = World()
    async with serving(trained, world) as client:
        world.slept.clear()
        assert (await client.post("/predict?hold=10", json=SAMPLE)).status_code == 200
        answer = await client.get("/stream?seconds=3")
        for url in ("/stream?seconds=0", "/stream?seconds=121"):
            assert (await client.get(url)).status_code == 422
        for hold in ("-1", "120.1", "nan", "x"):
            assert (await client.post(f"/predict?hold={hold}", json=SAMPLE)).status_code == 422
    assert world.slept == [10, 1, 1, 1]
    assert [json.loads(line)["second"] for line in answer.text.splitlines()] == [1, 2, 3]
    assert answer.headers["x-model-version"] == "1.2.3"


def test_switches() -> None:
    assert Switches.read({}) == Switches.read({"FAULT_CRASH": "", "PORT": "", "FAULT_LATENCY": ""}) == Switches()
    assert Switches.read({"FAULT_CRASH": "after:1.5"}).crash == Crash("after", 1.5)
    assert Switches.read({"FAULT_CRASH": "request:7"}).crash == Crash("request", 7)


BAD = """FAULT_ERROR_SHARE=1.01 FAULT_ERROR_SHARE=50% FAULT_ERROR_SHARE=nan FAULT_LATENCY=-1 FAULT_LATENCY=100ms
FAULT_LATENCY_SHARE=2 LOAD_SECONDS=inf FAULT_CRASH=maybe FAULT_CRASH=request:0 FAULT_CRASH=after: PORT=0 PORT=70000
MODEL_FORMAT=onnx"""


@pytest.mark.parametrize("text", [*BAD.split(), "MODEL_VERSION=1\r\nx: y", f"MODEL_VERSION={'v' * 64}"])
def test_bad_switches_end_the_start(text: str, capsys) -> None:
    name, _, value = text.partition("=")
    with pytest.raises(SwitchError, match=name):
        Switches.read({name: value})
    assert main({name: value}) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith(f"churn: {name}=")


def test_crash_at_start(capsys) -> None:
    assert main({"FAULT_CRASH": "start"}) == 1
    assert "FAULT_CRASH" in capsys.readouterr().err


async def test_sigterm_finishes_what_is_in_flight(trained: Path) -> None:
    # Given a real server with two answers in flight, of which the client has seen the beginning
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = {**os.environ, "MODEL_DIR": str(trained), "PORT": str(port), "OMP_NUM_THREADS": "1"}
    server = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "examples.churn.server", cwd=ROOT, env=env, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            await until_ready(client)
            answer = client.stream
            async with answer("GET", "/stream?seconds=2") as short, answer("GET", "/stream?seconds=3") as long:
                # When it is told to end, then both complete and the exit is a good one
                server.terminate()
                assert len([line async for line in short.aiter_lines()]) == 2
                assert len([line async for line in long.aiter_lines()]) == 3
        assert await asyncio.wait_for(server.wait(), 30) == 0
    finally:
        if server.returncode is None:
            server.kill()
            await server.wait()


def test_the_sample_manifest_is_valid() -> None:
    manifest = yaml.safe_load((CHURN / "modeldeployment.yaml").read_text())
    assert (manifest["apiVersion"], manifest["kind"]) == ("fairway.dev/v1alpha1", "ModelDeployment")
    spec = ModelDeploymentSpec.model_validate(manifest["spec"])
    env = {entry.name: entry.value for entry in spec.runtime.env or ()}
    assert spec.model.version == env["MODEL_VERSION"] == "1.0.0"
