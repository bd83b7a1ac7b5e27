"""Which ModelRuntime serves a spec."""

from typing import Any

import pytest

from fairway.api.runtime import ModelRuntimeSpec
from fairway.api.spec import ModelDeploymentSpec
from fairway.core.errors import Unresolved
from fairway.core.runtimes import choose

RUNTIMES = {
    "mlserver": ModelRuntimeSpec.model_validate({"formats": [{"name": "sklearn"}, {"name": "xgboost"}]}),
    "sklearn-17": ModelRuntimeSpec.model_validate({"formats": [{"name": "sklearn", "version": "1.7"}]}),
    "plain": ModelRuntimeSpec.model_validate({}),
}


def spec(runtime: dict[str, Any], format_: dict[str, str] | None = None) -> ModelDeploymentSpec:
    model = {"version": "1.0.0"} | ({"format": format_} if format_ else {})
    return ModelDeploymentSpec.model_validate({"model": model, "runtime": runtime})


@pytest.mark.parametrize(
    ("runtime", "format_", "chosen"),
    [
        ({"name": "plain"}, {"name": "sklearn"}, "plain"),
        ({"image": "registry.example/churn:1", "port": 8080}, {"name": "sklearn"}, None),
        ({}, {"name": "xgboost"}, "mlserver"),
        ({}, {"name": "sklearn", "version": "1.7"}, "sklearn-17"),
        ({}, {"name": "sklearn", "version": "1.6"}, "mlserver"),
        ({}, {"name": "sklearn"}, "mlserver"),
    ],
    ids=["its name", "its own image", "by format", "the exact version", "any version", "no version"],
)
def test_the_runtime_is(runtime: dict[str, Any], format_: dict[str, str] | None, chosen: str | None) -> None:
    found = choose(spec(runtime, format_), RUNTIMES)
    assert (found and found[0]) == chosen


@pytest.mark.parametrize(
    ("runtime", "format_", "words"),
    [
        ({"name": "gone"}, None, "spec.runtime.name: there is no ModelRuntime 'gone'"),
        ({}, {"name": "onnx"}, "no ModelRuntime takes onnx; name one"),
        ({}, {"name": "onnx", "version": "2"}, "no ModelRuntime takes onnx 2; name one"),
    ],
)
def test_what_cannot_be_found_is_named(runtime: dict[str, Any], format_: dict[str, str] | None, words: str) -> None:
    with pytest.raises(Unresolved, match=words) as refusal:
        choose(spec(runtime, format_), RUNTIMES)
    assert refusal.value.reason == "RuntimeNotFound"


def test_a_runtime_that_cannot_be_read_is_the_trouble_of_who_names_it() -> None:
    unreadable = {"broken": "spec.port: too large"}
    with pytest.raises(Unresolved, match=r"ModelRuntime 'broken' cannot be read: spec\.port: too large") as refusal:
        choose(spec({"name": "broken"}), RUNTIMES, unreadable)
    assert refusal.value.reason == "RuntimeInvalid"
    assert choose(spec({"name": "plain"}), RUNTIMES, unreadable)
    assert choose(spec({}, {"name": "sklearn"}), RUNTIMES, unreadable)
