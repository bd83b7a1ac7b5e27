"""The shipped ModelRuntimes, on what the servers really publish: requests, failures and slow answers to the one."""

import re
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from fairway.api.runtime import ModelRuntimeSpec
from fairway.api.spec import ModelDeploymentSpec
from fairway.core.objectives import owned, plan
from fairway.core.revision import resolve
from fairway.core.verdict import Owner, Question
from fairway.engine.analysis import Analysis
from fairway.ports import Endpoint
from tests.fakes.exposed import FIRST, SCRAPE, Exposed
from tests.fakes.prometheus import Clock

ROOT = Path(__file__).resolve().parents[2]
PRESETS = {path.stem: path for path in sorted((ROOT / "charts/fairway/files/runtimes").glob("*.yaml"))}
EXPOSITIONS = ROOT / "tests/data/expositions"
EXPERIMENTAL = {"triton", "vllm", "tensorflow-serving", "ray-serve", "contour"}
"""Not run for real by any test: only their published formats are tried."""
BY_GATEWAY = {"traefik", "contour"}
SCRAPES = 3
"""The last of them is the only one that latency counts: caches are cold in the first two."""


@dataclass(frozen=True)
class Truth:
    """What an exposition says to a person, read by eye."""

    requests: int
    failed: int
    limit: str
    timed: int
    slow: int


TRUTH = {
    "bentoml": Truth(requests=11, failed=3, limit="25ms", timed=11, slow=1),
    "contour": Truth(requests=51, failed=8, limit="50ms", timed=51, slow=9),
    "http": Truth(requests=100, failed=3, limit="50ms", timed=100, slow=8),
    "kserve": Truth(requests=12, failed=5, limit="5ms", timed=12, slow=0),
    "mlserver": Truth(requests=12, failed=3, limit="10ms", timed=12, slow=2),
    "ray-serve": Truth(requests=89, failed=4, limit="50ms", timed=80, slow=14),
    "tensorflow-serving": Truth(requests=60, failed=4, limit="37481.4us", timed=50, slow=6),
    "traefik": Truth(requests=10, failed=5, limit="100ms", timed=10, slow=0),
    "triton": Truth(requests=100, failed=10, limit="500ms", timed=90, slow=9),
    "vllm": Truth(requests=88, failed=4, limit="500ms", timed=80, slow=50),
}


def preset(name: str) -> dict:
    return yaml.safe_load(PRESETS[name].read_text(encoding="utf-8"))


def spec_for(name: str, limit: str) -> ModelDeploymentSpec:
    objectives = [
        {"name": "errors", "errors": {"below": "1%"}},
        {"name": "latency", "latency": {"percentile": 90, "below": limit}},
    ]
    document = {
        "model": {"version": "1.0.0"},
        "runtime": {"name": name, "image": "registry.example/model:1"},
        "objectives": objectives,
    }
    return ModelDeploymentSpec.model_validate(document)


async def judged(name: str, limit: str, processes: int = 1):
    """What the analysis says about revision bnew of ml/churn beside aold, after three scrapes of the exposition."""
    spec = spec_for(name, limit)
    series = resolve(spec, ModelRuntimeSpec.model_validate(preset(name)["spec"])).series
    text = (EXPOSITIONS / f"{name}.txt").read_text(encoding="utf-8")
    if name in BY_GATEWAY:
        pods = [f"gateway-{i}" for i in range(processes)]
        targets = [{"namespace": "gateways", "pod": pod, "job": "gateway", "instance": pod} for pod in pods]
    else:
        pods = [f"churn-{revision}-x-{i}" for revision in ("aold", "bnew") for i in range(processes)]
        targets = [{"namespace": "ml", "pod": pod, "job": "models", "instance": pod} for pod in pods]
    clock = Clock(FIRST + 1)
    source = Exposed(clock, [(labels, text) for labels in targets])
    analysis = Analysis([Endpoint("main", source, SCRAPE)], clock, lambda key: None)
    asked = Question(("ml", "churn"), "run", "bnew", "aold", plan(spec, series), since=FIRST, weight=50)
    analysis.ask(asked)
    while clock.time < FIRST + SCRAPES * SCRAPE + 2:
        await analysis.poll()
        clock.time += 0.5
    reading = analysis.reading(asked.key, "run")
    assert reading is not None
    return reading, source


def test_every_preset_has_an_exposition_and_a_truth() -> None:
    assert set(PRESETS) == set(TRUTH) == {path.stem for path in EXPOSITIONS.glob("*.txt")}


@pytest.mark.parametrize("name", PRESETS)
async def test_counts_are_those_of_the_exposition(name: str) -> None:
    """Given three scrapes, when its series are counted, then every request is, once, and nothing else."""
    truth = TRUTH[name]
    reading, _ = await judged(name, truth.limit)
    errors, latency = reading.objectives
    assert (errors.requests, errors.bad) == (SCRAPES * truth.requests, SCRAPES * truth.failed), errors.message
    assert (latency.requests, latency.bad) == (truth.timed, truth.slow), latency.message


@pytest.mark.parametrize("name", sorted(BY_GATEWAY))
async def test_all_processes_of_a_gateway_are_summed(name: str) -> None:
    reading, source = await judged(name, TRUTH[name].limit, processes=2)
    assert reading.objectives[0].requests == 2 * SCRAPES * TRUTH[name].requests
    assert {m.label for selector in source.asked for m in selector.matchers} & {"namespace", "pod"} == set()


ROUTE = "-gw-gateways-models-ep-web-0-7bbb820c71d4a0eb4257-svc-"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("traefik", f"httproute-ml-churn{ROUTE}ml-churn-bnew-1@kubernetesgateway"),
        ("traefik", "ml-churn-bnew-http-80@kubernetesgateway"),
        ("traefik", "ml-churn-bnew-80@kubernetesgateway"),
        ("contour", "ml_churn-bnew_80"),
    ],
)
def test_a_gateways_names_of_a_revision_are_known(name: str, value: str) -> None:
    assert re.fullmatch(candidate(name), value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        # Services x-svc-ml-churn-bnew, and ml-churn-bnew, of namespace evil
        ("traefik", f"httproute-evil-r{ROUTE}evil-x-svc-ml-churn-bnew-0@kubernetesgateway"),
        ("traefik", f"httproute-evil-ml-churn{ROUTE}evil-ml-churn-bnew-0@kubernetesgateway"),
        ("traefik", "evil-x-svc-ml-churn-bnew-http-80@kubernetesgateway"),
        ("contour", "evil_x-svc-ml_churn-bnew_80"),
        ("contour", "evil_ml-churn-bnew_80"),
        # the same by a route that is named as the beginning of the model's
        ("traefik", f"httproute-evil-httproute-ml-churn-gw{ROUTE}evil-x-svc-ml-churn-bnew-0@kubernetesgateway"),
        # another route to the very Service, which a ReferenceGrant may allow to strangers
        ("traefik", f"httproute-evil-r{ROUTE}ml-churn-bnew-0@kubernetesgateway"),
        # another model, another revision, and what another provider of Traefik's calls the same
        ("traefik", f"httproute-ml-churner{ROUTE}ml-churn-bnew-0@kubernetesgateway"),
        ("traefik", f"httproute-ml-churn{ROUTE}ml-churn-bnewer-0@kubernetesgateway"),
        ("traefik", f"httproute-ml-churn{ROUTE}ml-churn-bnew-0@kubernetescrd"),
        ("contour", "ml_churn-bnewer_80"),
    ],
)
def test_no_other_namespace_can_name_a_service_so_that_a_gateway_counts_it_for_the_model(name: str, value: str) -> None:
    """Given a tenant who chooses the names in a namespace of its own, then a canary is not judged by its requests."""
    assert not re.fullmatch(candidate(name), value)


def candidate(name: str) -> str:
    """Return what the preset matches for revision bnew of ml/churn."""
    owner = Owner(**preset(name)["spec"]["metrics"]["series"]["revisionMatcher"])
    return owned(Question(("ml", "churn"), "run", "bnew", "aold", (), since=FIRST, weight=50), owner)["candidate"]


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_a_valid_model_runtime(name: str) -> None:
    document = preset(name)
    assert (document["apiVersion"], document["kind"]) == ("fairway.dev/v1alpha1", "ModelRuntime")
    assert document["metadata"]["name"] == name
    spec = ModelRuntimeSpec.model_validate(document["spec"])
    dumped = spec.model_dump(mode="json", by_alias=True, exclude_none=True)
    assert set(document["spec"]) <= set(dumped), "a field that nobody knows"
    objectives = plan(spec_for(name, "1s"), resolve(spec_for(name, "1s"), spec).series)
    assert [objective.problem for objective in objectives] == [None, None]


def test_what_nobody_runs_is_called_experimental() -> None:
    called = {
        n for n in PRESETS if preset(n)["metadata"].get("annotations", {}).get("fairway.dev/experimental") == "true"
    }
    assert called == EXPERIMENTAL


@pytest.mark.parametrize(
    ("example", "name"),
    [("mlserver", "mlserver"), ("kserve", "kserve"), ("bentoml", "bentoml"), ("silent", "traefik")],
)
def test_an_example_uses_its_preset_and_pins_what_it_installs(example: str, name: str) -> None:
    folder = ROOT / "examples" / example
    document = yaml.safe_load((folder / "modeldeployment.yaml").read_text(encoding="utf-8"))
    spec = ModelDeploymentSpec.model_validate(document["spec"])
    assert spec.runtime.name == name
    resolved = resolve(spec, ModelRuntimeSpec.model_validate(preset(name)["spec"]))
    assert resolved.image == f"registry.example/churn-{example}:1.0.0"
    assert f"EXPOSE {resolved.port}" in (folder / "Dockerfile").read_text(encoding="utf-8")
    assert [objective.problem for objective in plan(spec, resolved.series)] == [None, None]
    requirements = folder / "requirements.txt"
    lines = requirements.read_text(encoding="utf-8").splitlines() if requirements.exists() else []
    assert all("==" in line for line in lines if not line.startswith("#"))
