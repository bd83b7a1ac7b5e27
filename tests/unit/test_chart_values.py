"""The values of the chart: each is explained, nonsense is refused, and what the operator takes can be set."""

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from fairway.api.runtime import ModelRuntimeSpec
from fairway.api.spec import ModelDeploymentSpec
from fairway.settings import Settings
from tests.packaging import values
from tests.packaging.helm import CHART, ROOT, config_of, helm, of_kind
from tests.packaging.helm import objects as render

CRDS = sorted((ROOT / "crds").glob("*.yaml"))


def test_lint_finds_nothing() -> None:
    done = helm("lint", "--strict", CHART)
    assert done.returncode == 0, done.stdout + done.stderr


# --- what the chart refuses ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ("replica=1", "replica"),
        ("namespaces=ml", "/namespaces"),
        ("namespaces={ML}", "/namespaces/0"),
        ("gateway.name=models", "/gateway"),
        ("prometheus.scrapeInterval=5s", "/prometheus"),
        ("prometheus.url=prometheus:9090", "/prometheus/url"),
        ("prometheus.url=http://user:password@prometheus", "/prometheus/url"),
        ("prometheus.url=http://p,prometheus.headers.Authorization=x", "Authorization"),
        ("prometheus.url=http://p,prometheus.caFile=ca.crt", "/prometheus/caFile"),
        ("prometheus.url=http://p,prometheus.bearerTokenFile=/t,prometheus.basicAuth.username=x", "/prometheus"),
        ("prometheus.url=http://p,prometheus.revisionLabel=a-b", "/prometheus/revisionLabel"),
        ("prometheus.url=http://p,prometheus.queries[0].name=drift", "/prometheus/queries/0"),
        ("metrics.providers[0].url=http://p", "/metrics/providers/0"),
        ("metrics.providers[0].name=a,metrics.providers[0].url=http://u:p@h", "/metrics/providers/0/url"),
        ("prometheus.url=http://p,prometheus.headers.AUTHORIZATION=x", "AUTHORIZATION"),
        ("settle=3", "/settle"),
        ("scaleDownDelay=-30s", "/scaleDownDelay"),
        ("lease.name=A_b", "/lease/name"),
        ("port=80", "/port"),
        ("workers=0", "/workers"),
        ("logLevel=loud", "/logLevel"),
        ("image.digest=latest", "/image/digest"),
        ("policy.access=true", "/policy/access"),
        ("policy.approvals.trustedProxies={a b}", "/policy/approvals/trustedProxies/0"),
        ("policy.approvals.trustedProxies={a'b}", "/policy/approvals/trustedProxies/0"),
        ("policy.requirements.card={auc}", "/policy/requirements/card/0"),
        ("policy.requirements.registries={registry.example/}", "/policy/requirements/registries/0"),
        ("policy.requirements.actions={Deny,Warn}", "/policy/requirements/actions"),
        ("networkPolicy.egress.apiServer.cidrs={kubernetes}", "/networkPolicy/egress/apiServer/cidrs/0"),
        ("networkPolicy.from=x", "from"),
        ("resources.request.cpu=1", "request"),
        ("tolerations[0].name=x", "/tolerations/0"),
        ("affinity.node=x", "node"),
        ("runtimes.names={mlflow}", "/runtimes/names/0"),
        (r"podLabels.app\.kubernetes\.io/managed-by=fairway", "app.kubernetes.io/managed-by"),
    ],
)
def test_nonsense_is_refused_with_its_path(value: str, path: str) -> None:
    done = helm("template", "fairway", CHART, "--set", value)
    assert done.returncode != 0
    assert path in done.stderr


TWO_QUERIES = (
    "prometheus.url=http://p,prometheus.queries[0].name=a,prometheus.queries[0].promql=x",
    "prometheus.queries[1].name=a,prometheus.queries[1].promql=y",
)
PROVIDER = "metrics.providers[0].name=default,metrics.providers[0].url=http://p"


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("lease.duration=2s", "/lease/duration"),
        ("settle=301s", "/settle"),
        ("settle=5m1s", "/settle"),
        ("settle=1h", "/settle"),
        ("scaleDownDelay=3601s", "/scaleDownDelay"),
        ("scaleDownDelay=1h1s", "/scaleDownDelay"),
        ("prometheus.url=http://p,prometheus.scrapeInterval=0m0s", "/prometheus/scrapeInterval"),
        ("prometheus.url=http://p,prometheus.headers.authorization=x", "authorization"),
        (
            'prometheus.url=http://p,prometheus.basicAuth.passwordFile=/p,prometheus.basicAuth.username="a\nb"',
            "/prometheus/basicAuth/username",
        ),
        (
            "prometheus.url=http://p,prometheus.queries[0].name=drift,prometheus.queries[0].promql=max(x{$who})",
            "/prometheus/queries/0/promql",
        ),
        (f"prometheus.url=http://p,{PROVIDER}", "metrics.providers: two are called default"),
        (
            f"{PROVIDER},{PROVIDER.replace('[0]', '[1]')}",
            "metrics.providers: two are called default",
        ),
        (
            f"{TWO_QUERIES[0]},{TWO_QUERIES[1]}",
            "queries of default: two are called a",
        ),
        (
            "notifications[0].name=a,notifications[0].url=http://p,notifications[1].name=a,notifications[1].url=http://q",
            "notifications: two are called a",
        ),
    ],
)
def test_what_the_operator_would_refuse_is_refused_before(tmp_path: Path, value: str, says: str) -> None:
    done = helm("template", "fairway", CHART, "--set", value)
    assert done.returncode != 0
    assert says in done.stderr
    with pytest.raises(ValueError, match="validation error"):
        Settings.model_validate(asked_for(value, tmp_path))


def asked_for(value: str, tmp_path: Path) -> Any:
    """Return values as Helm reads them, by a chart that shows them."""
    (tmp_path / "templates").mkdir()
    (tmp_path / "Chart.yaml").write_text("apiVersion: v2\nname: x\nversion: 1.0.0\n")
    (tmp_path / "templates/x.yaml").write_text("{{ .Values | toYaml }}")
    shown = yaml.safe_load(helm("template", "x", tmp_path, "--set", value).stdout)
    return {key: each for key, each in shown.items() if key != "global"}


@pytest.mark.parametrize(
    "value",
    [
        *(f"settle={each}" for each in ("0s", "59s", "300s", "5m", "4m59s", "5m0s", "2m")),
        *(f"scaleDownDelay={each}" for each in ("0s", "999s", "3600s", "1h", "59m59s", "60m")),
        *(f"lease.duration={each}" for each in ("3s", "15s", "1m30s")),
        "prometheus.url=http://p,prometheus.scrapeInterval=500s",
        "prometheus.url=http://p,prometheus.queries[0].name=a,prometheus.queries[0].promql=max(x{$selector}[$window])",
    ],
)
def test_what_the_operator_takes_can_be_set(value: str) -> None:
    Settings.model_validate(config_of(render(value)))


NUMBERS = ("namespaces={123}", "lease.name=7", "serviceAccount.name=8", "priorityClassName=9")


def test_names_that_look_like_numbers_stay_text() -> None:
    objects = render(release="1", strings=NUMBERS, apis=("monitoring.coreos.com/v1/PodMonitor",))
    assert list(numbers(objects)) == []
    roles = {each["metadata"]["namespace"]: each["rules"] for each in of_kind(objects, "Role")}
    assert roles.keys() == {"123", "fairway-system"}
    assert roles["fairway-system"][1]["resourceNames"] == ["7"]
    assert config_of(objects)["namespaces"] == ["123"]


TEXTS = {"name", "namespace", "app.kubernetes.io/instance", "serviceAccountName", "priorityClassName"}


def numbers(value: Any) -> Iterator[Any]:
    """Names anywhere below that are no text."""
    if isinstance(value, dict):
        yield from ((key, each) for key, each in value.items() if key in TEXTS and not isinstance(each, str | dict))
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from numbers(inner)


# --- the values ------------------------------------------------------------------------------------------------


def test_every_value_is_explained_and_the_readme_has_the_table() -> None:
    text = (CHART / "values.yaml").read_text()
    said = values.comments(text)
    leaves = {path for path, value in values.entries(yaml.safe_load(text)) if not (isinstance(value, dict) and value)}
    assert leaves - said.keys() == set()
    assert values.README.read_text() == values.readme(), "run `make manifests`"


def test_the_schema_knows_every_value_and_no_other() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    known = set(schema["properties"]) - {"global"}
    assert known == set(yaml.safe_load((CHART / "values.yaml").read_text()))
    assert list(open_objects(schema, "")) == []


VERBATIM = {"podSelector", "namespaceSelector", "ipBlock", "nodeAffinity", "podAffinity", "podAntiAffinity", "global"}
LISTS = {"/topologySpreadConstraints/items", "/extraVolumes/items", "/extraVolumeMounts/items"}


def open_objects(schema: Any, path: str) -> Iterator[str]:
    """Objects that take any key, though they are not Kubernetes' own, which its API server checks."""
    if not isinstance(schema, dict):
        return
    closed = "additionalProperties" in schema or "allOf" in schema
    if (
        "object" in schema.get("type", ())
        and not closed
        and path.rsplit("/", maxsplit=1)[-1] not in VERBATIM
        and path not in LISTS
    ):
        yield path
    for name, inner in {**schema.get("properties", {}), **schema.get("definitions", {})}.items():
        yield from open_objects(inner, f"{path}/{name}")
    yield from open_objects(schema.get("items"), f"{path}/items")


def test_artifact_hub_is_told_what_is_there() -> None:
    meta = yaml.safe_load((CHART / "Chart.yaml").read_text())
    told = meta["annotations"]
    crds = [yaml.safe_load(path.read_text()) for path in CRDS]
    named = {(each["name"], each["kind"], each["version"]) for each in yaml.safe_load(told["artifacthub.io/crds"])}
    assert named == {
        (crd["metadata"]["name"], crd["spec"]["names"]["kind"], version["name"])
        for crd in crds
        for version in crd["spec"]["versions"]
    }
    specs = {"ModelDeployment": ModelDeploymentSpec, "ModelRuntime": ModelRuntimeSpec}
    for example in yaml.safe_load(told["artifacthub.io/crdsExamples"]):
        specs[example["kind"]].model_validate(example["spec"])


def test_one_version_everywhere() -> None:
    meta = yaml.safe_load((CHART / "Chart.yaml").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert meta["version"] == meta["appVersion"] == project["version"]
    assert f"ARG VERSION={project['version']}\n" in (ROOT / "Dockerfile").read_text()
