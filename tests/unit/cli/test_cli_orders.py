"""What is written for each verb, what is said about it, and why it may be refused: on statuses of the real engine."""

import copy
import re
from pathlib import Path

import pytest

from fairway.cli.errors import CliError, Exit
from fairway.cli.orders import Wish, order
from fairway.cli.rights import Person
from fairway.core.commands import NAMES, pending

ROOT = Path(__file__).resolve().parents[3]
ANN = Person("ann", ("risk-team",))


@pytest.fixture
def model(worlds):
    return lambda scene: copy.deepcopy(worlds[scene].model())


def ask(verb, model, **more):
    return order(Wish(verb=verb, model=model, person=ANN, now=1_800_000_000.0, **more))


def why_not(verb, model, **more):
    with pytest.raises(CliError) as caught:
        ask(verb, model, **more)
    assert caught.value.code == Exit.REFUSED
    return caught.value.message


@pytest.mark.parametrize(
    ("verb", "scene", "more", "value", "says"),
    [
        ("promote", "canary", {}, "run-2/1", "1.1.0 goes from 5% to 25%, whatever the samples say"),
        ("promote", "canary", {"full": True}, "run-2", "it still waits for the approval risk-review"),
        ("abort", "canary", {}, "run-2", "1.1.0 goes from 5% to 0 and is rejected, 1.0.0 serves all"),
        ("retry", "rolled_back", {}, "run-2", "forgives 1.1.0"),
        ("rollback", "watched", {}, "run-2", "1.0.0 takes over again at once"),
        ("approve", "gate", {"message": "looks good"}, "run-2/risk-review by ann: looks good", "as ann"),
        ("approve", "gate", {}, "run-2/risk-review by ann: ", "as ann"),
        ("deny", "gate", {"message": "drift"}, "run-2/risk-review by ann: drift", "1.1.0 is taken out"),
        ("restart", "serving", {}, "2027-01-15T08:00:00Z", "replaces the pods of 1.0.0 one by one"),
        ("restart", "canary", {}, "2027-01-15T08:00:00Z", "the pods of 1.0.0 and 1.1.0"),
    ],
)
def test_a_command_names_exactly_what_it_is_about(model, verb, scene, more, value, says):
    """Given a moment, when asked, then the engine understands the annotation, and people what it will do."""
    made = ask(verb, model(scene), **more)
    assert made.value == value
    assert says in made.says
    assert made.command in NAMES
    annotations = made.patch["metadata"]["annotations"]
    (command,) = pending(annotations, {}).values()
    assert command.value == value
    assert command.by == ("ann" if verb in ("approve", "deny") else "")


def test_pause_and_resume_edit_the_spec(model):
    found = model("canary")
    assert ask("pause", found).patch == {"spec": {"paused": True}}
    assert "holds run-2 at 5%" in ask("pause", found).says
    found["spec"]["paused"] = True
    assert ask("resume", found).patch == {"spec": {"paused": None}}
    assert why_not("pause", found) == "churn is paused already"
    assert "fairway resume churn first" in why_not("promote", found)


@pytest.mark.parametrize(
    ("place", "key", "tool"),
    [
        ("annotations", "argocd.argoproj.io/tracking-id", "Argo CD"),
        ("labels", "kustomize.toolkit.fluxcd.io/name", "Flux"),
    ],
)
def test_an_edit_that_git_will_undo_is_warned_of(model, place, key, tool):
    found = model("canary")
    found["metadata"].setdefault(place, {})[key] = "x"
    assert ask("pause", found).warning.startswith(f"{tool} applies this object from Git")
    assert ask("abort", found).warning == ""


@pytest.mark.parametrize(
    ("verb", "scene", "more", "reason"),
    [
        ("promote", "serving", {}, "churn has no open run: it is Healthy"),
        ("promote", "gate", {}, "waits for the approval risk-review: fairway approve churn"),
        ("promote", "crashing", {}, "step 1 of run-2 has not begun: it waits for 0 of 1 pods ready"),
        ("promote", "pending", {}, "on its last move to 100%"),
        ("abort", "serving", {}, "no open run"),
        ("abort", "pending", {}, "nothing to go back to"),
        ("retry", "canary", {}, "run-2 is open"),
        ("retry", "serving", {}, "has rejected nothing"),
        ("rollback", "canary", {}, "fairway abort churn ends it"),
        ("rollback", "serving", {}, "the first version that is remembered"),
        ("approve", "canary", {}, "waits for no approval now; the approval risk-review comes later"),
        ("approve", "serving", {}, "no open run"),
        ("restart", "pending", {}, "nothing serves churn yet"),
        ("restart", "serving", {"upgrade": True}, "has not changed"),
        ("resume", "canary", {}, "churn is not paused"),
    ],
)
def test_what_cannot_work_now_is_refused_with_the_reason(model, verb, scene, more, reason):
    assert reason in why_not(verb, model(scene), **more)


@pytest.mark.parametrize("message", ["", "looks good"])
@pytest.mark.parametrize("verb", ["approve", "deny"])
def test_the_admission_policy_takes_the_words(model, verb, message):
    """Given a word with a comment or without, then it has the form that the shipped policy asks for."""
    policies = (ROOT / "charts/fairway/templates/policies.yaml").read_text(encoding="utf-8")
    form = re.search(r"name: wellFormed.*?matches\('([^']+)'\)", policies, re.DOTALL)
    assert form is not None
    assert re.search(form[1], ask(verb, model("gate"), message=message).value)


def test_only_an_approver_approves(model):
    found = model("gate")
    found["status"]["run"]["plan"][2]["approvers"] = ["system:admins", "bob"]
    assert why_not("approve", found) == "you are ann; only system:admins, bob may decide risk-review"
    found["status"]["run"]["plan"][2]["approvers"] = ["risk-team"]
    assert ask("approve", found).value.startswith("run-2/risk-review by ann:")


def test_a_name_that_cannot_be_recorded_is_refused(model):
    with pytest.raises(CliError, match=r"cannot be recorded.*--as"):
        order(Wish("approve", model("gate"), Person("Ann Lee")))


def test_an_object_that_no_operator_has_seen_is_refused(model):
    found = model("serving")
    del found["status"]
    assert "does it run?" in why_not("abort", found)
