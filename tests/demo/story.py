"""The play itself: one act after the other, under load from the first answer on."""

import asyncio
from collections.abc import Mapping

from fairway.api.status import Status
from tests.demo import acts, manifest
from tests.demo.acts import Act
from tests.demo.kube import DemoError, Kube
from tests.demo.stage import Stage
from tests.demo.summary import Seen, seconds_to_zero, tally
from tests.demo.terminal import Terminal
from tests.load import Load, Plan, Result, run

STARTING = 120.0
ROUTE = 30.0
WATCHING = 60.0
LONGEST = 1200.0  # never reached: every act has its deadline
# Requests still arrive after the weight is 0: the gateway takes up to 2 s, slow answers a little more.
AFTERMATH = 4.0


class Story:
    """Tells the acts, and keeps what was seen even of a play that breaks off."""

    def __init__(self, kube: Kube, terminal: Terminal, env: Mapping[str, str]) -> None:
        self._kube = kube
        self._terminal = terminal
        self._url = f"{env['FAIRWAY_GATEWAY_URL']}/predict"
        self._stage = Stage(kube, terminal)

    async def tell(self) -> Seen:
        """Play everything; a failure ends the play, not the account of it."""
        load, failure = Result(started=0.0, samples=()), None
        async with self._stage.watched():
            try:
                await self._first()
                async with Load(self._plan(LONGEST)) as loading:
                    failure = await self._acts(loading)
                    load = await loading.stop()
            except DemoError as problem:
                failure = str(problem)
        return Seen(status=self._stage.status, record=self._stage.record, load=load, failure=failure)

    async def _first(self) -> None:
        version = acts.FIRST
        self._terminal.heading(f"{version} comes up")
        await self._kube.apply(manifest.model(version))
        await self._stage.until(lambda status: serves(status, version), f"{version} serves", STARTING)
        await self._answers()
        self._terminal.note(f"the load begins: {acts.RATE:g} requests a second, until the end")

    async def _answers(self) -> None:
        """Wait until the gateway has taken up the route: what is lost before that says nothing about anybody."""
        for _ in range(round(ROUTE)):
            if (await run(self._plan(1.0, rate=10.0))).lost == 0:
                return
        raise DemoError(f"no answers from {self._url} for {acts.HOST} within {ROUTE:.0f} s")

    async def _acts(self, load: Load) -> str | None:
        """Play the acts; return why they broke off, if so."""
        try:
            for act in acts.ACTS:
                await self._perform(act)
                await asyncio.sleep(AFTERMATH)
                self._account(act, load.result())
        except DemoError as problem:
            return str(problem)
        return None

    async def _perform(self, act: Act) -> None:
        self._terminal.heading(act.heading)
        await self._kube.apply(manifest.model(act.version, act.env))
        ends = f"{act.version} promoted or rolled back"
        await self._stage.until(lambda status: ending(status, act.version) is not None, ends, act.seconds)
        # While the former version is warm, a breach still brings it back.
        await self._stage.until(lambda status: status.former is None, "the end of the watch window", WATCHING)
        ended = ending(self._stage.status, act.version)
        if ended != act.ending:
            raise DemoError(
                f"{act.version} should have been {act.ending}, but was {ended}: {self._stage.status.message}"
            )

    def _account(self, act: Act, load: Result) -> None:
        seconds = seconds_to_zero(act, self._stage.record, load)
        self._terminal.note(tally(act, load, seconds))

    def _plan(self, seconds: float, rate: float = acts.RATE) -> Plan:
        return Plan(url=self._url, host=acts.HOST, rate=rate, seconds=seconds)


def serves(status: Status, version: str) -> bool:
    """Whether this version is what everybody gets, by the route, too."""
    routed = any(c.type == "RouteReady" and c.status == "True" for c in status.conditions)
    return routed and status.run is None and status.stable is not None and status.stable.version == version


def ending(status: Status, version: str) -> str | None:
    """How the run of a version ended; None while it runs."""
    entries = (entry for entry in status.history if entry.version == version)
    return next((entry.outcome for entry in entries), None)
