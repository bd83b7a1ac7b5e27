"""The order in which tests begin that run beside each other."""

import os

import pytest


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Deal the tests to the workers like cards, the long ones first: each worker begins with a block of the list.

    In the order of their files, one worker would get the longest of them and still run when all others are idle.
    """
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    ordered = sorted(items, key=lambda item: item.get_closest_marker("long") is None)
    items[:] = [item for worker in range(workers) for item in ordered[worker::workers]]
