"""The model server: `python -m churn.server`."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import uvicorn
from fastapi import FastAPI, HTTPException, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse

from .faults import CrashAtRequest, Effects, Faults
from .features import Features, Prediction
from .model import Model, ModelError, load
from .switches import SwitchError, Switches
from .telemetry import CountRequests, Telemetry

LONGEST = 120  # seconds that one request may be asked to take
# Longer than gateways keep an idle connection to us (Traefik 90 s, Envoy 1 h): if we closed first, the gateway's next
# POST would meet a closed connection, and no gateway may retry a POST.
KEEP_ALIVE = 3700
DRAIN = 75  # seconds for the requests in flight at SIGTERM; a 60 s stream fits

Hold = Annotated[float, Query(ge=0, le=LONGEST, allow_inf_nan=False)]
Seconds = Annotated[int, Query(ge=1, le=LONGEST)]


class State:
    """What changes while the server runs: the model, absent until it is loaded."""

    model: Model | None = None


def create_app(switches: Switches, directory: Path, effects: Effects | None = None) -> FastAPI:
    """Build the application; loading begins with its lifespan."""
    effects = effects or Effects()
    state, telemetry, faults = State(), Telemetry(), Faults(switches, effects)

    async def load_model() -> None:
        await effects.sleep(switches.load_seconds)
        try:
            state.model = await asyncio.to_thread(load, directory, switches.model_format)
        except ModelError as error:
            print(error, file=sys.stderr, flush=True)
            effects.die()
            return
        print(f"churn {switches.version} is ready", flush=True)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(load_model()), asyncio.create_task(faults.die_after())]
        yield
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    app = FastAPI(title="churn", version=switches.version, lifespan=lifespan, docs_url=None, redoc_url=None)
    if switches.crash and switches.crash.when == "request":
        app.add_middleware(CrashAtRequest, at=int(switches.crash.value), die=effects.die)
    app.add_middleware(CountRequests, telemetry=telemetry, version=switches.version)
    app.add_exception_handler(RequestValidationError, _unprocessable)
    _serve_predictions(app, switches, state, faults, effects)
    _serve_operations(app, state, telemetry)
    return app


def _serve_predictions(app: FastAPI, switches: Switches, state: State, faults: Faults, effects: Effects) -> None:
    @app.post("/predict", response_model=None)
    async def predict(features: Features, hold: Hold = 0.0) -> Response:
        """Predict; `hold` keeps the request in flight for that long first."""
        if state.model is None:
            raise HTTPException(503, "the model is loading")
        if hold:
            await effects.sleep(hold)
        await faults.delay()
        if faults.fails():
            return JSONResponse({"detail": "injected failure"}, 500, {"x-fault": "injected"})
        probability = state.model.probability(features.row())
        answer = Prediction(probability=probability, version=switches.version)
        return Response(answer.model_dump_json(), media_type="application/json")

    @app.get("/stream", response_model=None)
    async def stream(seconds: Seconds = 10) -> Response:
        """Send one line a second, for tests of draining."""

        async def lines() -> AsyncIterator[str]:
            for second in range(1, seconds + 1):
                await effects.sleep(1)
                yield json.dumps({"second": second, "of": seconds, "version": switches.version}) + "\n"

        return StreamingResponse(lines(), media_type="application/x-ndjson")


def _serve_operations(app: FastAPI, state: State, telemetry: Telemetry) -> None:
    @app.get("/healthz", response_model=None)
    async def healthz() -> Response:
        return PlainTextResponse("alive\n")

    @app.get("/readyz", response_model=None)
    async def readyz() -> Response:
        ready = state.model is not None
        return PlainTextResponse("ready\n" if ready else "loading\n", 200 if ready else 503)

    @app.get("/metrics", response_model=None)
    async def metrics(request: Request) -> Response:
        body, content_type = telemetry.expose(request.headers.get("accept", ""))
        return Response(body, headers={"content-type": content_type})


async def _unprocessable(_: Request, error: Any) -> Response:
    # FastAPI's own answer repeats the input, and a NaN in it cannot be written as JSON: a 500 for a client's mistake.
    problems = [{"loc": problem["loc"], "msg": problem["msg"]} for problem in error.errors()]
    return JSONResponse({"detail": problems}, 422)


def main(env: Mapping[str, str]) -> int:
    """Serve until SIGTERM; returns the exit code: 2 for a bad switch, 1 for FAULT_CRASH=start."""
    try:
        switches = Switches.read(env)
    except SwitchError as error:
        print(f"churn: {error}", file=sys.stderr, flush=True)
        return 2
    if switches.crash and switches.crash.when == "start":
        print("FAULT_CRASH: exit at start", file=sys.stderr, flush=True)
        return 1
    # uvicorn drains on SIGTERM, then raises it again for the handler from before: a drained end is a good one.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    uvicorn.run(
        create_app(switches, Path(env.get("MODEL_DIR") or "model")),
        host="0.0.0.0",  # noqa: S104 - a pod is reached from outside of it
        port=switches.port,
        access_log=False,  # a line per request costs as much as the prediction
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=DRAIN,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(os.environ))
