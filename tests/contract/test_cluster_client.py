"""What goes over the wire to the API server, and what happens when it does not answer as it should."""

import asyncio
import socket
import ssl
import subprocess
from types import SimpleNamespace

import pytest
import yaml
from aiohttp import web
from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.config import incluster_config, kube_config

from fairway.adapters import cluster as adapter
from fairway.adapters.cluster import KubernetesCluster, connect
from fairway.ports import ClusterError
from tests.fakes.api_server import FakeApiServer, cut_off, document, failure, html, stored, truncated

APPS = "/apis/apps/v1/namespaces/ml/deployments"
OURS = [
    {"apiVersion": "fairway.dev/v1alpha1", "kind": "ModelDeployment", "name": "churn", "uid": "m1", "controller": True}
]


def manifest(kind="Deployment", api_version="apps/v1", name="churn-a", **more):
    meta = {"name": name, "namespace": "ml", "ownerReferences": OURS}
    return {"apiVersion": api_version, "kind": kind, "metadata": meta, **more}


def live(created=False, **meta):
    made = manifest()
    made["metadata"].update({"uid": "d1", "created-fields": created, **meta})
    return made


MODEL = {
    "apiVersion": "fairway.dev/v1alpha1",
    "kind": "ModelDeployment",
    "metadata": {"name": "churn", "namespace": "ml", "uid": "m1", "resourceVersion": "41"},
}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate for loopback that signs itself, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    crt, key = folder / "ca.crt", folder / "ca.key"
    made = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=fake"
    alternatives = [
        "-addext",
        "subjectAltName=IP:127.0.0.1",
        "-addext",
        "keyUsage=critical,digitalSignature,keyCertSign",
    ]
    command = [*made.split(), *alternatives, "-keyout", str(key), "-out", str(crt)]
    subprocess.run(command, check=True, capture_output=True)
    return crt, key


@pytest.fixture
async def server():
    async with FakeApiServer([stored()]) as fake:
        yield fake


@pytest.fixture
def waits(monkeypatch):
    """The pauses between tries, in seconds; nobody sleeps."""
    slept = []

    async def sleep(seconds):
        slept.append(seconds)

    monkeypatch.setattr(adapter, "asyncio", SimpleNamespace(sleep=sleep))
    monkeypatch.setattr(adapter, "random", SimpleNamespace(uniform=lambda _low, _high: 1.0))
    return slept


@pytest.fixture
async def client(server, certificate):
    settings = Configuration(host=server.url)
    settings.ssl_ca_cert = str(certificate[0])  # the system's take 0.1 s to load
    settings.client_session_kwargs = {"trust_env": False}
    connection = ApiClient(configuration=settings)
    yield connection
    await connection.close()


@pytest.fixture
def cluster(client, waits):
    return KubernetesCluster(client)


# --- one request each -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "api_version", "path"),
    [
        ("Deployment", "apps/v1", APPS),
        ("ControllerRevision", "apps/v1", "/apis/apps/v1/namespaces/ml/controllerrevisions"),
        ("Service", "v1", "/api/v1/namespaces/ml/services"),
        ("PodDisruptionBudget", "policy/v1", "/apis/policy/v1/namespaces/ml/poddisruptionbudgets"),
        ("HorizontalPodAutoscaler", "autoscaling/v2", "/apis/autoscaling/v2/namespaces/ml/horizontalpodautoscalers"),
        ("HTTPRoute", "gateway.networking.k8s.io/v1", "/apis/gateway.networking.k8s.io/v1/namespaces/ml/httproutes"),
        ("PrometheusRule", "monitoring.coreos.com/v1", "/apis/monitoring.coreos.com/v1/namespaces/ml/prometheusrules"),
    ],
)
async def test_every_kind_is_created_at_its_own_path_by_our_manager(cluster, server, kind, api_version, path):
    wanted = manifest(kind, api_version, spec={"x": [1, None, {"y": ""}]})
    server.answers(stored(stored=True))
    assert (await cluster.create(wanted))["stored"] is True
    call = server.call
    assert (call.method, call.path, call.query) == ("POST", path, {"fieldManager": "fairway"})
    assert call.headers["Content-Type"] == "application/json"
    assert call.headers["Accept"] == "application/json"
    assert call.body == wanted


async def test_an_apply_forces_our_fields_over_the_object(cluster, server):
    wanted = manifest(spec={"paused": False})
    await cluster.apply(wanted, live())
    call = server.call
    assert (call.method, call.path) == ("PATCH", f"{APPS}/churn-a")
    assert call.query == {"fieldManager": "fairway", "force": "true"}
    assert call.headers["Content-Type"] == "application/apply-patch+yaml"
    # The UID makes it a conflict, not a new object, if somebody has just deleted it.
    assert call.body == {**wanted, "metadata": {**wanted["metadata"], "uid": live()["metadata"]["uid"]}}


async def test_replicas_are_applied_by_their_own_manager_and_alone(cluster, server):
    await cluster.scale(live(), 3)
    call = server.call
    assert (call.method, call.path) == ("PATCH", f"{APPS}/churn-a/scale")
    assert call.query == {"fieldManager": "fairway-replicas", "force": "true"}
    assert call.headers["Content-Type"] == "application/apply-patch+yaml"
    assert call.body == {
        "apiVersion": "autoscaling/v1",
        "kind": "Scale",
        "metadata": {"name": "churn-a", "namespace": "ml"},
        "spec": {"replicas": 3},
    }


async def test_exactly_the_known_object_is_deleted_and_its_pods_follow(cluster, server):
    await cluster.delete(live())
    call = server.call
    assert (call.method, call.path) == ("DELETE", f"{APPS}/churn-a")
    assert call.body["preconditions"] == {"uid": "d1"}
    assert call.body["propagationPolicy"] == "Background"


async def test_deleting_what_is_gone_is_fine_and_a_successor_is_spared(cluster, server):
    server.answers(failure(404, "NotFound"))
    await cluster.delete(live())
    server.answers(failure(409, "Conflict", "the UID in the precondition does not match"))
    with pytest.raises(ClusterError, match="precondition"):
        await cluster.delete(live())


async def test_status_is_written_only_over_the_version_that_was_read(cluster, server):
    server.answers(document({**MODEL, "status": {"phase": "Healthy"}}))
    assert (await cluster.write_status(MODEL, {"phase": "Healthy"}))["status"] == {"phase": "Healthy"}
    call = server.call
    path = "/apis/fairway.dev/v1alpha1/namespaces/ml/modeldeployments/churn/status"
    assert (call.method, call.path, call.query) == ("PATCH", path, {"fieldManager": "fairway"})
    assert call.headers["Content-Type"] == "application/json-patch+json"
    assert call.body == [
        {"op": "replace", "path": "/metadata/resourceVersion", "value": "41"},
        {"op": "add", "path": "/status", "value": {"phase": "Healthy"}},
    ]


async def test_a_list_is_read_page_by_page(cluster, server):
    server.answers(
        document({"metadata": {"continue": "to=ken&1"}, "items": [{"n": 1}]}),
        document({"metadata": {}, "items": [{"n": 2}]}),
    )
    assert await cluster.list("pods", "v1", "ml", "a=b") == [{"n": 1}, {"n": 2}]
    first, second = server.calls
    assert (first.method, first.path) == ("GET", "/api/v1/namespaces/ml/pods")
    assert first.query == {"limit": "500", "labelSelector": "a=b"}
    assert second.query == {**first.query, "continue": "to=ken&1"}


async def test_a_list_of_everything_names_no_namespace_and_no_selector(cluster, server):
    server.answers(document({"metadata": {}, "items": []}))
    assert await cluster.list("modeldeployments", "fairway.dev/v1alpha1", None, "") == []
    assert server.call.path == "/apis/fairway.dev/v1alpha1/modeldeployments"
    assert server.call.query == {"limit": "500"}


# --- names that are taken ---------------------------------------------------------------------------------------


async def test_our_own_child_from_before_a_crash_is_taken_up(cluster, server):
    found = manifest(spec={"from": "before"})
    server.answers(failure(409, "AlreadyExists"), document(found))
    assert await cluster.create(manifest()) == found
    assert server.seen == [("POST", APPS), ("GET", f"{APPS}/churn-a")]


@pytest.mark.parametrize(
    "owners",
    [[], [{**OURS[0], "uid": "another"}], [{**OURS[0], "controller": False}]],
    ids=["nobodys", "of another with our name", "not controlled"],
)
async def test_a_stranger_of_our_name_is_not_adopted(cluster, server, owners):
    found = manifest()
    found["metadata"]["ownerReferences"] = owners
    server.answers(failure(409, "AlreadyExists"), document(found))
    with pytest.raises(ClusterError) as caught:
        await cluster.create(manifest())
    assert (caught.value.status, caught.value.reason) == (409, "NameTaken")
    assert caught.value.message == "Deployment churn-a exists and is not ours: rename or delete it"
    assert [method for method, _ in server.seen] == ["POST", "GET"]


# --- from create to apply ---------------------------------------------------------------------------------------


def entry(manager, operation, fields, **more):
    return {"manager": manager, "operation": operation, "fieldsV1": fields, **more}


async def test_what_we_created_becomes_ours_by_apply_but_never_the_replicas(cluster, server):
    by_create = {"f:metadata": {"f:labels": {}}, "f:spec": {"f:replicas": {}, "f:template": {"f:spec": {}}}}
    foreign = [
        entry("kube-controller-manager", "Update", {"f:spec": {"f:replicas": {}}}),
        entry("fairway", "Update", {"f:status": {}}, subresource="status"),
        entry("fairway-replicas", "Apply", {"f:spec": {"f:replicas": {}}}, subresource="scale"),
    ]
    found = live(resourceVersion="7", managedFields=[*foreign, entry("fairway", "Update", by_create, time="t")])
    server.answers(document(found), document(found), stored())
    known = live(created=True)
    await cluster.apply(manifest(), known)

    assert server.seen == [("GET", f"{APPS}/churn-a"), *[("PATCH", f"{APPS}/churn-a")] * 2]
    _, handover, apply = server.calls
    assert handover.headers["Content-Type"] == "application/json-patch+json"
    without = {"f:metadata": {"f:labels": {}}, "f:spec": {"f:template": {"f:spec": {}}}}
    assert handover.body == [
        {
            "op": "replace",
            "path": "/metadata/managedFields",
            "value": [*foreign, entry("fairway", "Apply", without, time="t")],
        },
        {"op": "replace", "path": "/metadata/resourceVersion", "value": "7"},
    ]
    assert apply.headers["Content-Type"] == "application/apply-patch+yaml"

    await cluster.apply(manifest(), known)
    assert server.seen[3:] == [("PATCH", f"{APPS}/churn-a")]


async def test_what_a_create_has_found_becomes_ours_by_apply_too(cluster, server):
    """Given a child of ours that no watch has shown, when it is applied, then the fields of its creation are known."""
    found = live(resourceVersion="7", managedFields=[entry("fairway", "Update", {}), entry("kubectl", "Update", {})])
    del found["metadata"]["created-fields"]
    server.answers(failure(409, "AlreadyExists"), document(found), document(found), stored(), stored())
    await cluster.apply(manifest(), await cluster.create(manifest()))
    assert [method for method, _ in server.seen] == ["POST", "GET", "GET", "PATCH", "PATCH"]
    content_types = [call.headers["Content-Type"].split("/")[1] for call in server.calls[3:]]
    assert content_types == ["json-patch+json", "apply-patch+yaml"]


async def test_what_others_created_needs_no_hand_over(cluster, server):
    found = live(resourceVersion="7", managedFields=[entry("fairway", "Apply", {}), entry("kubectl", "Update", {})])
    del found["metadata"]["created-fields"]
    await cluster.apply(manifest(), found)
    assert server.call.headers["Content-Type"] == "application/apply-patch+yaml"


async def test_nothing_is_applied_when_the_hand_over_meets_another_writer(cluster, server):
    found = live(resourceVersion="7", managedFields=[entry("fairway", "Update", {})])
    server.answers(document(found), failure(409, "Conflict"))
    known = live(created=True)
    with pytest.raises(ClusterError) as caught:
        await cluster.apply(manifest(), known)
    assert caught.value.conflict
    assert len(server.calls) == 2
    assert known["metadata"]["created-fields"] is True


# --- a server that does not answer as it should -----------------------------------------------------------------

OVERLOADED = [
    failure(429),
    failure(500),
    failure(502),
    failure(503),
    failure(504),
    html(200),
    html(502),
    document([]),
    truncated,
    cut_off,
]


@pytest.mark.parametrize("trouble", OVERLOADED)
async def test_a_passing_trouble_is_waited_out(cluster, server, waits, trouble):
    server.answers(trouble, trouble, trouble, stored())
    applied = await cluster.apply(manifest(), live())
    assert applied["metadata"]["name"] == "churn-a"
    assert len(server.calls) == 4
    assert waits == [0.2, 0.4, 0.8]
    assert len({str(call) for call in server.calls}) == 1


@pytest.mark.parametrize("trouble", OVERLOADED)
async def test_a_lasting_trouble_is_an_error_after_four_tries(cluster, server, waits, trouble):
    server.answers(trouble)
    with pytest.raises(ClusterError) as caught:
        await cluster.list("pods", "v1", None, "")
    assert caught.value.status in (0, 429, 500, 502, 503, 504)
    assert waits == [0.2, 0.4, 0.8]
    assert "oops" not in str(caught.value)


@pytest.mark.parametrize(
    ("details", "ending"),
    [
        ({"causes": [{"reason": "NamespaceTerminating", "field": "metadata.namespace"}]}, True),
        ({"causes": [{"reason": "FieldValueInvalid"}, "stranger"]}, False),
        ({"causes": None}, False),
        ("stranger", False),
        (None, False),
    ],
)
async def test_a_namespace_that_is_being_deleted_is_told_from_a_lack_of_rights(cluster, server, details, ending):
    refusal = {"kind": "Status", "code": 403, "reason": "Forbidden", "message": "no", "details": details}
    server.answers(document(refusal, status=403))
    with pytest.raises(ClusterError) as caught:
        await cluster.create(manifest())
    assert (caught.value.ending, caught.value.status, caught.value.message) == (ending, 403, "no")
    assert len(server.calls) == 1


@pytest.mark.parametrize(
    ("status", "reason", "temporary"),
    [
        (0, "Unreachable", True),
        (404, "NotFound", True),
        (408, "Timeout", True),
        (409, "Conflict", True),
        (409, "NameTaken", False),
        (429, "TooManyRequests", True),
        (403, "Forbidden", False),
        (422, "Invalid", False),
        (500, "InternalError", False),
    ],
)
def test_what_passes_by_itself_is_told_from_what_lasts(status, reason, temporary):
    assert ClusterError(status, reason, "in words").temporary == temporary


@pytest.mark.parametrize(("asked", "waited"), [("1", 1.0), ("3", 3.0), ("86400", 5.0), ("0", 0.2), ("soon", 0.2)])
async def test_the_servers_wish_is_honoured_as_far_as_it_makes_sense(cluster, server, waits, asked, waited):
    server.answers(failure(429, **{"Retry-After": asked}), stored())
    await cluster.create(manifest())
    assert waits == [waited]


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (400, "BadRequest"),
        (401, "Unauthorized"),
        (403, "Forbidden"),
        (404, "NotFound"),
        (409, "Conflict"),
        (422, "Invalid"),
    ],
)
async def test_a_refusal_is_final_and_quoted(cluster, server, waits, status, reason):
    server.answers(failure(status, reason, "exceeded quota: pods"))
    with pytest.raises(ClusterError) as caught:
        await cluster.apply(manifest(), live())
    assert (caught.value.status, caught.value.reason, caught.value.message) == (status, reason, "exceeded quota: pods")
    assert (len(server.calls), waits) == (1, [])


async def test_a_refused_connection_is_an_error_after_four_tries(client, server, waits):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        client.configuration.host = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(ClusterError) as caught:
            await KubernetesCluster(client).create(manifest())
    assert (caught.value.status, caught.value.reason) == (0, "Unreachable")
    assert waits == [0.2, 0.4, 0.8]
    assert server.calls == []


async def test_a_server_that_never_answers_is_given_up(cluster, server, monkeypatch):
    monkeypatch.setattr(adapter, "TIMEOUT", 0.05)

    async def hang(_request):
        await asyncio.sleep(30)
        return web.Response()

    server.answers(hang)
    async with asyncio.timeout(5):
        with pytest.raises(ClusterError) as caught:
            await cluster.create(manifest())
    assert (caught.value.reason, caught.value.message) == ("Unreachable", f"POST {APPS}: TimeoutError")


async def test_a_create_whose_answer_was_lost_is_found_again(cluster, server):
    server.answers(cut_off, failure(409, "AlreadyExists"), document(manifest(found=True)))
    assert (await cluster.create(manifest()))["found"] is True


async def test_every_request_is_counted_with_its_outcome(client, server, waits):
    heard = []
    cluster = KubernetesCluster(client, called=lambda method, status: heard.append((method, status)))
    server.answers(truncated, failure(503), failure(404))
    await cluster.delete(live())
    assert heard == [("DELETE", 0), ("DELETE", 503), ("DELETE", 404)]


# --- who may write ----------------------------------------------------------------------------------------------


class LostError(Exception):
    """What a deposed leader's guard raises."""


WRITES = {
    "create": lambda c: c.create(manifest()),
    "apply": lambda c: c.apply(manifest(), live()),
    "scale": lambda c: c.scale(live(), 1),
    "delete": lambda c: c.delete(live()),
    "status": lambda c: c.write_status(MODEL, {}),
}


def deposed():
    raise LostError


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
async def test_who_does_not_lead_writes_nothing(client, server, waits, write):
    with pytest.raises(LostError):
        await write(KubernetesCluster(client, guard=deposed))
    assert server.calls == []


async def test_who_does_not_lead_hands_over_no_fields(client, server):
    server.answers(document(live(resourceVersion="7", managedFields=[])))
    with pytest.raises(LostError):
        await KubernetesCluster(client, guard=deposed).apply(manifest(), live(created=True))
    assert [method for method, _ in server.seen] == ["GET"]


async def test_who_does_not_lead_may_read(client, server):
    server.answers(document({"metadata": {}, "items": []}))
    assert await KubernetesCluster(client, guard=deposed).list("pods", "v1", None, "") == []


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
async def test_who_loses_the_lead_between_two_tries_does_not_try_again(client, server, waits, write):
    leading = iter([True])

    def guard():
        if not next(leading, False):
            raise LostError

    server.answers(failure(503))
    with pytest.raises(LostError):
        await write(KubernetesCluster(client, guard=guard))
    assert len(server.calls) == 1


# --- who we are -------------------------------------------------------------------------------------------------


async def once(connection):
    try:
        await KubernetesCluster(connection).request("GET", "/version")
    finally:
        await connection.close()


async def test_by_kubeconfig_the_users_token_is_sent(server, tmp_path, monkeypatch):
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    named = {"name": "x"}
    path = tmp_path / "config"
    path.write_text(
        yaml.safe_dump(
            {
                "current-context": "x",
                "contexts": [{**named, "context": {"cluster": "x", "user": "x"}}],
                "clusters": [{**named, "cluster": {"server": server.url}}],
                "users": [{**named, "user": {"token": "s3cret"}}],
            }
        )
    )
    monkeypatch.setattr(kube_config, "KUBE_CONFIG_DEFAULT_LOCATION", str(path))
    await once(await connect())
    assert server.call.headers["Authorization"] == "Bearer s3cret"


async def test_in_a_pod_the_service_accounts_token_is_sent_and_read_again(tmp_path, monkeypatch, certificate):
    crt, key = certificate
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(crt, key)
    token = tmp_path / "token"
    token.write_text("one")
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(token))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(crt))
    async with FakeApiServer([document({})], tls=tls) as server:
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
        monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(server.port))
        connection = await connect()
        cluster = KubernetesCluster(connection)
        try:
            await cluster.request("GET", "/version")
            token.write_text("two")
            later = incluster_config.datetime.datetime.now() + incluster_config.datetime.timedelta(minutes=2)
            at_noon = SimpleNamespace(
                datetime=SimpleNamespace(now=lambda: later), timedelta=incluster_config.datetime.timedelta
            )
            monkeypatch.setattr(incluster_config, "datetime", at_noon)
            await cluster.request("GET", "/version")
        finally:
            await connection.close()
    assert [call.headers["Authorization"].split(" ")[1] for call in server.calls] == ["one", "two"]
    assert server.calls[0].headers["Authorization"].lower().startswith("bearer ")


async def test_a_server_that_others_certified_is_not_trusted(tmp_path, monkeypatch, certificate, waits):
    crt, key = certificate
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(crt, key)
    async with FakeApiServer([document({})], tls=tls) as server:
        connection = ApiClient(configuration=Configuration(host=server.url))
        with pytest.raises(ClusterError):
            await once(connection)
    assert server.calls == []
