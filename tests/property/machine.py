"""The state machine: users, pods, gateways, API servers and clocks do what they do, in any order."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from tests.fakes.world import Behaviour, Fault, World
from tests.property import moves, truth
from tests.property.drive import at_rest, become_calm, live, operator_looks
from tests.property.referee import Referee
from tests.property.truth import MODEL

GATE = "risk"


class EngineMachine(RuleBasedStateMachine):
    """Everything that may happen around one ModelDeployment."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.world.analysis = self.oracle = moves.Oracle()
        self.world.restart()
        self.referee = Referee(self.world)
        self.asked: dict[str, Any] = {}
        self.commanded = 0

    # --- the user ----------------------------------------------------------------------------------------------

    @initialize(
        gateway=st.sampled_from([True, True, True, False]),
        judged=st.sampled_from([True, True, False]),
        steps=st.sampled_from(sorted(moves.STEPS)),
        scaling=st.sampled_from(sorted(moves.SCALINGS)),
        rollout=st.sampled_from([{}, *moves.ROLLOUTS]),
        grace=st.sampled_from([0.0, 20.0]),
    )
    def create(
        self, gateway: bool, judged: bool, steps: str, scaling: str, rollout: dict[str, Any], grace: float
    ) -> None:
        self.asked = {
            "version": "1.0.0", "gateway": gateway, "judged": judged, "steps": steps, "scaling": scaling,
            "rollout": rollout,
        }  # fmt: skip
        self.world.grace = grace
        self._apply()
        self.world.annotate("example.com/theirs", "hunter2")
        self._look()

    @rule(version=moves.version)
    def ask_for_version(self, version: str) -> None:
        self._apply(version=version)
        self._look()

    @rule(version=moves.version, verdict=moves.verdict, seconds=moves.seconds)
    def try_version(self, version: str, verdict: moves.Verdict, seconds: int) -> None:
        self._apply(version=version)
        self.oracle.verdict = verdict
        self._live(seconds)

    @rule(version=moves.version)
    def bring_through(self, version: str) -> None:
        """A good version goes all the way, gates and all."""
        self._apply(version=version, paused=None, state=None)
        self.world.behaviours.pop(version, None)
        self.oracle.verdict = moves.HEALTHY
        for _ in range(3):
            self._live(150)
            self._command("approve", "{run}/risk by alice: fine")
        self._live(60)

    @rule(facet=st.sampled_from(["steps", "scaling", "rollout", "judged"]), data=st.data())
    def edit(self, facet: str, data: st.DataObject) -> None:
        choices = {
            "steps": sorted(moves.STEPS), "scaling": sorted(moves.SCALINGS), "rollout": [{}, *moves.ROLLOUTS],
            "judged": [True, False],
        }  # fmt: skip
        self._apply(**{facet: data.draw(st.sampled_from(choices[facet]))})
        self._look()

    @rule(paused=st.booleans())
    def pause(self, paused: bool) -> None:
        self._apply(paused=paused or None)
        self._look()

    @rule(state=st.sampled_from(["Suspended", None, None]))
    def suspend(self, state: str | None) -> None:
        self._apply(state=state)
        self._look()

    @rule(
        command=st.sampled_from(["promote", "promote-full", "abort", "retry", "rollback"]),
        about=st.sampled_from(["now", "now", "now", "before", "nonsense"]),
    )
    def command(self, command: str, about: str) -> None:
        target = {"now": "{run}", "before": "run-1", "nonsense": "{run}; rm -rf /\n"}[about]
        self._command(command, target + ("/{step}" if command == "promote" else ""))

    @rule(
        yes=st.booleans(),
        words=st.sampled_from(
            ["{run}/risk by alice: fine", "{run}/risk by system:serviceaccount:ml:bob: ", "{run}/other by eve: yes",
             "{before}/risk by alice: old", "{run}/risk by mallory: " + "long\nwords " * 900, "risk"]
        ),
    )  # fmt: skip
    def approval(self, yes: bool, words: str) -> None:
        self._command("approve" if yes else "deny", words)

    @rule(upgrade=st.booleans())
    def restart_pods(self, upgrade: bool) -> None:
        self.commanded += 1
        stamp = f"2027-01-01T00:00:{self.commanded % 60:02d}Z"
        self._command("restart", f"upgrade-runtime {stamp}" if upgrade else stamp)

    @rule()
    def delete_and_create_again(self) -> None:
        self.world.remove("ModelDeployment", MODEL)
        self._look()
        leftover = [name for (kind, name) in self.world.objects if kind not in ("Gateway", "Pod")]
        assert not leftover, leftover
        self.referee.forget()
        self._apply()
        self._look()

    # --- the world ---------------------------------------------------------------------------------------------

    @rule(seconds=moves.seconds)
    def time_passes(self, seconds: int) -> None:
        self._live(seconds)

    @rule(seconds=moves.seconds)
    def more_time_passes(self, seconds: int) -> None:
        self._live(seconds)

    @rule(verdict=moves.verdict, seconds=moves.seconds)
    def the_samples_say(self, verdict: moves.Verdict, seconds: int) -> None:
        self.oracle.verdict = verdict
        self._live(seconds)

    @rule(version=moves.version, behaviour=moves.behaviour, again=st.booleans(), seconds=moves.seconds)
    def pods_behave(self, version: str, behaviour: Behaviour, again: bool, seconds: int) -> None:
        """Pods of a version behave so from now on, those that run included, or only new ones."""
        self.world.behaviours[version] = behaviour
        if again:
            for pod in self.world.pods(version):
                self.world.evict(pod)
        self._live(seconds)

    @rule(leave=st.booleans(), most=st.integers(1, 4), version=moves.version)
    def pods_are_evicted(self, leave: bool, most: int, version: str) -> None:
        for pod in self.world.pods(version)[:most]:
            self.world.evict(pod, leave=leave)
        self._look()

    @rule(demand=st.integers(0, 12))
    def load_changes(self, demand: int) -> None:
        self.world.demand = demand
        self._look()

    @rule(
        lag=st.sampled_from([0.0, 0.5, 4.0, 15.0]),
        refusal=st.sampled_from([None, None, ("NotAllowedByListeners", "no listener allows\nnamespace ml")]),
        on=st.sampled_from([True, True, False]),
    )
    def gateway_changes(self, lag: float, refusal: tuple[str, str] | None, on: bool) -> None:
        self.world.route_lag, self.world.route_refusal, self.world.gateway = lag, refusal, on
        self._look()

    @rule(
        kind=st.sampled_from(["Deployment", "Service", "HTTPRoute", "HorizontalPodAutoscaler", "ControllerRevision"]),
        data=st.data(),
    )
    def somebody_deletes(self, kind: str, data: st.DataObject) -> None:
        found = sorted(name for (each, name) in self.world.objects if each == kind)
        if found:
            self.world.remove(kind, data.draw(st.sampled_from(found)))
            self._look()

    @rule(replicas=st.integers(0, 6), data=st.data())
    def somebody_scales(self, replicas: int, data: st.DataObject) -> None:
        found = truth.deployments(self.world)
        if found:
            self.world.resize(dict(found[data.draw(st.sampled_from(sorted(found)))]), replicas)
            self._look()

    # --- the operator and its API server -----------------------------------------------------------------------

    @rule(fault=moves.fault)
    def something_will_fail(self, fault: Fault) -> None:
        self.world.faults.append(moves.fresh(fault))

    @rule()
    def operator_restarts(self) -> None:
        self.world.restart()
        self._look()

    @rule(late=st.booleans())
    def watches(self, late: bool) -> None:
        self.world.lag = late
        if not late:
            self.world.deliver()
        self._look()

    @rule(kind=st.sampled_from(["HTTPRoute", "Deployment", "Service", "ControllerRevision"]), error=moves.errors)
    def a_kind_is_refused(self, kind: str, error: Any) -> None:
        self.world.refuse = {kind: error}
        self._live(20)
        self.world.refuse = {}

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
