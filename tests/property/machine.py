"""The state machine: users, pods, gateways, API servers and clocks do what they do, in any order."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import rule

from tests.property import moves, truth
from tests.property.core import RolloutMachine
from tests.property.truth import MODEL


class EngineMachine(RolloutMachine):
    """Everything that may happen around one ModelDeployment."""

    # --- the user ----------------------------------------------------------------------------------------------

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

    @rule(state=st.sampled_from(["Suspended", None, None]), seconds=moves.seconds)
    def suspend(self, state: str | None, seconds: int) -> None:
        self._apply(state=state)
        self._live(seconds)

    @rule(named=st.booleans(), seconds=moves.seconds)
    def name_a_runtime(self, named: bool, seconds: int) -> None:
        """Given the name of a ModelRuntime that is not there, then no revision can be made of the spec."""
        self._apply(runtime={"name": "gone"} if named else None)
        self._live(seconds)

    @rule(
        command=st.sampled_from(["promote", "promote-full", "abort", "retry", "rollback"]),
        about=st.sampled_from(["{before}", "run-99", "{run}; rm -rf /\n"]),
    )
    def wrong_command(self, command: str, about: str) -> None:
        self._command(command, about + ("/{step}" if command == "promote" else ""))

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
