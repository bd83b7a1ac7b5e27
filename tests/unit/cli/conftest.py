"""Times are shown in the local time zone: here that is UTC."""

import asyncio
import os
import time

import pytest

from tests.fakes.scenes import SCENES
from tests.fakes.world import World


@pytest.fixture(autouse=True)
def utc():
    before = os.environ.get("TZ")
    os.environ["TZ"] = "UTC"
    time.tzset()
    yield
    os.environ.pop("TZ") if before is None else os.environ.update(TZ=before)
    time.tzset()


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
