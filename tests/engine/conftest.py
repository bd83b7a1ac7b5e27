"""Every test over the simulated cluster leaves its story for those who judge what others see of it."""

import os
from collections.abc import Iterator

import pytest

from tests.fakes.apiserver import ApiServer
from tests.stories import Stories


@pytest.fixture(scope="session", autouse=True)
def _stories() -> Iterator[None]:
    stories = Stories()
    ApiServer.witnesses.append(stories.saw)
    yield
    ApiServer.witnesses.remove(stories.saw)
    stories.write(f"engine-{os.environ.get('PYTEST_XDIST_WORKER', 'alone')}")
