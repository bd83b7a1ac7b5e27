"""What `make e2e` does before its tests: install the operator, and make the model that nobody touches meanwhile."""

import asyncio
from datetime import UTC, datetime

from tests import stories
from tests.e2e import surroundings
from tests.e2e.harness import STARTED, idle_model
from tests.e2e.release import install, remember


async def prepare() -> None:
    """Install, then begin to idle; note when, for what judges the audit log at the end."""
    STARTED.parent.mkdir(exist_ok=True)
    STARTED.write_text(datetime.now(UTC).isoformat(), encoding="utf-8")
    for story in stories.RECORDED.glob("tests-e2e-*"):
        story.unlink()  # told by another build
    await remember(await surroundings.make())
    await install()
    await idle_model()


asyncio.run(prepare())
