"""What the numbers say, and what happens when they do not come: a broken provider holds, a query can judge."""

import asyncio
import json
import re
from typing import Any

import pytest

from tests.e2e import surroundings
from tests.e2e.harness import Namespace, condition, serves, taken_away
from tests.e2e.loading import plan
from tests.e2e.programs import kubectl
from tests.e2e.specs import model
from tests.load.generator import Load

pytestmark = [pytest.mark.e2e, pytest.mark.load]

ERRORS = {"name": "errors", "errors": {"below": "2%"}}
HANGING = ERRORS | {"provider": "hanging"}
HELD = [{"weight": 20, "for": "1h"}]
QUICK = [{"weight": 20, "for": "2s"}, {"weight": 50, "for": "2s"}]

FAULTS = {
    "unreachable": {"refused": "ProviderError", "hangs": "ProviderError", "500": "ProviderError"},
    "refusing": {"401": "ProviderError", "redirect": "ProviderError", "warning": "ProviderError"},
    "unreadable": {"html": "ProviderError", "nan": "NoData", "huge": "NoData"},
    "countless": {"inf": "NoData", "empty": "NoData", "many": "NoData"},
}
"""Every fault of S29 and the verdict that it must lead to, by the provider that shows it; they break side by side."""
WELL = ("Undecided", "Healthy")


async def fault(word: str, provider: str) -> None:
    """Break a provider in this way, or mend it with ``none``."""
    code = f"open('/tmp/fault', 'w').write({word!r})"
    await kubectl("-n", surroundings.PLACE, "exec", surroundings.PLACE, "-c", provider, "--", "python3", "-c", code)


def routed(ns: Namespace, version: str, *objectives: dict[str, Any], host: str = "", **more: Any) -> dict[str, Any]:
    """A spec behind the gateway, with these objectives."""
    traffic = {"hostnames": [f"{host}{ns.host}"]}
    return model(version, objectives=list(objectives), traffic=traffic, **more)


def weight(status: dict[str, Any]) -> int:
    return int(status.get("candidate", {}).get("weight", 0))


def verdict(status: dict[str, Any]) -> str:
    return str(status.get("verdict", {}).get("state", ""))


async def a_while(ns: Namespace) -> dict[str, Any]:
    """Return the status after 20 s that this machine had for itself, or after four minutes."""
    for _ in range(12):
        away = taken_away()
        await asyncio.sleep(20)
        status = await ns.status()
        if taken_away() - away < 1:
            break
    return status


@pytest.mark.long
@pytest.mark.parametrize("provider", FAULTS)
async def test_s29_every_fault_holds_with_its_reason_and_passes(ns: Namespace, provider: str) -> None:
    """Given a run under load, when the provider breaks in some way, then it holds, says why, and goes on afterwards."""
    judged = ERRORS | {"provider": provider}
    await fault("none", provider)
    await ns.apply(routed(ns, "1.0.0", judged))
    await ns.healthy("1.0.0")
    await ns.answers()
    async with ns.load(30) as load:
        await ns.apply(routed(ns, "1.1.0", judged, rollout={"steps": HELD}))
        await ns.until("a verdict", lambda s: weight(s) == 20 and verdict(s) in WELL)
        for word, state in FAULTS[provider].items():
            await fault(word, provider)
            status = await ns.until(f"{word} is {state}", lambda s, state=state: verdict(s) == state)
            assert weight(status) == 20, word
            assert status["phase"] == "Progressing", word
            assert condition(status, "MetricsReady")[0] == "False", word
            assert "169.254" not in json.dumps(status), word
            await fault("none", provider)
            status = await ns.until(f"after {word}", lambda s: verdict(s) in WELL)
            assert condition(status, "MetricsReady") == ("True", "Measured"), word
        if provider == "unreachable":
            await fault("slow", provider)
            status = await a_while(ns)  # an answer that takes 3 s is an answer: nothing may come of it
            assert (verdict(status) in WELL, weight(status)) == (True, 20)
            await fault("none", provider)
        result = await load.stop()
    assert result.losses == []


@pytest.mark.long
async def test_s29_others_keep_their_pace_and_the_held_run_goes_on_afterwards(ns: Namespace) -> None:
    """Given a hanging provider, when two models roll out, then one waits and the other does not."""
    await fault("none", "hanging")
    await ns.apply(routed(ns, "1.0.0", HANGING))
    await ns.apply(routed(ns, "1.0.0", ERRORS, host="other."), name="other")
    await ns.healthy("1.0.0")
    await ns.until("other serves", lambda s: s.get("phase") == "Healthy", name="other")
    await ns.answers()
    await ns.until("it can be asked", lambda s: condition(s, "MetricsReady") == ("True", "Measured"))
    await fault("hangs", "hanging")
    beside = Load(plan(ns.url, 60, host=f"other.{ns.host}"))
    async with ns.load(40) as load, beside:
        await ns.apply(routed(ns, "1.1.0", HANGING, rollout={"steps": QUICK, "watch": {"for": "5s"}}))
        await ns.apply(routed(ns, "1.1.0", ERRORS, host="other.", rollout={"steps": QUICK}), name="other")
        await ns.until("other is promoted", lambda s: serves(s) == "1.1.0", name="other")
        await ns.until("it is held at 20 %", lambda s: verdict(s) == "ProviderError" and weight(s) == 20)
        await asyncio.sleep(20)  # long enough for both steps, had there been evidence
        assert weight(await ns.status()) == 20
        await fault("none", "hanging")
        await ns.until("it goes on", lambda s: serves(s) == "1.1.0")
        await load.stop()
        await beside.stop()


async def test_s23_a_query_of_ones_own_rolls_back(ns: Namespace) -> None:
    """Given an objective in PromQL, when 1.1.0 breaks it, then it is out, and the number stands in the status."""
    own = {"name": "share", "query": surroundings.SHARE, "below": "0.1", "provider": "free"}
    await ns.apply(routed(ns, "1.0.0", own))
    await ns.healthy("1.0.0")
    await ns.answers()
    async with ns.load(60) as load:
        await ns.until("it is measured", lambda s: condition(s, "MetricsReady") == ("True", "Measured"))
        bad = {"FAULT_ERROR_SHARE": "0.5"}
        await ns.apply(routed(ns, "1.1.0", own, env=bad, rollout={"steps": HELD}))
        status = await ns.until("it is out", lambda s: s["phase"] == "RolledBack")
        await load.stop()
    assert condition(status, "UpToDate") == ("False", "Regressed")
    assert re.search("[34] of the last", status["message"])  # a fourth answer may be there when it is decided
    assert status["verdict"]["objectives"][0]["limit"] == "below 0.1"


async def test_s23_a_template_promotes_what_keeps_it(ns: Namespace) -> None:
    """Given an admin's query as objective, when 1.1.0 keeps it, then it takes over."""
    template = {"name": "share", "template": "error-share", "below": "0.1", "provider": "free"}
    await ns.apply(routed(ns, "1.0.0", template))
    await ns.healthy("1.0.0")
    await ns.answers()
    async with ns.load(60) as load:
        await ns.apply(routed(ns, "1.1.0", template, rollout={"steps": QUICK}))
        await ns.until("1.1.0 serves", lambda s: serves(s) == "1.1.0")
        await load.stop()


async def test_s2_what_cannot_be_asked_is_said_at_once(ns: Namespace) -> None:
    """Given objectives that nobody can answer, when they are applied, then MetricsReady says which and why."""
    wrong = {
        "UnknownProvider": ERRORS | {"provider": "mimir"},
        "UnknownTemplate": {"name": "d", "template": "drift", "below": "1", "provider": "free"},
        "InvalidQuery": {"name": "d", "query": "max(up)", "below": "1", "provider": "free"},
        "QueryNotAllowed": {"name": "d", "query": "max(up{$selector})", "below": "1"},
    }
    for reason, objective in wrong.items():
        await ns.apply(routed(ns, "1.0.0", objective))
        await ns.until("it serves", lambda s: serves(s) == "1.0.0")  # until then nothing is looked at
        await ns.until(reason, lambda s, reason=reason: condition(s, "MetricsReady") == ("False", reason))
    await ns.healthy("1.0.0")
