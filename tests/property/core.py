"""The rollout itself: versions, verdicts, pods, commands and time, around one ModelDeployment."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from tests.fakes.world import Behaviour, Fault, World
from tests.property import moves
from tests.property.drive import at_rest, become_calm, live, operator_looks
from tests.property.referee import Referee

COMMANDS = ["promote", "promote-full", "abort", "retry", "rollback"]


class RolloutMachine(RuleBasedStateMachine):
    """What every rollout meets."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.world.analysis = self.oracle = moves.Oracle()
        self.world.restart()
        self.referee = Referee(self.world)
        self.asked: dict[str, Any] = {}
        self.commanded = 0

    @initialize(
        gateway=st.sampled_from([True, True, True, False]),
        judged=st.sampled_from([True, True, False]),
        steps=st.sampled_from(sorted(moves.STEPS)),
        scaling=st.sampled_from(sorted(moves.SCALINGS)),
        rollout=st.sampled_from([{}, *moves.ROLLOUTS]),
        grace=st.sampled_from([0.0, 20.0]),
        seconds=moves.seconds,
    )
    def create(
        self, gateway: bool, judged: bool, steps: str, scaling: str, rollout: dict[str, Any], grace: float, seconds: int
    ) -> None:
        self.asked = {
            "version": "1.0.0", "gateway": gateway, "judged": judged, "steps": steps, "scaling": scaling,
            "rollout": rollout,
        }  # fmt: skip
        self.world.grace = grace
        self._apply()
        self.world.annotate("example.com/theirs", "hunter2")
        self._live(seconds)

    # --- the user ----------------------------------------------------------------------------------------------

    @rule(version=moves.version, verdict=moves.verdict, behaviour=moves.behaviour, seconds=moves.seconds)
    def try_version(self, version: str, verdict: moves.Verdict, behaviour: Behaviour, seconds: int) -> None:
        self._apply(version=version)
        self.world.behaviours[version] = behaviour
        self.oracle.verdict = verdict
        self._live(seconds)

    @rule(version=moves.version, verdict=moves.verdict, seconds=moves.seconds)
    def try_good_version(self, version: str, verdict: moves.Verdict, seconds: int) -> None:
        self.try_version(version, verdict, Behaviour(), seconds)

    @rule(version=moves.version)
    def bring_through(self, version: str) -> None:
        """A good version goes all the way, gates and all."""
        self._apply(version=version, paused=None, state=None, runtime=None)
        self.world.behaviours.pop(version, None)
        self.oracle.verdict = moves.HEALTHY
        for _ in range(3):
            self._live(150)
            self._command("approve", "{run}/risk by alice: fine")
        self._live(60)

    @rule(command=st.sampled_from(COMMANDS), seconds=moves.seconds)
    def command(self, command: str, seconds: int) -> None:
        self._command(command, "{run}/{step}" if command == "promote" else "{run}")
        self._live(seconds)

    # --- the world ---------------------------------------------------------------------------------------------

    @rule(seconds=moves.seconds)
    def time_passes(self, seconds: int) -> None:
        self._live(seconds)

    @rule(verdict=moves.verdict, seconds=moves.seconds)
    def the_samples_say(self, verdict: moves.Verdict, seconds: int) -> None:
        self.oracle.verdict = verdict
        self._live(seconds)

    @rule(role=moves.role, behaviour=moves.behaviour, again=st.booleans(), verdict=moves.verdict, seconds=moves.seconds)
    def pods_behave(self, role: str, behaviour: Behaviour, again: bool, verdict: moves.Verdict, seconds: int) -> None:
        """Pods of a revision behave so from now on, those that run included, or only new ones; and it is judged so."""
        version = self._version(role)
        self.world.behaviours[version] = behaviour
        if again:
            for pod in self.world.pods(version):
                self.world.evict(pod)
        self.oracle.verdict = verdict
        self._live(seconds)

    @rule(leave=st.booleans(), most=st.integers(1, 4), role=moves.role)
    def pods_are_evicted(self, leave: bool, most: int, role: str) -> None:
        for pod in self.world.pods(self._version(role))[:most]:
            self.world.evict(pod, leave=leave)
        self._look()

    @rule(demand=st.integers(0, 12))
    def load_changes(self, demand: int) -> None:
        self.world.demand = demand
        self._look()

    @rule(fault=moves.fault)
    def something_will_fail(self, fault: Fault) -> None:
        self.world.faults.append(moves.fresh(fault))

    # --- in the end --------------------------------------------------------------------------------------------

    def teardown(self) -> None:
        if self.asked:
            become_calm(self.world, self.oracle, self.referee)

    # --- helpers -----------------------------------------------------------------------------------------------

    def _apply(self, **change: Any) -> None:
        self.asked |= change
        self.referee.bans.asked(self.asked["version"])
        written = moves.spec(**self.asked)
        self.world.kubectl_apply({key: value for key, value in written.items() if value is not None})

    def _version(self, role: str) -> str:
        """The version that has this role now."""
        status = self.world.model().get("status") or {}
        return str((status.get(role) or {}).get("version", self.asked["version"]))

    def _command(self, command: str, value: str) -> None:
        status = self.world.model().get("status") or {}
        run = status.get("run") or {"id": f"run-{status.get('runs', 0)}"}
        number = int(run["id"].removeprefix("run-"))
        words = value.format(run=run["id"], step=run.get("step", 0) + 1, before=f"run-{max(1, number - 1)}")
        self.world.command(command, words)
        self._look()

    def _live(self, seconds: float) -> None:
        live(self.world, seconds)
        at_rest(self.world, self.referee)

    def _look(self) -> None:
        operator_looks(self.world)
        at_rest(self.world, self.referee)
