"""The models: what they read, how they write it, and the path in what they refuse."""

import math

import pytest
from pydantic import BaseModel, ValidationError

from fairway.api.runtime import ModelRuntimeSpec
from fairway.api.spec import ModelDeploymentSpec
from fairway.api.status import Run, Status
from fairway.api.types import (
    Duration,
    Latency,
    Percent,
    Time,
    format_duration,
    format_latency,
    format_percent,
    format_time,
)
from tests.contract.refusals import ACCEPTED, MINIMAL, REFUSED


class Scalars(BaseModel):
    duration: Duration | None = None
    latency: Latency | None = None
    percent: Percent | None = None
    time: Time | None = None


def path_of(error: ValidationError) -> str:
    """The path of the first finding, as the API server would write it."""
    location = error.errors()[0]["loc"]
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in ("spec", *location))[1:]


@pytest.mark.parametrize("example", ACCEPTED, ids=lambda example: example.why)
def test_what_the_api_server_takes_is_understood(example):
    ModelDeploymentSpec.model_validate(example.full())


@pytest.mark.parametrize("example", REFUSED, ids=lambda example: example.why)
def test_what_the_api_server_refuses_is_refused_with_the_path(example):
    """An object stored under an older CRD meets the same rules here; a model is blamed where no field can be."""
    with pytest.raises(ValidationError) as refusal:
        ModelDeploymentSpec.model_validate(example.full())
    path = path_of(refusal.value)
    assert path.startswith("spec")
    assert example.field.startswith(path)


@pytest.mark.parametrize(
    ("example", "says"),
    [
        ("no port", "the port of the model server must be given"),
        ("no runtime at all", "runtime.name: name a ModelRuntime"),
        ("user and password", "without user and password"),
        ("a digest beside a reference", "digest: an oci:// model is pinned in its reference"),
        ("two volumes in one place", "mount paths must differ, but '/scratch' is there twice"),
        ("replicas and a bound", "replicas: with minReplicas and maxReplicas an autoscaler of ours owns the size"),
        ("an approval that is observed", "for belongs to a step with a weight"),
        ("an approval twice", "'review' is there twice"),
        ("no ready", "must be more than zero"),
        ("weights that fall", "must not fall"),
        ("weight 100 twice", "weight 100 may only be the last step"),
        ("a name twice", "'errors' is there twice"),
        ("a variable twice", "'A' is there twice"),
        ("a gateway alone", "a gateway needs hostnames"),
        ("a duration without a unit", "not a duration"),
        ("more than all", "not a percentage"),
    ],
)
def test_the_reason_is_readable(example, says):
    (refused,) = (found for found in REFUSED if found.why == example)
    with pytest.raises(ValidationError, match=says):
        ModelDeploymentSpec.model_validate(refused.full())


def test_a_spec_is_written_as_it_was_read():
    (everything,) = (example for example in ACCEPTED if example.why == "every field")
    spec = ModelDeploymentSpec.model_validate(everything.spec)
    written = spec.model_dump(mode="json", by_alias=True, exclude_none=True)
    assert written["rollout"] == everything.spec["rollout"]
    assert written["objectives"] == everything.spec["objectives"]
    assert ModelDeploymentSpec.model_validate(written) == spec


def test_a_runtime_may_leave_everything_to_the_deployments():
    assert ModelRuntimeSpec.model_validate({}) == ModelRuntimeSpec()


def test_a_runtime_has_no_variable_twice():
    with pytest.raises(ValidationError, match="'A' is there twice"):
        ModelRuntimeSpec.model_validate({"env": [{"name": "A"}, {"name": "A"}]})


def test_models_are_immutable():
    spec = ModelDeploymentSpec.model_validate(MINIMAL)
    with pytest.raises(ValidationError, match="frozen"):
        spec.model = spec.model


@pytest.mark.parametrize(
    ("text", "seconds"), [("0s", 0), ("90s", 90), ("2m", 120), ("1h30m", 5400), ("1h1m1s", 3661), ("120s", 120)]
)
def test_durations_are_read_as_seconds(text, seconds):
    assert Scalars(duration=text).duration == seconds
    assert Scalars(duration=format_duration(seconds)).duration == seconds


@pytest.mark.parametrize("text", ["", "90", "1.5h", "-2m", "2 m", "30s2m", "2m\n", "99999h", None, [], {}])
def test_what_is_no_duration_is_refused(text):
    class Strict(BaseModel):
        duration: Duration

    with pytest.raises(ValidationError, match="not a duration"):
        Strict.model_validate({"duration": text})


@pytest.mark.parametrize(("text", "seconds"), [("50ms", 0.05), ("0.5s", 0.5), ("250us", 0.00025), ("2s", 2)])
def test_latencies_are_read_as_seconds(text, seconds):
    assert math.isclose(Scalars(latency=text).latency, seconds)
    assert math.isclose(Scalars(latency=format_latency(seconds)).latency, seconds)


@pytest.mark.parametrize("text", ["", "50", "50 ms", "1.2.3ms", "ms", "50ms\n", "50m"])
def test_what_is_no_latency_is_refused(text):
    with pytest.raises(ValidationError, match="not a latency"):
        Scalars(latency=text)


@pytest.mark.parametrize(("text", "fraction"), [("1%", 0.01), ("0%", 0), ("100%", 1), ("0.5%", 0.005)])
def test_percentages_are_read_as_fractions(text, fraction):
    assert math.isclose(Scalars(percent=text).percent, fraction)
    assert format_percent(fraction) == text


@pytest.mark.parametrize("text", ["", "1", "101%", "100.1%", "-1%", "%", "1%\n", "1.%"])
def test_what_is_no_percentage_is_refused(text):
    with pytest.raises(ValidationError, match="not a percentage"):
        Scalars(percent=text)


def test_times_survive_a_round_trip_to_the_millisecond():
    assert format_time(Scalars(time="2026-01-31T12:00:00.123Z").time) == "2026-01-31T12:00:00.123Z"
    assert Scalars(time="2026-01-31T13:00:00+01:00").time == Scalars(time="2026-01-31T12:00:00Z").time


@pytest.mark.parametrize("value", ["yesterday", "", [], {}])
def test_what_is_no_time_is_refused(value):
    with pytest.raises(ValidationError):
        Scalars.model_validate({"time": value})


def test_a_status_of_another_version_is_read_without_what_is_unknown():
    status = Status.model_validate({"phase": "Healthy", "invented": {"later": 1}, "stable": None})
    assert status == Status(phase="Healthy")


def test_a_broken_status_says_where():
    with pytest.raises(ValidationError) as refusal:
        Status.model_validate({"run": {"id": "r1", "since": None, "startedAt": "2026-01-31T12:00:00Z", "size": 1}})
    assert refusal.value.errors()[0]["loc"] == ("run", "since")


def test_progress_is_for_people_and_may_be_absent():
    assert Run(id="r1", since=0, started_at=0, size=1).progress is None
