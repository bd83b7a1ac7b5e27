"""Following one object while the API server is away, forgets, or refuses: what passes is waited for, the rest told."""

import asyncio
from collections.abc import Callable
from contextlib import asynccontextmanager

import pytest

from tests.fakes import scenes
from tests.fakes.served import Served
from tests.fakes.terminal import Shell

FAILED = 1
PAUSE = 0.05


@pytest.fixture
async def served():
    async with Served() as world:
        await scenes.canary(world)
        yield world


@pytest.fixture
def fairway(served, tmp_path):
    return Shell(served, tmp_path)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(15):
        while not holds():
            await asyncio.sleep(0.01)


@asynccontextmanager
async def following(fairway, served, *words):
    """Given a program that follows, when something happens inside, then the program ends by itself."""
    running = asyncio.create_task(fairway(*words, pause=PAUSE))
    await until(lambda: served.watches > 0)
    yield running
    await asyncio.wait_for(running, 15)


WAIT = ("wait", "churn", "--timeout", "14s")


async def test_a_server_that_is_away_for_a_moment_is_waited_for(served, fairway):
    """Given a wait, when nobody listens for a while, then it goes on, and tells what happened meanwhile."""
    async with following(fairway, served, *WAIT) as waiting:
        await served.shut()
        served.command("abort", "run-2")
        await served.live(5)
        await asyncio.sleep(5 * PAUSE)
        assert not waiting.done()
        await served.open()
    assert "run-2 was aborted" in waiting.result().err


async def test_a_watch_without_an_end_outlives_the_api_server(served, fairway):
    """Given a watch in a pipe, when nobody listens for a while and then the object goes, then both are survived."""
    async with following(fairway, served, "status", "churn", "--watch") as watching:
        await served.shut()
        await asyncio.sleep(5 * PAUSE)
        assert not watching.done()
        before = served.watches
        await served.open()
        await until(lambda: served.watches > before)
        served.remove("ModelDeployment", "churn")
    assert watching.result().err == "fairway: churn was deleted\n"


async def test_pods_that_cannot_be_read_for_a_moment_do_not_end_a_watch(served, fairway):
    """Given a watch in a pipe, when the pods cannot be read, then the change is told all the same."""
    async with following(fairway, served, "status", "churn", "--watch") as watching:
        served.broken.add("pods")
        served.command("abort", "run-2")
        await served.live(5)
        await until(lambda: served.requests[-1][1].endswith("/pods"))
        served.remove("ModelDeployment", "churn")
    assert "was rolled back: Aborted" in watching.result().out
    assert "pods is broken" in watching.result().out


async def test_what_the_api_server_has_forgotten_is_read_again(served, fairway):
    """Given watches that begin too long ago, when the run ends, then that is seen by reading."""
    served.expired = True
    async with following(fairway, served, *WAIT) as waiting:
        served.command("abort", "run-2")
        await served.live(5)
    assert "run-2 was aborted" in waiting.result().err


async def test_an_object_that_went_while_nobody_watched_is_noticed(served, fairway):
    """Given watches that begin too long ago, when the object is deleted, then the wait ends."""
    served.expired = True
    async with following(fairway, served, *WAIT) as waiting:
        served.remove("ModelDeployment", "churn")
    assert waiting.result().code == FAILED
    assert waiting.result().err.endswith("fairway: there is no ModelDeployment churn in namespace ml\n")


@pytest.mark.parametrize("words", [WAIT, ("status", "churn", "--watch")])
async def test_a_missing_right_to_watch_ends_at_once(served, fairway, words):
    served.forbidden.add(("watch", "modeldeployments"))
    async with asyncio.timeout(10):
        ended = await fairway(*words, pause=PAUSE)
    assert ended.code == FAILED
    assert ended.err.endswith(
        "fairway: you may not watch modeldeployments.fairway.dev in namespace ml: ask for that right\n"
    )


async def test_a_right_that_is_taken_away_ends_the_wait(served, fairway):
    served.expired = True
    async with following(fairway, served, *WAIT) as waiting:
        served.forbidden.add(("get", "modeldeployments"))
    assert "you may not get modeldeployments.fairway.dev in namespace ml" in waiting.result().err


async def test_connections_that_end_at_once_are_not_opened_in_a_hurry(served, fairway):
    """Given watches that end at once, when events are followed, then the next one waits for its turn."""
    served.watch_seconds = 0.0
    following_events = asyncio.create_task(fairway("events", "churn", "--watch", pause=0.5))
    await until(lambda: served.watches > 0)
    await asyncio.sleep(0.8)
    assert served.watches == 2
    served.forbidden.add(("watch", "events"))
    ended = await asyncio.wait_for(following_events, 10)
    assert ended.err == "fairway: you may not watch events in namespace ml: ask for that right\n"


async def test_events_go_on_after_the_api_server_was_away(served, fairway):
    """Given events that are followed, when nobody listens for a while, then each is told, and told once."""
    following_events = asyncio.create_task(fairway("events", "churn", "--watch", pause=PAUSE))
    await until(lambda: served.watches > 0)
    await served.shut()
    served.command("abort", "run-2")
    await served.live(5)
    await asyncio.sleep(5 * PAUSE)
    before = served.watches
    await served.open()
    await until(lambda: served.watches > before)
    await asyncio.sleep(0.2)
    served.forbidden.add(("watch", "events"))
    await served.shut()
    await served.open()
    ended = await asyncio.wait_for(following_events, 10)
    assert ended.out.count("RunStarted  run-2") == 1
    assert ended.out.count("RolledBack") == 1
