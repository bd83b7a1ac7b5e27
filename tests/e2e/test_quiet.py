"""P6: what a promotion costs the API server, and that a settled model costs it nothing."""

import asyncio
import time
from itertools import pairwise

import pytest

from tests.e2e import audit
from tests.e2e.harness import IDLE, Manifest, Namespace, condition, epoch, idle_model, named_namespace
from tests.e2e.programs import kubectl
from tests.e2e.specs import standin

pytestmark = pytest.mark.e2e

MOST_WRITES = 17
"""Of a promotion in five steps: two for each step, and seven."""
EVENTS = 1 + 5 + 1
"""One for each transition."""


@pytest.mark.long
async def test_p6_a_promotion_in_five_steps_costs_seventeen_writes_and_no_read(ns: Namespace) -> None:
    """Given a model that was promoted before, when it goes up in 5 steps, then 17 writes and nothing is read."""

    def spec(version: str, weights: tuple[int, ...]) -> Manifest:
        steps = [{"weight": weight, "for": "1s"} for weight in weights]
        one = {"scaling": {"replicas": 1}, "traffic": {"hostnames": [ns.host]}}
        return standin(version, rollout={"steps": steps, "watch": {"for": "0s"}}, **one)

    await ns.apply(spec("1.0.0", ()))
    await ns.healthy("1.0.0")
    # The first change of a route or Service that was created turns its ownership into one by apply: once in its life.
    await ns.apply(spec("1.1.0", ()))
    await ns.healthy("1.1.0")
    async with asyncio.timeout(240):
        while len(await ns.items("services")) > 2:  # the last of 1.0.0 that goes
            await asyncio.sleep(0.3)
    mark, began, start = audit.mark(), time.time(), len(ns.seen["churn"])  # the log may be a moment late
    await ns.apply(spec("1.2.0", (5, 20, 40, 60, 80)))
    await ns.healthy("1.2.0")
    end = time.monotonic() + 60
    while (
        len(told(asked := [each for each in audit.requests(mark, ns.name) if each.at >= began])) < EVENTS
    ):  # nobody waits for an Event to be written
        assert time.monotonic() < end, await ns.events()
        await asyncio.sleep(0.3)
    writes = [str(each) for each in asked if not each.is_read and each.about != "events"]
    assert [str(each) for each in asked if each.is_read] == []
    assert len(writes) <= MOST_WRITES + late_routers(ns.seen["churn"][start:]), writes
    assert len(told(asked)) == EVENTS


def late_routers(statuses: list[Manifest]) -> int:
    """How often it was written that a router has not confirmed its weights in time, and then that it has."""
    waits = [condition(status, "RouteReady") == ("Unknown", "Pending") for status in statuses]
    return sum(before != after for before, after in pairwise(waits))


def told(asked: list[audit.Request]) -> list[audit.Request]:
    """The Events among what was asked."""
    return [each for each in asked if each.about == "events"]


async def changed(ns: Namespace) -> float:
    """When the world last gave a reason to write: a pod that is not ready for a moment is one, for half a minute."""
    return 30 + max(
        epoch(each["lastTransitionTime"]) for pod in await ns.pods("1.0.0") for each in pod["status"]["conditions"]
    )


@pytest.mark.alone
async def test_p6_ten_idle_minutes_cost_nothing() -> None:
    """Given a settled model with objectives, when ten minutes pass and the operator restarts, then nothing is written.

    `make e2e` makes it before the first test, so that it idles beside them; alone, this test takes its ten minutes.
    """
    async with named_namespace(IDLE) as ns:
        if not await ns.items("modeldeployments"):
            await idle_model()
        status = await ns.until("metrics are seen", lambda s: condition(s, "MetricsReady") == ("True", "Measured"))
        last = max(epoch(each["lastTransitionTime"]) for each in status["conditions"])
        async with asyncio.timeout(1800):
            while (left := (settled := max(last + 1, await changed(ns))) + 600 - time.time()) > 0:
                await asyncio.sleep(min(left, 5.0))
        asked = [each for each in audit.requests(None, IDLE) if each.at > settled]
        assert [str(each) for each in asked if not each.is_read] == []
        assert (await ns.status())["conditions"] == status["conditions"]
    await kubectl("delete", "namespace", IDLE, "--wait=false")
