"""Kopf as we use it: it watches, tells us everything, and writes nothing."""

import asyncio
import json

import kopf
import pytest
import yaml
from aiohttp import web
from kopf._cogs.configs.configuration import OperatorSettings
from kopf._cogs.structs.references import Resource

from fairway.adapters import watch
from fairway.engine import runtime as engine
from fairway.engine.runtime import KINDS, kinds
from fairway.engine.store import MemoryStore
from fairway.engine.workqueue import WorkQueue
from fairway.operate import _resources
from fairway.settings import Settings
from tests.fakes.api_server import FakeApiServer
from tests.fakes.prometheus import Clock

LABEL = "app.kubernetes.io/managed-by=fairway"
RESOURCES = _resources(Settings(model_alerts=True))


@pytest.fixture
def events():
    return []


@pytest.fixture
def built(events):
    return watch.build(RESOURCES, lambda type_, manifest: events.append((type_, manifest)))


def served(group, version, plural):
    """A resource as the API server's discovery tells Kopf of it."""
    return Resource(group, version, plural, preferred=True, namespaced=True, verbs=frozenset({"list", "watch"}))


def handler_of(registry, resource):
    (found,) = [one for one in registry._watching.get_all_handlers() if one.selector.check(resource)]
    return found


def test_every_kind_that_decisions_read_has_one_handler(built):
    registry, _ = built
    for _, group, version, plural, _ in RESOURCES:
        assert handler_of(registry, served(group, version, plural)).id == f"seen-{plural}"
    assert len(list(registry._watching.get_all_handlers())) == len(RESOURCES) == len(kinds(rules=True))


def test_rules_are_watched_only_where_they_are_wanted():
    plain = _resources(Settings())
    assert len(plain) == len(KINDS)
    assert [one for one in RESOURCES if one not in plain] == [
        ("PrometheusRule", "monitoring.coreos.com", "v1", "prometheusrules", True)
    ]


@pytest.mark.parametrize(
    "other",
    [
        ("metrics.k8s.io", "v1beta1", "pods"),
        ("serving.knative.dev", "v1", "services"),
        ("gateway.networking.k8s.io", "v1beta1", "httproutes"),
        ("", "v1", "secrets"),
    ],
)
def test_what_only_has_the_same_name_is_not_watched(built, other):
    registry, _ = built
    assert not [one for one in registry._watching.get_all_handlers() if one.selector.check(served(*other))]


def test_nothing_is_registered_that_could_write(built):
    registry, settings = built
    assert not list(registry._changing.get_all_handlers())
    assert not list(registry._spawning.get_all_handlers())
    assert not list(registry._indexing.get_all_handlers())
    assert not list(registry._webhooks.get_all_handlers())
    assert settings.posting.enabled is False
    assert OperatorSettings().posting.enabled is True  # else this test says nothing


def test_children_are_watched_by_our_label_and_users_objects_whole(built):
    _, settings = built
    for kind, group, version, plural, child in RESOURCES:
        collected = list(settings.watching.label_selectors.collect(served(group, version, plural)))
        assert collected == ([LABEL] if child else []), kind
    assert {kind for kind, *_, child in RESOURCES if not child} == {"ModelDeployment", "ModelRuntime", "Gateway"}


def test_watches_are_paged_and_end_before_they_go_stale(built):
    _, settings = built
    assert settings.watching.chunk_size == 500
    assert settings.watching.server_timeout < settings.watching.client_timeout
    assert settings.networking.request_timeout == 15


@pytest.mark.parametrize(
    ("resource", "kind", "api_version"),
    [
        (("", "v1", "pods"), "Pod", "v1"),
        (("apps", "v1", "deployments"), "Deployment", "apps/v1"),
        (("fairway.dev", "v1alpha1", "modeldeployments"), "ModelDeployment", "fairway.dev/v1alpha1"),
    ],
)
async def test_listed_items_get_the_kind_that_a_list_leaves_out(built, events, resource, kind, api_version):
    registry, _ = built
    listed = {"metadata": {"name": "churn-a"}, "spec": {"x": [1]}}
    await handler_of(registry, served(*resource)).fn(type=None, body=kopf.Body(listed), memo=None, logger=None)
    assert events == [(None, {"kind": kind, "apiVersion": api_version, **listed})]
    assert type(events[0][1]) is dict
    assert "kind" not in listed


async def test_every_event_is_passed_on_as_it_is(built, events):
    registry, _ = built
    told = {"kind": "Deployment", "apiVersion": "apps/v1", "metadata": {"name": "churn-a"}}
    handle = handler_of(registry, served("apps", "v1", "deployments")).fn
    for type_ in ("ADDED", "MODIFIED", "DELETED", None):
        await handle(type=type_, body=kopf.Body(told))
    assert events == [(type_, told) for type_ in ("ADDED", "MODIFIED", "DELETED", None)]


def test_in_a_pod_the_login_uses_the_address_of_the_kubelet(monkeypatch, tmp_path):
    (tmp_path / "token").write_text("s3cret\n")
    monkeypatch.setattr(watch, "ACCOUNT", tmp_path)
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    for host, server in (("10.96.0.1", "https://10.96.0.1:443"), ("fd00::1", "https://[fd00::1]:443")):
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", host)
        login = watch._login()
        assert (login.server, login.scheme, login.token) == (server, "Bearer", "s3cret")
        assert login.ca_path == tmp_path / "ca.crt"
        assert not login.insecure


MODELS = "/apis/fairway.dev/v1alpha1/modeldeployments"


def model(name, version):
    return {"metadata": {"name": name, "namespace": "ml", "uid": name, "resourceVersion": str(version)}, "spec": {}}


def discovery(group_version, plural, kind):
    """What discovery says about the only resource of a group version."""
    about = {"name": plural, "kind": kind, "singularName": kind.lower(), "namespaced": True, "shortNames": []}
    return {"groupVersion": group_version, "resources": [{**about, "verbs": ["list", "watch", "patch"]}]}


GROUPS = {"fairway.dev": "v1alpha1", "apiextensions.k8s.io": "v1"}
DISCOVERED = {
    "/api": {"versions": ["v1"]},
    "/apis": {
        "groups": [
            {"name": group, "preferredVersion": {"version": version}, "versions": [{"version": version}]}
            for group, version in GROUPS.items()
        ]
    },
    "/api/v1": discovery("v1", "namespaces", "Namespace"),
    "/apis/fairway.dev/v1alpha1": discovery("fairway.dev/v1alpha1", "modeldeployments", "ModelDeployment"),
    "/apis/apiextensions.k8s.io/v1": discovery(
        "apiextensions.k8s.io/v1", "customresourcedefinitions", "CustomResourceDefinition"
    ),
}


IN_NAMESPACE = "/apis/fairway.dev/v1alpha1/namespaces/ml/modeldeployments"
NAMESPACES = "/api/v1/namespaces"


async def cluster(request):
    """A cluster of one namespace, in which one model is there, changes and goes."""
    if request.path in DISCOVERED:
        return web.json_response(DISCOVERED[request.path])
    ours = request.path in (MODELS, IN_NAMESPACE)
    if "watch" not in request.query:
        items = [model("a", 1)] if ours else [{"metadata": {"name": "ml"}}] if request.path == NAMESPACES else []
        return web.json_response({"metadata": {"resourceVersion": "5"}, "items": items})
    response = web.StreamResponse()
    await response.prepare(request)
    for type_, number in (("MODIFIED", 6), ("DELETED", 7)) if ours else ():
        told = {"kind": "ModelDeployment", "apiVersion": "fairway.dev/v1alpha1", **model("a", number)}
        await response.write(json.dumps({"type": type_, "object": told}).encode() + b"\n")
    await asyncio.get_running_loop().create_future()
    return response


@pytest.fixture
def told_by(tmp_path, monkeypatch):
    """Run the watch against a server until it has told three events."""
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)

    async def run(server, namespaces=(), heard=lambda *_: None):
        path = tmp_path / "config"
        named = {"name": "x"}
        content = {
            "current-context": "x",
            "contexts": [{**named, "context": {"cluster": "x", "user": "x"}}],
            "clusters": [{**named, "cluster": {"server": server.url}}],
            "users": [{**named, "user": {"token": "s3cret"}}],
        }
        path.write_text(yaml.safe_dump(content))
        monkeypatch.setenv("KUBECONFIG", str(path))
        seen = asyncio.Queue()

        def hear(*event):
            heard(*event)
            seen.put_nowait(event)

        job = asyncio.ensure_future(watch.run(RESOURCES, hear, namespaces, "fairway-x"))
        try:
            async with asyncio.timeout(10):
                return [await seen.get() for _ in range(3)]
        finally:
            job.cancel()
            await asyncio.gather(job, return_exceptions=True)

    return run


async def test_a_running_watch_tells_all_and_only_reads(told_by):
    async with FakeApiServer([cluster]) as server:
        told = await told_by(server)
    assert [(type_, one["metadata"]["resourceVersion"]) for type_, one in told] == [
        (None, "1"),
        ("MODIFIED", "6"),
        ("DELETED", "7"),
    ]
    assert {(one["kind"], one["apiVersion"]) for _, one in told} == {("ModelDeployment", "fairway.dev/v1alpha1")}
    assert {method for method, _ in server.seen} == {"GET"}
    assert {call.headers["Authorization"] for call in server.calls} == {"Bearer s3cret"}


async def test_in_namespaces_it_watches_those_that_exist_as_soon_as_they_are_listed(told_by):
    async with FakeApiServer([cluster]) as server:
        told = await told_by(server, ("ml", "not-made-yet"))
    assert [type_ for type_, _ in told] == [None, "MODIFIED", "DELETED"]
    asked = [call.path for call in server.calls if call.path not in DISCOVERED or call.path == NAMESPACES]
    watched = {call.path for call in server.calls if "watch" in call.query}
    assert NAMESPACES in asked
    assert {IN_NAMESPACE, NAMESPACES} <= watched
    assert not [path for path in watched if path == MODELS or "not-made-yet" in path]


# --- watches that are interrupted -----------------------------------------------------------------------------------


class Interrupted:
    """A cluster whose watch ends: model b vanishes unseen when it does."""

    def __init__(self, *, expired):
        self.expired = expired
        self.lists = self.watches = 0

    async def answer(self, request):
        if request.path in DISCOVERED:
            return web.json_response(DISCOVERED[request.path])
        ours = request.path == MODELS
        if "watch" not in request.query:
            self.lists += ours
            names = [] if not ours else ["a", "b"] if self.lists == 1 else ["a"]
            items = [model(name, number) for number, name in enumerate(names, 1)]
            return web.json_response({"metadata": {"resourceVersion": "5"}, "items": items})
        response = web.StreamResponse()
        await response.prepare(request)
        self.watches += ours
        if ours and self.watches == 1:
            if self.expired:
                gone = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"}
                await response.write(json.dumps({"type": "ERROR", "object": gone}).encode() + b"\n")
            return response  # as after the timeout that was asked for
        if ours and not self.expired:
            told = {"kind": "ModelDeployment", "apiVersion": "fairway.dev/v1alpha1", **model("b", 7)}
            await response.write(json.dumps({"type": "DELETED", "object": told}).encode() + b"\n")
        await asyncio.get_running_loop().create_future()
        return response


async def test_after_its_timeout_a_watch_goes_on_and_lists_nothing(told_by):
    """So an idle operator stays silent, and a new listing means that deletions may have been missed."""
    interrupted = Interrupted(expired=False)
    async with FakeApiServer([interrupted.answer]) as server:
        told = await told_by(server)
    assert [(type_, one["metadata"]["name"]) for type_, one in told] == [(None, "a"), (None, "b"), ("DELETED", "b")]
    assert (interrupted.lists, interrupted.watches) == (1, 2)


class Lists:
    """What the API server has now."""

    async def list(self, plural, *_):
        return [model("a", 1)] if plural == "modeldeployments" else []


async def test_what_vanished_before_a_new_listing_is_noticed(told_by, monkeypatch):
    """Given a watch that is too old to go on, when the new one does not tell what vanished, then a sweep finds it."""
    monkeypatch.setattr(engine, "LISTED_AFTER", 0.05)
    store, clock = MemoryStore(), Clock(0.0)
    runtime = engine.Runtime(cluster=Lists(), store=store, queue=WorkQueue(clock), reconciler=None, clock=clock)
    following = asyncio.ensure_future(runtime.follow())
    async with FakeApiServer([Interrupted(expired=True).answer]) as server:
        told = await told_by(server, heard=runtime.seen)
    assert [type_ for type_, _ in told] == [None, None, None]
    async with asyncio.timeout(5):
        while store.models() != [("ml", "a")]:
            await asyncio.sleep(0.05)
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
