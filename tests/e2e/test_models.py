"""Where the model comes from, with a real kubelet: a claim, an HTTPS server, an image volume; and when it does not."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.cluster import settings
from tests.e2e.harness import Manifest, Namespace, condition, serves
from tests.e2e.programs import kubectl
from tests.e2e.specs import IMAGE, model
from tests.fakes.https import make_certificate

pytestmark = pytest.mark.e2e

SERVER_IMAGE = f"{IMAGE}:1.0.0"
MOUNTED = "/mnt/models"
# Of a directory, as docs/spec/v1alpha1.md tells people to make it.
TREE_DIGEST = r"find -L . -type f -printf '%P\0' | xargs -0 sha256sum | LC_ALL=C sort | sha256sum"
MODEL_SERVER = """
import hashlib, http.server, ssl, tarfile
with tarfile.open("/srv/model.tar.gz", "w:gz") as archive:
    archive.add("/app/model", arcname=".")
content = open("/srv/model.tar.gz", "rb").read()
print(hashlib.sha256(content).hexdigest(), flush=True)

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        found = self.path == "/model.tar.gz"
        self.send_response(200 if found else 503 if self.path == "/busy.tar.gz" else 404)
        self.send_header("Content-Length", str(len(content) if found else 0))
        self.end_headers()
        if found:
            self.wfile.write(content)

server = http.server.ThreadingHTTPServer(("", 8443), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("/tls/tls.crt", "/tls/tls.key")
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""


def mounted(version: str, uri: str, *, inside: str = "", digest: str | None = None, **source: Any) -> Manifest:
    """A spec whose server reads its model from the mount: it cannot become ready without the model's files."""
    spec = model(version, env={"MODEL_DIR": f"{MOUNTED}{inside}"}, scaling={"replicas": 1})
    spec["model"] |= {"uri": uri, **({"digest": digest} if digest else {}), **source}
    spec["rollout"] = {"steps": [], "deadlines": {"pull": "5s", "ready": "2m"}}
    return dict(spec)


@pytest.fixture
async def volume(ns: Namespace) -> AsyncIterator[str]:
    """The name of a volume for the test's namespace; volumes outlive their claims, so it is deleted."""
    yield ns.name
    await kubectl("delete", "persistentvolume", ns.name, "--wait=false")


async def test_s25_a_model_from_a_claim_is_verified_and_mounted(ns: Namespace, volume: str) -> None:
    """Given a claim with a model, when its digest is right it serves, and when it is wrong the version is rejected."""
    digest = await _fill_claim(ns, volume)
    await ns.apply(mounted("1.0.0", "pvc://models/churn", digest=digest))
    status = await ns.healthy("1.0.0")
    assert status["stable"]["ready"] == 1
    wrong = "sha256:" + "0" * 64
    await ns.apply(mounted("1.1.0", "pvc://models/churn", digest=wrong))
    status = await ns.until("1.1.0 is rejected", lambda s: s.get("phase") == "RolledBack")
    assert condition(status, "UpToDate") == ("False", "ModelFetch")
    assert f"digest mismatch: got {digest} wanted {wrong}" in status["message"]
    assert serves(status) == "1.0.0"


@pytest.mark.long
async def test_s25_a_model_over_https_is_fetched_and_its_failures_are_told_apart(ns: Namespace, tmp_path: Any) -> None:
    """Given an HTTPS server, then its model serves; what is not there is rejected soon, what is busy is waited for."""
    base, digest = await _serve_models(ns, tmp_path)
    trusted = {"credentials": {"secretName": "trust"}}
    await ns.apply(mounted("1.0.0", f"{base}/model.tar.gz", digest=digest, **trusted))
    await ns.healthy("1.0.0")
    absent = mounted("1.1.0", f"{base}/nothing.tar.gz", **trusted)
    absent["rollout"]["deadlines"]["ready"] = "10m"  # longer than anybody waits here: a permanent failure does not
    await ns.apply(absent)
    status = await ns.until("1.1.0 is rejected", lambda s: s.get("phase") == "RolledBack")
    assert condition(status, "UpToDate") == ("False", "ModelFetch")
    assert "there is no such file" in status["message"]
    busy = mounted("1.2.0", f"{base}/busy.tar.gz", **trusted)
    busy["rollout"]["deadlines"]["ready"] = "10m"
    await ns.apply(busy)
    status = await ns.until("the cause is told", lambda s: "503" in s.get("message", ""))
    assert status["phase"] == "Progressing"  # temporary: it is tried again until `deadlines.ready`
    await ns.apply(mounted("1.0.0", f"{base}/model.tar.gz", digest=digest, **trusted))
    await ns.healthy("1.0.0")


@pytest.mark.long
async def test_s25_a_model_in_an_image_is_mounted_and_a_missing_one_is_named(ns: Namespace) -> None:
    """Given an image with model files, then it is mounted as a volume; when there is none, the image is named."""
    await ns.apply(mounted("1.0.0", f"oci://{SERVER_IMAGE}", inside="/app/model"))
    await ns.healthy("1.0.0")
    pod = (await ns.pods("1.0.0"))[0]
    assert pod["spec"].get("initContainers", []) == []
    absent = mounted("1.1.0", "oci://registry.example/no-such-model:1", inside="/app/model")
    absent["rollout"]["deadlines"]["ready"] = "40s"  # nobody says that there is none: here no name can be looked up
    await ns.apply(absent)
    status = await ns.until("1.1.0 is rejected", lambda s: s.get("phase") == "RolledBack")
    assert "registry.example/no-such-model:1" in status["message"]
    assert serves(status) == "1.0.0"


async def _fill_claim(ns: Namespace, name: str) -> str:
    """Given a claim `models` with the model in its folder `churn`; return the folder's digest."""
    folder = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce", "ReadOnlyMany"],
            "storageClassName": "",
            "persistentVolumeReclaimPolicy": "Retain",
            "claimRef": {"namespace": ns.name, "name": "models"},
            "hostPath": {"path": f"{settings.STATE}/volumes/{name}", "type": "DirectoryOrCreate"},
        },
    }
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "models", "namespace": ns.name},
        "spec": {
            "storageClassName": "",
            "volumeName": name,
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }
    writer = _pod(ns, "writer", ["sh", "-c", f"cp -r /app/model /claim/churn && cd /claim/churn && {TREE_DIGEST}"])
    writer["spec"]["containers"][0]["volumeMounts"] = [{"name": "claim", "mountPath": "/claim"}]
    writer["spec"]["containers"][0]["securityContext"] = {"runAsUser": 0}  # the kubelet makes the folder as root
    writer["spec"]["volumes"] = [{"name": "claim", "persistentVolumeClaim": {"claimName": "models"}}]
    await _apply(folder, claim, writer)
    await kubectl("-n", ns.name, "wait", "pod/writer", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=180s")
    return f"sha256:{await _first_word(ns, 'writer')}"


async def _serve_models(ns: Namespace, folder: Any) -> tuple[str, str]:
    """Given an HTTPS server with a certificate of its own; return its address and its archive's digest."""
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "models", "namespace": ns.name},
        "spec": {"selector": {"app": "models"}, "ports": [{"port": 443, "targetPort": 8443}]},
    }
    await _apply(service)
    address = (await ns.get("service", "models"))["spec"]["clusterIP"]
    crt, key = make_certificate(folder, address)
    secret = ["-n", ns.name, "create", "secret"]
    await kubectl(*secret, "tls", "tls", f"--cert={crt}", f"--key={key}")
    await kubectl(*secret, "generic", "trust", f"--from-file=ca.crt={crt}")
    server = _pod(ns, "models", ["python", "-c", MODEL_SERVER])
    server["metadata"]["labels"] = {"app": "models"}
    mounts = [{"name": "tls", "mountPath": "/tls"}, {"name": "srv", "mountPath": "/srv"}]
    server["spec"]["containers"][0]["volumeMounts"] = mounts
    server["spec"]["containers"][0]["readinessProbe"] = {"tcpSocket": {"port": 8443}, "periodSeconds": 1}
    server["spec"]["volumes"] = [{"name": "tls", "secret": {"secretName": "tls"}}, {"name": "srv", "emptyDir": {}}]
    await _apply(server)
    await kubectl("-n", ns.name, "wait", "pod/models", "--for=condition=Ready", "--timeout=180s")
    return f"https://{address}", f"sha256:{await _first_word(ns, 'models')}"


def _pod(ns: Namespace, name: str, command: list[str]) -> Manifest:
    container = {"name": name, "image": SERVER_IMAGE, "imagePullPolicy": "IfNotPresent", "command": command}
    spec = {"containers": [container], "restartPolicy": "Never", "terminationGracePeriodSeconds": 1}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": ns.name}, "spec": spec}


async def _apply(*manifests: Manifest) -> None:
    await kubectl("apply", "-f", "-", stdin="\n---\n".join(json.dumps(each) for each in manifests))


async def _first_word(ns: Namespace, pod: str) -> str:
    async with asyncio.timeout(60):
        while not (words := (await kubectl("-n", ns.name, "logs", pod)).split()):
            await asyncio.sleep(0.2)
    return words[0]
