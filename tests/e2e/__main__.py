"""What `make e2e` does before its tests: install the operator, and make the model that nobody touches meanwhile."""

import asyncio

from tests.e2e.harness import idle_model, install


async def prepare() -> None:
    """Install, then begin to idle."""
    await install()
    await idle_model()


asyncio.run(prepare())
