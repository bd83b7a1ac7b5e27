"""Whether what was asked for has happened, cannot happen any more, or may still: on statuses of the real engine."""

import copy

import pytest

from fairway.api.rollout import ALL
from fairway.cli.effects import effect, goal
from fairway.cli.errors import CliError, Exit
from fairway.cli.orders import Wish, order
from fairway.cli.rights import Person

ANN = Person("ann", ("risk-team",))


@pytest.fixture
def model(worlds):
    return lambda scene: copy.deepcopy(worlds[scene].model())


def ask(verb, model, **more):
    return order(Wish(verb=verb, model=model, person=ANN, now=1_800_000_000.0, **more))


def test_a_promotion_has_happened_when_the_next_step_has_begun(model):
    asked = effect(ask("promote", model("canary")))
    assert asked(model("canary")).state == "not yet"
    assert asked(model("gate")).state == "yes"
    assert asked(model("watched")).state == "yes"
    back = asked(model("rolled_back"))
    assert (back.state, back.code) == ("no", Exit.OTHERWISE)
    assert "Regressed: errors: 50%" in back.words


def test_a_full_promotion_stops_at_an_approval(model):
    asked = effect(ask("promote", model("canary"), full=True))
    assert asked(model("canary")).state == "not yet"
    assert (asked(model("gate")).state, asked(model("gate")).code) == ("held", Exit.NOT_YET)
    assert asked(model("watched")).state == "yes"


def test_an_abort_has_happened_when_the_run_is_rolled_back(model):
    asked = effect(ask("abort", model("canary")))
    assert asked(model("canary")).state == "not yet"
    assert asked(model("rolled_back")).state == "yes"
    assert asked(model("watched")).state == "no"


def test_an_upgrade_of_the_runtime_replaces_no_pods(model):
    found = model("serving")
    found["status"]["effective"]["runtimeUpgrade"] = "other"
    asked = ask("restart", found, upgrade=True)
    found["status"]["commands"] = {"restart": asked.value}
    assert effect(asked)(found).words == "the operator has taken it: a new revision is tried"


def test_a_rollback_that_did_not_come_about_is_told(model):
    """Given the version before, which does not start, when rolled back, then the one that still serves is told."""
    asked, after = ask("rollback", model("watched")), model("watched")
    status, looked = after["status"], effect(asked)
    assert looked(after).state == "not yet"
    status["commands"] = {"rollback": asked.value}
    status["run"] = {"id": "run-3"}
    assert looked(after).state == "not yet"
    del status["run"]
    failed = {"run": "run-3", "version": "1.0.0", "outcome": "RolledBack", "reason": "Crashed: exit code 1"}
    status["history"].insert(0, failed)
    assert (looked(after).state, looked(after).words) == ("no", "1.1.0 still serves: Crashed: exit code 1")
    status["stable"] |= {"revision": "former", "version": "1.0.0"}
    assert (looked(after).state, looked(after).words) == ("yes", "1.0.0 serves everything")


def test_a_retry_that_is_over_already_is_told(model):
    """Given a run that ends between two looks, when retried, then its end is told, and not waited for."""
    asked, after = ask("retry", model("rolled_back")), model("rolled_back")
    looked = effect(asked)
    assert looked(after).state == "not yet"
    after["status"]["commands"] = {"retry": asked.value}
    last = {"run": "run-3", "version": "1.1.0", "outcome": "RolledBack", "reason": "Crashed: exit code 1"}
    after["status"]["history"].insert(0, last)
    assert (looked(after).state, looked(after).words) == ("no", "1.1.0 was rolled back: Crashed: exit code 1")
    last["outcome"] = "Promoted"
    assert looked(after).state == "yes"


def test_an_approval_that_somebody_else_gave_first_counts(model):
    asked, after = ask("approve", model("gate")), model("gate")
    assert effect(asked)(after).state == "not yet"
    given = copy.deepcopy(after)
    given["status"]["run"]["approvals"] = [{"name": "risk-review", "by": "bob"}]
    assert effect(asked)(given).state == "yes"
    after["status"]["run"]["step"] += 1
    assert effect(asked)(after).state == "yes"


def test_a_denial_after_somebody_elses_approval_cannot_come_any_more(model):
    """Given a yes that was heeded first, when denied, then it is told who was first, and what ends the run now."""
    asked, after = ask("deny", model("gate")), model("gate")
    assert effect(asked)(after).state == "not yet"
    run = after["status"]["run"]
    run["approvals"] = [{"name": "another-review", "by": "eve"}]
    assert effect(asked)(after).state == "not yet"
    run["approvals"].append({"name": "risk-review", "by": "bob"})
    told = "risk-review of run-2 was approved by bob: 1.1.0 goes on; fairway abort churn takes it out"
    for run["step"], run["stage"] in ((2, "Observing"), (3, "Scaling")):
        found = effect(asked)(after)
        assert (found.state, found.code, found.words) == ("no", Exit.OTHERWISE, told)
    assert effect(asked)(model("rolled_back")).state == "yes"
    assert effect(asked)(model("watched")).state == "no"


@pytest.mark.parametrize(
    ("verb", "scene", "more"),
    [("approve", "gate", {}), ("promote", "canary", {}), ("promote", "canary", {"full": True})],
)
def test_a_candidate_that_is_to_go_is_not_waited_for(model, verb, scene, more):
    """Given a rollback that waits for stable's first ready pod, then nothing that leads forward comes any more."""
    asked, after = ask(verb, model(scene), **more), model(scene)
    after["status"]["run"] |= {"stage": "RollingBack", "end": "Denied", "endMessage": "risk-review was denied by bob"}
    told = "1.1.0 is being rolled back: Denied: risk-review was denied by bob"
    # The run may have gone on, or been approved, in the same moment.
    for change in ({}, {"approvals": [{"name": "risk-review", "by": "ann"}]}, {"step": 3}):
        after["status"]["run"] |= change
        assert (effect(asked)(after).state, effect(asked)(after).words) == ("no", told)
    assert goal("step=5")(after).words == told


@pytest.mark.parametrize("verb", ["abort", "deny"])
def test_a_candidate_that_is_to_go_is_what_an_end_waits_for(model, verb):
    asked, after = ask(verb, model("gate")), model("gate")
    after["status"]["run"] |= {"stage": "RollingBack", "approvals": [{"name": "risk-review", "by": "bob"}]}
    assert effect(asked)(after).state == "not yet"


@pytest.mark.parametrize("more", [{}, {"full": True}])
def test_a_promotion_of_a_run_that_was_paused_needs_another_word(model, more):
    asked, after = ask("promote", model("canary"), **more), model("canary")
    after["status"]["conditions"].append({"type": "Paused", "status": "True", "reason": "PausedBySpec"})
    found = effect(asked)(after)
    assert (found.state, found.code) == ("held", Exit.NOT_YET)
    assert found.words == "spec.paused holds run-2: fairway resume churn lets it go on"


def test_a_rollback_whose_run_was_paused_needs_another_word(model):
    asked, after = ask("rollback", model("watched")), model("watched")
    after["status"]["run"] = {"id": "run-3"}
    after["status"]["conditions"].append({"type": "Paused", "status": "True", "reason": "PausedBySpec"})
    assert effect(asked)(after).state == "held"


@pytest.mark.parametrize(("verb", "done"), [("pause", "resumed"), ("resume", "paused again")])
def test_a_pause_is_over_when_the_spec_says_otherwise(model, verb, done):
    """Given an edit that somebody has undone, then the operator's having seen the spec proves nothing."""
    before, after = model("canary"), model("canary")
    before["spec"]["paused"] = verb == "resume"
    asked = ask(verb, before)
    found = effect(asked)(before)
    assert (found.state, found.code) == ("no", Exit.OTHERWISE)
    assert found.words == f"it was {done} meanwhile, by a person or by what applies it from Git"
    after["spec"]["paused"] = verb == "pause"
    assert effect(asked)(after).state == "yes"


def test_a_retry_of_what_the_spec_no_longer_asks_for_cannot_come(model):
    asked, after = ask("retry", model("rolled_back")), model("rolled_back")
    del after["status"]["refused"]
    found = effect(asked)(after)
    assert (found.state, found.words) == ("no", "the spec no longer asks for what run-2 rejected")


def test_a_restart_that_gave_way_to_another_is_told(model):
    """Given another restart before the operator has seen ours, then ours is never handled."""
    asked, after = ask("restart", model("serving")), model("serving")
    notes = after["metadata"].setdefault("annotations", {})
    notes["fairway.dev/restart"] = asked.value
    assert effect(asked)(after).state == "not yet"
    notes["fairway.dev/restart"] = "2027-01-15T08:00:01Z"
    assert (effect(asked)(after).state, effect(asked)(after).words) == ("no", "another restart has taken its place")
    after["status"]["commands"] = {"restart": asked.value}
    assert effect(asked)(after).state == "yes"


def test_what_was_handled_is_read_from_the_status(model):
    asked, after = ask("restart", model("serving")), model("serving")
    assert effect(asked)(after).state == "not yet"
    after["status"]["commands"] = {"restart": asked.value}
    assert effect(asked)(after).state == "yes"


@pytest.mark.parametrize(
    ("text", "scene", "state"),
    [
        ("ready", "serving", "yes"),
        ("ready", "pending", "not yet"),
        ("uptodate", "serving", "yes"),
        ("UpToDate", "canary", "not yet"),
        ("uptodate", "rolled_back", "no"),
        ("step=1", "canary", "yes"),
        ("step=2", "canary", "not yet"),
        ("step=3", "gate", "yes"),
        ("step=2", "watched", "yes"),
        ("step=2", "rolled_back", "no"),
        ("step=1", "crashing", "not yet"),
    ],
)
def test_goals(model, text, scene, state):
    assert goal(text)(model(scene)).state == state


@pytest.mark.parametrize("text", ["ready", "uptodate", "step=1"])
def test_a_status_of_an_older_spec_proves_nothing(model, text):
    """Given an edit that the operator has not seen, when waited for, then the old status is not believed."""
    found = model("serving")
    found["metadata"]["generation"] += 1
    assert goal(text)(found).state == "not yet"


@pytest.mark.parametrize("text", ["", "step=", "step=0", "step=x", "healthy", f"step=-{ALL}"])
def test_another_goal_is_a_usage_error(text):
    with pytest.raises(CliError) as caught:
        goal(text)
    assert caught.value.code == Exit.USAGE
