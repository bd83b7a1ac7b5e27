"""Deliberately broken engines: the invariants of the state machine must see each of them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, Verbosity, settings
from hypothesis.stateful import run_state_machine_as_test

from fairway.api.status import Run
from fairway.core import capacity
from fairway.core.rollout import crash, decide, progress, regression, rollback
from fairway.core.rollout.situation import Concern, Policy, Situation, Transition
from fairway.engine import reconciler
from tests.fakes import world
from tests.fakes.world import Behaviour
from tests.property import moves, truth
from tests.property.core import RolloutMachine
from tests.property.moves import Verdict
from tests.property.truth import ViolationError

pytestmark = pytest.mark.no_cover

BOUND = settings(
    max_examples=400,
    stateful_step_count=15,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.generate],
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
    verbosity=Verbosity.quiet,
)

Break = Callable[[pytest.MonkeyPatch], None]


def _chain(patch: pytest.MonkeyPatch, sound: Concern, broken: Concern | None) -> None:
    """Put a broken concern in the place of a sound one; None leaves it out."""

    def inner(concern: Concern) -> Concern:
        cells = getattr(concern, "__closure__", None) or ()
        return cells[0].cell_contents if cells else concern

    assert any(inner(concern) is sound for concern in decide.CHAIN)
    chain = (broken if inner(concern) is sound else concern for concern in decide.CHAIN)
    patch.setattr(decide, "CHAIN", tuple(concern for concern in chain if concern is not None))


def regression_is_ignored_while_the_candidate_is_down(patch: pytest.MonkeyPatch) -> None:
    def broken(s: Situation) -> Transition | None:
        return regression.regressed(s) if s.candidate.ready or not s.status.run else None

    _chain(patch, regression.regressed, broken)


def rollback_forgets_what_it_refused(patch: pytest.MonkeyPatch) -> None:
    sound = rollback.roll_back

    def broken(*args: Any) -> Transition:
        done = sound(*args)
        return Transition(done.status.model_copy(update={"refused": None}), done.events)

    for module in (rollback, regression, crash):
        patch.setattr(module, "roll_back", broken)


def weight_comes_before_the_pods_are_ready(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(progress, "capacity", SimpleNamespace(**{**vars(capacity), "candidate": lambda *_: 0}))


def weight_stays_when_the_pods_are_gone(patch: pytest.MonkeyPatch) -> None:
    _chain(patch, crash.lost_its_pods, None)


def pods_go_without_delay(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(world, "Policy", functools.partial(Policy, scale_down_delay=0.0))


def children_are_written_before_the_status(patch: pytest.MonkeyPatch) -> None:
    class Broken(reconciler.Reconciler):
        async def _pass(self, *args: Any) -> float | None:
            record, late = self._record, []

            async def later(*recorded: Any) -> Any:
                late.append(recorded)
                return recorded[0]

            self._record = later  # type: ignore[method-assign]
            try:
                wake = await super()._pass(*args)
            finally:
                self._record = record  # type: ignore[method-assign]
            await record(*late[0])
            return wake

    patch.setattr(world, "Reconciler", Broken)


def steps_are_left_without_a_verdict(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(progress, "may_leave", lambda *_: True)


def steps_are_left_before_their_time(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(progress, "step_ends", lambda *_: 0.0)


def steps_are_skipped(patch: pytest.MonkeyPatch) -> None:
    sound = progress.leave

    def broken(s: Situation, run: Run) -> Transition:
        left = sound(s, run)
        onward = left.status.run
        assert onward is not None
        skipped = onward.model_copy(update={"step": min(onward.step + 1, len(run.plan))})
        return Transition(left.status.model_copy(update={"run": skipped}), left.events)

    patch.setattr(progress, "leave", broken)


def nobody_wakes_up_in_time(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(decide, "_wake", lambda _: None)


def every_look_says_something_new(patch: pytest.MonkeyPatch) -> None:
    sound = decide.report

    def broken(s: Situation, **more: Any) -> Any:
        told = sound(s, **more)
        return told.model_copy(update={"message": told.message + ("" if s.status.message.endswith(".") else ".")})

    patch.setattr(decide, "report", broken)


def the_words_of_the_registry_are_repeated(patch: pytest.MonkeyPatch) -> None:
    sound = decide.report

    def broken(s: Situation, **more: Any) -> Any:
        told = sound(s, **more)
        words = s.candidate.cause.message if s.candidate.cause else ""
        return told.model_copy(update={"message": f"{told.message}\n{words}"})

    patch.setattr(decide, "report", broken)


every_broken_engine = pytest.mark.parametrize(
    ("engine", "rules"),
    [
        (regression_is_ignored_while_the_candidate_is_down, "rollback"),
        (rollback_forgets_what_it_refused, "I2|I9"),
        (weight_comes_before_the_pods_are_ready, "I1|I4"),
        (weight_stays_when_the_pods_are_gone, "I1"),
        (pods_go_without_delay, "I6"),
        (children_are_written_before_the_status, "fence"),
        (steps_are_left_without_a_verdict, "I3"),
        (steps_are_left_before_their_time, "I3|I5"),
        (steps_are_skipped, "I5"),
        (nobody_wakes_up_in_time, "I7|I9"),
        (every_look_says_something_new, "I7"),
        (the_words_of_the_registry_are_repeated, "I10"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)


def tell(machine: RolloutMachine) -> None:
    """A story in which each of the broken engines has its chance: promoted, held, down, regressed, refused, stuck."""
    fine, undecided = Behaviour(), Verdict("Undecided")
    machine.create(
        gateway=True, judged=True, steps="two", scaling="four", rollout={"watch": {"for": "1m"}}, grace=0.0, seconds=34
    )
    machine.try_version("1.1.0", moves.HEALTHY, Behaviour(load=25), 400)
    machine.try_version("1.2.0", undecided, fine, 130)
    machine.pods_behave("candidate", Behaviour(never_ready=True), again=False, verdict=undecided, seconds=12)
    machine.the_samples_say(Verdict("Regressed"), 130)
    machine.try_version("2.0.0-rc.1", moves.HEALTHY, Behaviour(pull_error=moves.LEAK), 34)
    machine.teardown()


@every_broken_engine
def test_a_broken_engine_is_caught(engine: Break, rules: str, monkeypatch: pytest.MonkeyPatch) -> None:
    engine(monkeypatch)
    monkeypatch.setattr(truth, "OVERLOOKED", [f"^(?!({rules}):)"])  # nothing else may catch it
    with pytest.raises(ViolationError, match=f"^({rules}):"):
        tell(RolloutMachine())


def test_the_sound_engine_is_not() -> None:
    tell(RolloutMachine())


@pytest.mark.hunt
@every_broken_engine
def test_a_broken_engine_is_found_at_random(engine: Break, rules: str, monkeypatch: pytest.MonkeyPatch) -> None:
    engine(monkeypatch)
    monkeypatch.setattr(truth, "OVERLOOKED", [f"^(?!({rules}):)"])
    with pytest.raises(ViolationError, match=f"^({rules}):"):
        run_state_machine_as_test(RolloutMachine, settings=BOUND)
