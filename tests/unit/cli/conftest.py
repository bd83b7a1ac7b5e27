"""Times are shown in the local time zone: here that is UTC."""

import asyncio

import pytest

from tests.fakes.clock import utc
from tests.fakes.scenes import SCENES
from tests.fakes.world import World


@pytest.fixture(autouse=True)
def local_time():
    with utc():
        yield


@pytest.fixture(scope="session")
def worlds():
    """Every scene, played once. Nobody changes them."""

    async def play():
        played = {}
        for name, scene in SCENES.items():
            played[name] = World()
            await scene(played[name])
        return played

    return asyncio.run(play())
