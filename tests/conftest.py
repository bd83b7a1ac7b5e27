"""Fixtures that need the cluster. Whoever asks for them is marked e2e."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.e2e.harness import Namespace, fresh_namespace, install, lock
from tests.e2e.invariants import Witness


@pytest.fixture(scope="session")
def operator() -> None:
    """The operator, installed with its chart once for all tests, also where several processes run them."""
    with lock():
        asyncio.run(install())


@pytest.fixture
async def ns(operator: None) -> AsyncIterator[Namespace]:
    """A namespace of the test's own, in a cluster that has the operator; a witness records what happens in it."""
    async with fresh_namespace() as namespace, Witness(namespace.name):
        yield namespace
