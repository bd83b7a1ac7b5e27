"""Install the operator into the development cluster: what `make e2e` does before its tests."""

import asyncio

from tests.e2e.harness import install

asyncio.run(install())
