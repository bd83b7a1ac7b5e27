"""Fixtures that need the cluster (whoever asks for them is marked e2e), and Hypothesis' manners."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from hypothesis import HealthCheck, settings

from tests.e2e.harness import Namespace, fresh_namespace, install, lock
from tests.e2e.invariants import Witness

# No test fails because the machine is busy.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


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
