"""The recorder of the tape: a canary and a rollback of the engine, seen by the real program at its own terminal."""

import asyncio
import json
import os
import sys
import time

from tests.fakes import scenes
from tests.fakes.served import Served
from tests.tape.__main__ import SIZE, tape
from tests.tape.cast import frames, record

PODS = ("GET", "/api/v1/namespaces/ml/pods")


async def story(served):
    """1.1.0 is tried and promoted; 1.2.0 breaks its promise."""
    steps = {"rollout": {"steps": [{"weight": 5, "for": "20s"}, {"weight": 25, "for": "20s"}], "watch": {"for": "10m"}}}
    served.kubectl_apply(scenes.spec("1.1.0", **steps))
    for state in ("Undecided", "Healthy"):
        await until(served, lambda: served.status().candidate and served.status().candidate.weight)
        served.say(state, objectives=(scenes.errors(state), scenes.latency(state)))
        await asyncio.sleep(1)
    await until(served, lambda: served.status().stable.version == "1.1.0")
    # The view reads the pods anew for each picture: the second time from here on, what it shows is the promotion.
    before = served.requests.count(PODS)
    await until(served, lambda: served.requests.count(PODS) >= before + 2)
    served.kubectl_apply(scenes.spec("1.2.0", **steps))
    await until(served, lambda: served.status().candidate and served.status().candidate.weight == 5)
    served.say("Undecided", objectives=(scenes.errors(value="2.9%", log10_evidence=1.2, requests=70), scenes.latency()))
    await asyncio.sleep(1)
    words = "errors: 31% vs 0.19% stable (limit 1%), evidence 10^4.2 of 10^3.6, 96 requests"
    worse = scenes.errors("Regressed", value="31%", log10_evidence=4.2, requests=96, message=words)
    served.say("Regressed", objectives=(worse, scenes.latency()))


async def test_a_character_that_comes_in_two_pieces_is_one():
    """Given a program that writes half a character, when it is recorded, then nothing is lost or replaced."""
    script = (
        "import sys, time; o = sys.stdout.buffer; o.write(b'\\xe2\\x94'); o.flush(); time.sleep(0.2); o.write(b'\\x9c')"
    )
    written = await record([sys.executable, "-c", script], os.environ, size=(80, 24), until=lambda _: False, seconds=20)
    assert len(written) > 1
    assert frames(written)[-1][1] == ["├"]


async def until(served, holds):
    async with asyncio.timeout(60):
        while not holds():
            await asyncio.sleep(0.05)


async def test_a_canary_and_a_rollback_are_recorded(tmp_path):
    async with Served(time=time.time(), pace=10.0) as served:
        served.kubectl_apply(scenes.spec("1.0.0"))
        await served.live(60)
        config = tmp_path / "config"
        config.write_text(served.kubeconfig())
        recording = asyncio.create_task(tape(["churn"], os.environ | {"KUBECONFIG": str(config)}, tmp_path, 90.0))
        try:
            await until(served, lambda: served.watches)
            await story(served)
            told = await recording
        finally:
            recording.cancel()
    assert any("Progressing  1.1.0 at 5%" in line for line in told), told
    assert any("Progressing  1.1.0 at 25%" in line for line in told), told
    assert any("Healthy  1.1.0 serves" in line for line in told), told
    assert "RolledBack  1.1.0 serves; 1.2.0 was rolled back" in told[-1]
    head, *events = [json.loads(line) for line in (tmp_path / "tape.cast").read_text().splitlines()]
    assert (head["version"], head["width"], head["height"]) == (2, *SIZE)
    assert all(kind == "o" for _, kind, _ in events)
    assert "```text" in (tmp_path / "tape.md").read_text()
