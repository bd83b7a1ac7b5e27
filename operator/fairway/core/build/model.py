"""How the model gets to its server: in the image, from a claim, as an image volume, or fetched before the start."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from fairway.api.serving import Model
from fairway.core.errors import Unresolved
from fairway.core.pods import FETCH

DEFAULT_PATH: Final = "/mnt/models"
MODEL_VOLUME: Final = "fairway-model"
CREDENTIALS_VOLUME: Final = "fairway-credentials"
CREDENTIALS_PATH: Final = "/var/run/fairway/credentials"
CONTENT: Final = "model"
"""Directory of the volume that the server sees; beside it the download is staged, so that it appears whole."""
FETCH_USER: Final = 65532
PROXY_VARIABLES: Final = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY")
_RESOURCES: Final = {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"cpu": "1", "memory": "256Mi"}}
"""Below what any model server asks for, so that it costs no room; a limit of each, since quotas may demand one."""


@dataclass(frozen=True, slots=True)
class Place:
    """What a spec leaves to others: the ModelRuntime's ``modelMountPath``, and the operator's image that fetches."""

    path: str | None = None
    fetch_image: str = ""


@dataclass(frozen=True, slots=True)
class Parts:
    """What the model adds to a pod."""

    volumes: tuple[dict[str, Any], ...] = ()
    mounts: tuple[dict[str, Any], ...] = ()
    init_containers: tuple[dict[str, Any], ...] = ()


def parts(model: Model, place: Place, env: Iterable[tuple[str, str]] = ()) -> Parts:
    """Return what a model source adds to a pod. Raises Unresolved when there is nothing to fetch it with."""
    if model.uri is None:
        return Parts()
    scheme, _, rest = model.uri.partition("://")
    path = model.mount_path or place.path or DEFAULT_PATH
    if scheme == "pvc":
        return _claim(model, rest, path, place.fetch_image)
    if scheme == "oci":
        image = {"reference": rest, "pullPolicy": "IfNotPresent"}
        mount = {"name": MODEL_VOLUME, "mountPath": path, "readOnly": True}
        return Parts(volumes=({"name": MODEL_VOLUME, "image": image},), mounts=(mount,))
    return _fetched(model, path, place.fetch_image, env)


def _claim(model: Model, rest: str, path: str, fetch_image: str) -> Parts:
    name, _, inside = rest.rstrip("/").partition("/")
    where = {"subPath": inside} if inside else {}
    volume = {"name": MODEL_VOLUME, "persistentVolumeClaim": {"claimName": name, "readOnly": True}}
    mount = {"name": MODEL_VOLUME, "mountPath": path, "readOnly": True, **where}
    if model.digest is None:
        return Parts(volumes=(volume,), mounts=(mount,))
    arguments = ["--verify", "--digest", model.digest, "--to", DEFAULT_PATH]
    check = _fetch_container(fetch_image, arguments, [{**mount, "mountPath": DEFAULT_PATH}], ())
    return Parts(volumes=(volume,), mounts=(mount,), init_containers=(check,))


def _fetched(model: Model, path: str, fetch_image: str, env: Iterable[tuple[str, str]]) -> Parts:
    assert model.uri is not None
    arguments = ["--uri", model.uri, "--to", f"{DEFAULT_PATH}/{CONTENT}"]
    if model.digest:
        arguments += ["--digest", model.digest]
    volumes: list[dict[str, Any]] = [{"name": MODEL_VOLUME, "emptyDir": {}}]
    mounts: list[dict[str, Any]] = [{"name": MODEL_VOLUME, "mountPath": DEFAULT_PATH}]
    if model.credentials:
        arguments += ["--credentials", CREDENTIALS_PATH]
        volumes.append({"name": CREDENTIALS_VOLUME, "secret": {"secretName": model.credentials.secret_name}})
        mounts.append({"name": CREDENTIALS_VOLUME, "mountPath": CREDENTIALS_PATH, "readOnly": True})
    return Parts(
        volumes=tuple(volumes),
        mounts=({"name": MODEL_VOLUME, "mountPath": path, "subPath": CONTENT, "readOnly": True},),
        init_containers=(_fetch_container(fetch_image, arguments, mounts, env),),
    )


def _fetch_container(
    image: str, arguments: list[str], mounts: list[dict[str, Any]], env: Iterable[tuple[str, str]]
) -> dict[str, Any]:
    if not image:
        raise Unresolved(
            "FetchUnavailable",
            "spec.model.uri: there is no image to fetch it with: set fetchImage in the operator's settings",
        )
    # The way out of the cluster is the same for the server and for its model: set it once, in runtime.env.
    proxies = [{"name": name, "value": value} for name, value in env if name.upper() in PROXY_VARIABLES and value]
    return {
        "name": FETCH,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "args": ["fetch", *arguments],
        **({"env": proxies} if proxies else {}),
        "volumeMounts": mounts,
        "resources": _RESOURCES,
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "runAsUser": FETCH_USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
