"""What happens to a model, told to a real receiver by the installed operator."""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.e2e import surroundings
from tests.e2e.harness import Namespace, empty_namespace, named_namespace
from tests.e2e.invariants import Witness
from tests.e2e.programs import kubectl
from tests.e2e.release import OPERATOR
from tests.e2e.specs import ONE, standin

pytestmark = pytest.mark.e2e

Delivery = dict[str, Any]


@pytest.fixture
async def told(operator: None) -> AsyncIterator[Namespace]:
    """The namespace whose news the receiver gets."""
    await empty_namespace(surroundings.TOLD)
    async with named_namespace(surroundings.TOLD) as namespace, Witness(namespace.name):
        yield namespace
    await kubectl("delete", "namespace", surroundings.TOLD, "--wait=false")


async def deliveries(uid: str) -> list[Delivery]:
    """Everything that came to the receiver about this model, and no other that had its name, in its order."""
    async with httpx.AsyncClient(trust_env=False, timeout=60.0) as client:
        came = (await client.get(await surroundings.url(*surroundings.WEBHOOKS))).json()
    return [each for each in came if json.loads(each["body"])["data"]["uid"] == uid]


async def taken(uid: str, count: int, seconds: float = 120.0) -> list[Delivery]:
    """Wait until the receiver has taken so many; return all tries."""
    found: list[Delivery] = []
    async with asyncio.timeout(seconds):
        while sum(each["status"] == 204 for each in found) < count:
            await asyncio.sleep(0.5)
            found = await deliveries(uid)
    return found


async def key() -> bytes:
    """The key that the operator has mounted."""
    secret, name = surroundings.KEY
    shown = await kubectl("-n", OPERATOR, "get", "secret", secret, "-o", f"jsonpath={{.data.{name}}}")
    return base64.b64decode(base64.b64decode(shown).removeprefix(b"whsec_"))


def signature(key: bytes, headers: dict[str, str], body: str) -> str:
    """What Standard Webhooks 1.0 wants: HMAC-SHA256 of id, time and body."""
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.{body}".encode()
    return f"v1,{base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()}"


async def test_a_receiver_that_refuses_each_once_has_all_of_a_run_in_the_end(told: Namespace) -> None:
    """Given a run that is aborted, then its receiver has what the Events say, in their order, signed, and each once."""
    ns = told
    await ns.apply(standin("1.0.0", **ONE))
    await ns.healthy("1.0.0")
    await ns.apply(standin("1.1.0", **ONE, rollout={"steps": [{"weight": 50, "for": "1h"}]}))
    status = await ns.until("half of it", lambda s: s.get("candidate", {}).get("weight") == 50)
    await kubectl("-n", ns.name, "annotate", "md", "churn", f"fairway.dev/abort={status['run']['id']}")
    await ns.until("it is back", lambda s: s["phase"] == "RolledBack")
    await ns.told("RolledBack")
    events = await ns.events()
    tries = await taken((await ns.get("modeldeployment"))["metadata"]["uid"], len(events))
    assert [each["status"] for each in tries] == [503, 204] * len(events)
    assert all(first["body"] == again["body"] for first, again in zip(tries[::2], tries[1::2], strict=True))
    made = await key()
    assert all(each["headers"]["webhook-signature"] == signature(made, each["headers"], each["body"]) for each in tries)
    news = [json.loads(each["body"]) for each in tries[1::2]]
    assert [(each["data"]["reason"], each["data"]["message"]) for each in news] == events
    assert {each["subject"] for each in news} == {f"{ns.name}/churn"}
    assert len({each["id"] for each in news}) == len(news)
    last = news[-1]["data"]
    assert (last["warning"], last["phase"], last["stable"]["version"]) == (True, "RolledBack", "1.0.0")
