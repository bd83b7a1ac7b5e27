"""``lint``, ``plan`` and ``render``, over the wire, and against what the engine then does."""

import json
import re

import pytest
import yaml
from aiohttp import web

from tests.fakes import scenes
from tests.fakes.api_server import FakeApiServer
from tests.fakes.served import Served
from tests.fakes.terminal import Shell

NAMED = {
    "apiVersion": "fairway.dev/v1alpha1",
    "kind": "ModelDeployment",
    "metadata": {"name": "churn", "namespace": "ml"},
}


@pytest.fixture
async def served():
    async with Served() as world:
        yield world


@pytest.fixture
def fairway(served, tmp_path):
    return Shell(served, tmp_path)


@pytest.fixture
def file(tmp_path):
    def write(*documents, name="churn.yaml"):
        path = tmp_path / name
        path.write_text(yaml.safe_dump_all([{**NAMED, "spec": each} for each in documents]))
        return str(path)

    return write


def open_gateway(served):
    """Given a gateway that takes routes from every namespace."""
    gateway = served.objects["Gateway", "models"]
    listener = {"protocol": "HTTP", "port": 80, "allowedRoutes": {"namespaces": {"from": "All"}}}
    served._keep({**gateway, "spec": {"listeners": [listener]}})


# --- lint -------------------------------------------------------------------------------------------------------------


async def test_lint_of_a_good_file(served, fairway, file):
    open_gateway(served)
    ended = await fairway("lint", "-f", file(scenes.spec(resources={"limits": {"memory": "1Gi"}})))
    assert (ended.code, ended.out) == (0, "1 object: 0 errors, 0 warnings\n")


async def test_lint_tells_all_that_is_wrong(served, fairway, file):
    open_gateway(served)
    bad = {**scenes.spec(), "replicas": 3, "runtime": {"image": "x"}}
    ended = await fairway("lint", "-f", file(bad))
    assert ended.code == 3
    assert "spec.replicas: there is no such field" in ended.out
    assert "spec.runtime: port: without a ModelRuntime" in " ".join(ended.out.split())
    assert ended.out.endswith("1 object: 2 errors, 0 warnings\n")


async def test_lint_passes_on_what_the_api_server_refuses(served, fairway, file):
    """Given an admission policy, when linted, then its words are told, and nothing is stored."""
    open_gateway(served)
    served.dry_run = {"kind": "Status", "code": 422, "reason": "Invalid", "message": "denied: models need an owner"}
    ended = await fairway("lint", "-f", file(scenes.spec()), width=160)
    assert ended.code == 3
    assert "refused by the API server: denied: models need an owner" in ended.out
    assert ("ModelDeployment", "churn") not in served.objects


async def test_lint_without_rights_says_what_it_does_not_know(served, fairway, file):
    served.forbidden |= {("patch", "modeldeployments"), ("list", "gateways"), ("list", "modelruntimes")}
    ended = await fairway("lint", "-f", file(scenes.spec()), width=160)
    assert ended.code == 0
    assert "note: you may not patch it" in ended.out
    assert "note: spec.traffic.gateway: Gateways may not be listed" in ended.out


async def test_lint_offline_asks_nobody(served, fairway, file):
    assert (await fairway("lint", "--offline", "-f", file(scenes.spec()))).code == 0
    assert served.requests == []


@pytest.mark.parametrize(
    ("text", "says"),
    [("a: [", "churn.yaml:1"), ("- 1", "not an object"), ("kind: Pod", "no ModelDeployment in there")],
)
async def test_a_file_that_is_none_is_one_line(served, fairway, tmp_path, text, says):
    (tmp_path / "churn.yaml").write_text(text)
    ended = await fairway("lint", "-f", str(tmp_path / "churn.yaml"))
    assert ended.code == 3
    assert says in ended.err
    assert (await fairway("lint", "-f", "/nowhere")).err == "fairway: /nowhere: No such file or directory\n"


# --- plan -------------------------------------------------------------------------------------------------------------


async def test_plan_is_what_the_engine_then_does(served, fairway, file):
    """Given a new version, when planned and then applied, then revision, run and steps are those that were told."""
    await scenes.serving(served)
    ended = await fairway("plan", "-f", file(scenes.spec("1.1.0")))
    assert ended.code == 0
    served.kubectl_apply(scenes.spec("1.1.0"))
    await served.live(10)
    status = served.status()
    assert f"A new revision, {status.candidate.revision}" in ended.out
    assert f"{status.run.id}: 1.1.0 is tried against 1.0.0: 5% -> 25% -> risk-review -> 50% -> 100%" in ended.out
    assert "model.version: 1.0.0 -> 1.1.0" in ended.out
    assert "At most 8 pods at once, 4 more than now." in ended.out
    assert len([line for line in ended.out.splitlines() if line.lstrip()[:1].isdigit()]) == len(status.run.plan) + 1


@pytest.mark.parametrize(
    ("traffic", "weight", "told", "seconds"),
    [({}, 20, "1m36s", 96), ({"traffic": None}, 25, "1m30s", 90)],
    ids=["behind a gateway", "by pods, without a gateway to settle"],
)
async def test_plans_times_are_those_of_the_run(served, fairway, file, traffic, weight, told, seconds):
    """Given steps without objectives, when planned and run, then the run takes what was told, and the pods' start."""
    steps = [{"weight": weight, "for": "30s"}, {"weight": 50, "for": "1m"}]
    plain = {"objectives": None, "rollout": {"steps": steps}, **traffic}
    one, two = (
        {k: v for k, v in scenes.spec(version, **plain).items() if v is not None} for version in ("1.0.0", "1.1.0")
    )
    served.kubectl_apply(one)
    await served.live(10)
    ended = await fairway("plan", "-f", file(two))
    assert f"At least {told}" in ended.out
    served.kubectl_apply(two)
    await served.live(300)
    last = served.status().history[0]
    assert seconds <= last.ended_at - last.started_at <= seconds + 3 * 3


async def test_plan_counts_the_pods_that_there_are(served, fairway, file):
    """Given a file that asks for more replicas than there are, when planned, then more is more than today."""
    await scenes.serving(served)
    assert len(served.pods("1.0.0")) == 4
    told = (await fairway("plan", "-f", file(scenes.spec("1.1.0", scaling={"replicas": 6})))).out
    assert "At most 12 pods at once, 8 more than now" in told


async def test_plan_counts_pods_that_are_kept_warm(served, fairway, file):
    await scenes.watched(served)
    now = len(served.pods("1.0.0")) + len(served.pods("1.1.0"))
    told = (await fairway("plan", "-f", file(scenes.spec("1.2.0")))).out
    found = re.search(r"At most (\d+) pods at once, (\d+) more than now", told)
    assert found is not None
    assert int(found[1]) - int(found[2]) == now


async def test_plan_of_edits_that_make_no_revision(served, fairway, file):
    await scenes.serving(served)
    assert "nothing would change" in (await fairway("plan", "-f", file(scenes.spec("1.0.0")))).out
    edited = scenes.spec("1.0.0", scaling={"replicas": 6})
    told = (await fairway("plan", "-f", file(edited))).out
    assert "No new revision" in told
    assert "scaling.replicas: 4 -> 6" in told


async def test_plan_of_a_rejected_version_and_of_one_in_mid_run(served, fairway, file):
    await scenes.rolled_back(served)
    told = " ".join((await fairway("plan", "-f", file(scenes.spec("1.1.0", scaling={"replicas": 5})))).out.split())
    assert "run-2 has rejected this revision: it is not tried again until fairway retry" in told


async def test_plan_of_a_return(served, fairway, file):
    await scenes.watched(served)
    told = (await fairway("plan", "-f", file(scenes.spec("1.0.0")))).out
    assert "A revision that is known" in told
    assert "it takes over from 1.1.0 without steps" in told


async def test_plan_of_the_first_version(served, fairway, file):
    told = (await fairway("plan", "-f", file(scenes.spec("1.0.0")))).out
    assert "It does not exist yet" in told
    assert "goes straight to full capacity" in told


async def test_plan_counts_the_quotas_room(served, fairway, file):
    await scenes.serving(served)
    quota = {
        "kind": "ResourceQuota",
        "metadata": {"name": "few", "namespace": "ml"},
        "status": {"hard": {"pods": "6"}, "used": {"pods": "4"}},
    }
    served._keep(quota)
    served.forbidden.add(("list", "nodes"))
    told = (await fairway("plan", "-f", file(scenes.spec()))).out
    assert "Quotas have room for 2 more (quota few: pods 4 of 6): too few" in told
    assert "nodes and their pods may not be listed" in told


def prometheus(*, rate="2.0", edges=("0.025", "0.1", "+Inf")):
    """What a Prometheus answers to the plugin's questions."""

    async def answer(request: web.Request) -> web.StreamResponse:
        query = (await request.post())["query"]
        if "group by (le)" in query:
            result = [{"metric": {"le": edge}, "value": [0, "1"]} for edge in edges]
        else:
            result = [{"metric": {}, "value": [0, rate]}]
        return web.json_response({"status": "success", "data": {"resultType": "vector", "result": result}})

    return answer


class Prometheus(FakeApiServer):
    async def _handle(self, request: web.Request) -> web.StreamResponse:
        return await self.script[0](request)


async def test_plan_knows_the_last_hours_traffic(served, fairway, file):
    """Given 2 requests a second, when planned, then the steps wait for 300; what cannot be judged is told."""
    await scenes.serving(served)
    async with Prometheus([prometheus()]) as metrics:
        told = " ".join((await fairway("plan", "-f", file(scenes.spec()), "--prometheus", metrics.url)).out.split())
    assert "1 5% 4+1 50m3s 300 requests for errors" in told
    assert "at the last hour's 2 requests/s" in told
    assert "latency (p99 50ms): cannot be judged: no bucket at 50ms" in told


ABOUT = {"name": "fairway", "namespace": "fairway-system", "labels": {"app.kubernetes.io/name": "fairway"}}


def configured(served, configuration):
    """Given an operator with this configuration."""
    served._keep({"kind": "ConfigMap", "metadata": ABOUT, "data": {"config.yaml": json.dumps(configuration)}})


async def test_names_that_the_operator_does_not_know_are_told(served, fairway, file):
    """Given a provider without queries, when linted and planned, then a template of it cannot be judged."""
    open_gateway(served)
    configured(served, {"prometheus": {"url": "http://127.0.0.1:1"}})
    document = scenes.spec()
    document["objectives"] = [{"name": "drift", "template": "drift", "below": 0.2}]
    words = "cannot be judged: there is no query 'drift' for the provider 'default', only none"
    ended = await fairway("lint", "-f", file(document), width=200)
    assert (ended.code, f"error: spec.objectives[0].template: {words}" in ended.out) == (3, True)
    told = (await fairway("plan", "-f", file(document), width=200)).out
    assert f"drift (below 0.2): {words}" in told


async def test_plan_asks_the_operators_first_provider_and_tells_of_queries(served, fairway, file):
    """Given two providers and a query, when planned, then only what the first is asked for has a rate."""
    await scenes.serving(served)
    document = scenes.spec()
    document["objectives"] = [
        {"name": "errors", "errors": {"below": "1%"}},
        {"name": "elsewhere", "provider": "edge", "errors": {"below": "1%"}},
        {"name": "drift", "template": "drift", "below": 0.2, "dryRun": True},
    ]
    async with Prometheus([prometheus()]) as metrics:
        queries = [{"name": "drift", "promql": "max(drift{$selector})"}]
        main = {"name": "main", "url": metrics.url, "queries": queries}
        configured(served, {"metrics": {"providers": [main, {"name": "edge", "url": "http://127.0.0.1:1"}]}})
        told = (await fairway("plan", "-f", file(document))).out
    assert "errors (1%): needs 300 requests to the candidate, 2/s in the last hour" in told
    assert "elsewhere (1%): needs 300 requests to the candidate\n" in told
    assert "drift (below 0.2): needs 4 answers of its query, dry run: decides nothing" in told


async def test_lint_names_the_objective_that_cannot_be_judged(served, fairway, file):
    """Given a query before an objective of a server without a histogram, then the path is that of the objective."""
    document = scenes.spec()
    document["runtime"]["metrics"] = {"series": {"requests": {"metric": "calls_total"}}}
    document["objectives"] = [
        {"name": "drift", "template": "drift", "below": 0.2},
        {"name": "errors", "errors": {"below": "1%"}},
    ]
    ended = await fairway("lint", "-f", file(document))
    assert "spec.objectives[1]" in ended.out + ended.err
    assert "spec.objectives[0]" not in ended.out + ended.err


async def test_plan_says_when_prometheus_gives_nothing(served, fairway, file):
    await scenes.serving(served)
    ended = await fairway("plan", "-f", file(scenes.spec()), "--prometheus", "http://127.0.0.1:1")
    assert ended.code == 1
    assert "gives no usable answer" in ended.err


# --- render -----------------------------------------------------------------------------------------------------------


async def test_render_is_what_the_operator_then_writes(served, fairway, file):
    """Given a first version, when rendered and then applied, then the same objects exist, with the same content."""
    ended = await fairway("render", "-f", file(scenes.spec("1.0.0")), "-o", "json")
    rendered = {(o["kind"], o["metadata"]["name"]): o for o in json.loads(ended.out)["items"]}
    served.kubectl_apply(scenes.spec("1.0.0"))
    await served.settle()
    uid = served.model()["metadata"]["uid"]
    written = {
        key: value
        for key, value in served.objects.items()
        if key[0] not in ("Pod", "ModelDeployment", "Gateway", "Event")
    }
    assert rendered.keys() == written.keys()
    for key, value in rendered.items():
        if "spec" in value:
            asked = json.loads(json.dumps(value["spec"]).replace("00000000-0000-0000-0000-000000000000", uid))
            assert asked == written[key]["spec"], key


def fetched(version="1.0.0"):
    """A model that is at an address."""
    digest = f"sha256:{'0' * 64}"
    model = {"version": version, "uri": "https://models.example/churn.tar.gz", "digest": digest}
    return scenes.spec(version, model=model)


def init_images(out):
    (deployment,) = (each for each in yaml.safe_load_all(out) if each["kind"] == "Deployment")
    return [each["image"] for each in deployment["spec"]["template"]["spec"]["initContainers"]]


async def test_render_fetches_with_the_operators_image(served, fairway, file):
    image = "registry.example/fairway@sha256:1"
    container = {"name": "operator", "env": [{"name": "POD_NAME"}, {"name": "FETCH_IMAGE", "value": image}]}
    spec = {"replicas": 2, "template": {"spec": {"containers": [container]}}}
    served.objects["Deployment", "fairway"] = {"kind": "Deployment", "metadata": {**ABOUT, "uid": "op"}, "spec": spec}
    ended = await fairway("render", "-f", file(fetched()))
    assert (init_images(ended.out), ended.err) == ([image], "")


async def test_render_says_when_it_does_not_know_the_operators_image(served, fairway, file):
    served.forbidden.add(("list", "deployments"))
    ended = await fairway("render", "-f", file(fetched()), width=200)
    assert init_images(ended.out) == ["fairway"]
    assert "note: 'fairway' stands for the image that fetches the model" in ended.err
    assert "no Deployment of the operator in fairway-system could be read" in ended.err
    ended = await fairway("render", "-f", file(scenes.spec("1.0.0")))
    assert "stands for" not in ended.err


async def test_render_offline(served, fairway, file, tmp_path):
    runtime = {
        "apiVersion": "fairway.dev/v1alpha1",
        "kind": "ModelRuntime",
        "metadata": {"name": "mine"},
        "spec": {"image": "server:1", "port": 9},
    }
    (tmp_path / "runtime.yaml").write_text(yaml.safe_dump(runtime))
    path = file(scenes.spec("1.0.0", runtime={"name": "mine"}))
    ended = await fairway("render", "--offline", "-f", path, "-f", str(tmp_path / "runtime.yaml"))
    deployment = next(o for o in yaml.safe_load_all(ended.out) if o["kind"] == "Deployment")
    assert deployment["spec"]["template"]["spec"]["containers"][0]["image"] == "server:1"
    assert served.requests == []
    ended = await fairway("render", "--offline", "-f", path)
    assert (ended.code, ended.err) == (3, f"fairway: {path}: spec.runtime.name: there is no ModelRuntime 'mine'\n")


RUNTIME = {
    "apiVersion": "fairway.dev/v1alpha1",
    "kind": "ModelRuntime",
    "metadata": {"name": "mine"},
    "spec": {"image": ["no", "text"], "port": 9},
}


@pytest.mark.parametrize("runtime", [RUNTIME, {**RUNTIME, "metadata": {}}, {**RUNTIME, "spec": None}])
@pytest.mark.parametrize("verb", ["lint", "plan", "render"])
async def test_a_model_runtime_that_is_none_is_one_line(served, fairway, file, tmp_path, verb, runtime):
    """Given a ModelRuntime beside the model that is not valid, when foreseen, then it is named, and all else told."""
    await scenes.serving(served)
    (tmp_path / "runtime.yaml").write_text(yaml.safe_dump(runtime))
    ended = await fairway(verb, "-f", file(scenes.spec("1.1.0")), "-f", str(tmp_path / "runtime.yaml"), width=160)
    assert ended.code == 3
    told = [line for line in (ended.out + ended.err).splitlines() if "runtime.yaml" in line]
    assert re.search(r"(spec|spec\.image|metadata\.name): ", told[0])


@pytest.mark.parametrize("verb", ["lint", "plan", "render"])
async def test_a_stored_model_runtime_that_is_none_troubles_nobody_else(served, fairway, file, verb):
    """Given a ModelRuntime that was stored under other rules, when a model without it is foreseen, then all is told."""
    await scenes.serving(served)
    open_gateway(served)
    served._keep(RUNTIME)
    ended = await fairway(verb, "-f", file(scenes.spec("1.1.0")))
    assert (ended.code, ended.err) == (0, "")


async def test_foreseeing_stores_nothing(served, fairway, file):
    await scenes.serving(served)
    before = dict(served.objects)
    for verb in ("lint", "plan", "render"):
        await fairway(verb, "-f", file(scenes.spec("1.1.0")))
    assert served.objects == before
