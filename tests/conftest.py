"""Fixtures that need the cluster (whoever asks for them is marked e2e), and Hypothesis' manners."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from tests.e2e.harness import Namespace

# ruff: noqa: PLC0415  what only the cluster's fixtures need is a client of it, a second that other tests do without

# No test fails because the machine is busy.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


@pytest.fixture(scope="session")
def operator() -> None:
    """The operator, installed with its chart once for all tests, also where several processes run them."""
    from tests.e2e.release import install, lock

    with lock():
        asyncio.run(install())


@pytest.fixture
async def ns(operator: None) -> AsyncIterator[Namespace]:
    """A namespace of the test's own, in a cluster that has the operator; a witness records what happens in it."""
    from tests.e2e.harness import fresh_namespace
    from tests.e2e.invariants import Witness

    async with fresh_namespace() as namespace, Witness(namespace.name) as witness:
        namespace.seen = witness.statuses
        yield namespace
