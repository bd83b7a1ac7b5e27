"""What is seen of the model while the play runs: three watches, one record, and waiting for something to come true."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager

from fairway.api.status import Status
from tests.demo import acts
from tests.demo.kube import DemoError, Kube, Manifest
from tests.demo.record import Record
from tests.demo.terminal import Terminal
from tests.demo.timeline import event_line, status_lines

_MODELS = "modeldeployments.fairway.dev"
_ROUTES = "httproutes.gateway.networking.k8s.io"
_MINE = f"--field-selector=involvedObject.kind=ModelDeployment,involvedObject.name={acts.NAME}"


class Stage:
    """The model as its status, its Events and its route describe it, told to the terminal as it changes."""

    def __init__(self, kube: Kube, terminal: Terminal) -> None:
        self.status = Status()
        self.record = Record()
        self._kube = kube
        self._terminal = terminal
        self._told: set[str] = set()
        self._changed = asyncio.Condition()
        self._broken: Exception | None = None

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Watch as long as the block runs."""
        watches = [
            self._follow(self.see_model, _MODELS),
            self._follow(self.see_route, _ROUTES),
            self._follow(self.see_event, "events", _MINE),
        ]
        tasks = [asyncio.create_task(watch) for watch in watches]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def until(self, reached: Callable[[Status], bool], what: str, seconds: float) -> None:
        """Wait until a status says so; raises DemoError at the deadline, or when nothing is seen any more."""
        try:
            async with asyncio.timeout(seconds), self._changed:
                await self._changed.wait_for(lambda: self._broken is not None or reached(self.status))
        except TimeoutError:
            raise DemoError(f"{what}: not within {seconds:.0f} s") from None
        if self._broken:
            raise DemoError(f"a watch broke: {self._broken!r}") from self._broken

    async def see_model(self, model: Manifest) -> None:
        """Take in the ModelDeployment."""
        status = Status.model_validate(model.get("status", {}))
        self.record.see_status(status, time.time())
        for line in status_lines(self.status, status):
            self._terminal.line(line)
        async with self._changed:
            self.status = status
            self._changed.notify_all()

    async def see_route(self, route: Manifest) -> None:
        """Take in the live HTTPRoute."""
        self.record.see_route(route, time.time())

    async def see_event(self, event: Manifest) -> None:
        """Take in an Event; a watch that began again brings the old ones once more."""
        uid = event["metadata"]["uid"]
        line = None if uid in self._told else event_line(event)
        self._told.add(uid)
        if line:
            self._terminal.line(line)

    async def _follow(self, see: Callable[[Manifest], Awaitable[None]], *words: str) -> None:
        try:
            async with aclosing(self._kube.watch(*words, "-n", acts.NAMESPACE)) as seen:
                async for manifest in seen:
                    await see(manifest)
        except Exception as problem:  # whatever it is, whoever waits must hear of it
            async with self._changed:
                self._broken = problem
                self._changed.notify_all()
