"""What the operator would decide about a file: its own functions, fed with what we may read of the cluster."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import yaml
from pydantic import ValidationError

from fairway.api import GROUP
from fairway.api.runtime import ModelRuntimeSpec
from fairway.api.spec import GatewayRef, ModelDeploymentSpec
from fairway.api.status import Status
from fairway.cli.client import Manifest
from fairway.cli.errors import CliError, Exit
from fairway.cli.manifests import Document, read, refuse
from fairway.cli.session import Options, Session, core_path, group_path, model_path
from fairway.cli.words import dig
from fairway.core import names, routing
from fairway.core.errors import Unresolved
from fairway.core.providers import Providers
from fairway.core.rollout.intake import asked_for_another
from fairway.core.rollout.situation import Event, Situation
from fairway.engine.analysis import Analysis
from fairway.engine.gather import Defaults, Gathered, Gatherer
from fairway.engine.store import MemoryStore
from fairway.settings import Settings

GATEWAYS = "gateway.networking.k8s.io/v1"
OPERATOR = "fairway-system"
LABELS = "app.kubernetes.io/name=fairway"
NEW = "00000000-0000-0000-0000-000000000000"
"""UID of a ModelDeployment that does not exist yet."""
FETCH_IMAGE = "fairway"
"""Stands for the operator's own image where its Deployment may not be read."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """What we know of the cluster; None where we may not look, or were told not to."""

    live: Mapping[str, Manifest]
    """The ModelDeployments of the files that exist, as namespace/name."""
    runtimes: Sequence[Manifest] | None = None
    configuration: Mapping[str, Any] | None = None
    """The operator's own."""
    fetch_image: str = ""
    """The image that fetches models; empty where we may not know it."""
    gateways: Mapping[str, Manifest | None] | None = None
    """The Gateways that the files name, as namespace/name; None for one that does not exist."""
    records: Sequence[Manifest] | None = None
    reached: bool = False


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What becomes of one document."""

    document: Document
    spec: ModelDeploymentSpec
    gathered: Gathered
    before: Status
    after: Status
    live: Manifest | None
    events: tuple[Event, ...] = ()

    @property
    def situation(self) -> Situation:
        """What the operator would see."""
        return self.gathered.situation


class Pinned:
    """Implements the Clock port: one moment."""

    def __init__(self, at: float) -> None:
        self._at = at

    def now(self) -> float:
        """Epoch seconds."""
        return self._at


# --- looking ----------------------------------------------------------------------------------------------------------


def look(session: Session, documents: Sequence[Document], *, offline: bool) -> Cluster:
    """Read what the operator would look at, as far as we may."""
    if offline:
        return Cluster({})
    live, records = {}, []
    all_kept = True
    for document in documents:
        namespace = document.namespace or session.namespace
        found = session.try_get(model_path(namespace, document.name)) if document.name else None
        if found is None:
            continue
        live[f"{namespace}/{document.name}"] = found
        selector = f"{names.OWNER}={found['metadata']['uid']}"
        kept = session.try_list(group_path("apps/v1", namespace, "controllerrevisions"), labelSelector=selector)
        all_kept = all_kept and kept is not None
        records += kept or []
    known = configuration(session)
    return Cluster(
        live=live,
        runtimes=session.try_list(f"/apis/{GROUP}/v1alpha1/modelruntimes"),
        configuration=known,
        fetch_image=str((known or {}).get("fetchImage") or _fetch_image(session)),
        gateways=_gateways(session, documents),
        records=records if all_kept else None,
        reached=True,
    )


def configuration(session: Session) -> dict[str, Any] | None:
    """Return the operator's configuration, where we may read it."""
    found = session.try_list(core_path(OPERATOR, "configmaps"), labelSelector=LABELS) or []
    text = next((dig(item, "data").get("config.yaml") for item in found if dig(item, "data")), None)
    return dict(yaml.safe_load(text) or {}) if text else None


def _fetch_image(session: Session) -> str:
    """Return the image that the operator is told to fetch with: its Deployment says so, in the environment."""
    for deployment in session.try_list(group_path("apps/v1", OPERATOR, "deployments"), labelSelector=LABELS) or ():
        for container in dig(deployment, "spec.template.spec.containers") or ():
            for variable in container.get("env") or ():
                if variable["name"] == "FETCH_IMAGE" and variable.get("value"):
                    return str(variable["value"])
    return ""


def providers(cluster: Cluster) -> Providers | None:
    """Return the operator's metrics providers; None where nobody may know them, or where we cannot read them."""
    from fairway.adapters.promql import scoped  # noqa: PLC0415  most verbs do without the parser

    asked = cluster.configuration
    if asked is None:
        return None
    try:
        settings = Settings.model_validate({key: asked[key] for key in ("prometheus", "metrics") if key in asked})
    except ValueError:
        return None  # an operator of another version wrote it
    return Providers(settings.known_providers, scoped)


def _gateways(session: Session, documents: Sequence[Document]) -> dict[str, Manifest | None] | None:
    found: dict[str, Manifest | None] = {}
    for document in documents:
        asked = dig(document.content, "spec.traffic.gateway")
        if not isinstance(asked, dict) or not asked.get("name"):
            continue
        namespace = asked.get("namespace") or document.namespace or session.namespace
        listed = session.try_list(group_path(GATEWAYS, namespace, "gateways"))
        if listed is None:
            return None
        named = (each for each in listed if each["metadata"]["name"] == asked["name"])
        found[f"{namespace}/{asked['name']}"] = next(named, None)
    return found


def default_gateway(flag: str | None, cluster: Cluster) -> GatewayRef | None:
    """Return the operator's default gateway: as the flag says, else as its configuration says."""
    if flag:
        namespace, _, name = flag.rpartition("/")
        return GatewayRef(name=name, namespace=namespace or None)
    asked = (cluster.configuration or {}).get("gateway")
    return GatewayRef.model_validate(asked) if asked else None


def foretold(session: Session, options: Options) -> tuple[Cluster, Iterator[Foreseen]]:
    """Return what is known of the cluster, and what becomes of each ModelDeployment in the files."""
    files = read(options.filename)
    if not files.models:
        raise CliError("no ModelDeployment in there", Exit.REFUSED)
    cluster = look(session, files.models, offline=options.offline)
    namespace = (session.flags.namespace or "default") if options.offline else session.namespace
    gateway = default_gateway(options.gateway, cluster)
    return cluster, (
        foresee(document, cluster, files.runtimes, namespace=namespace, gateway=gateway, now=session.now())
        for document in files.models
    )


# --- deciding ---------------------------------------------------------------------------------------------------------


def foresee(  # noqa: PLR0913  everything that a decision depends on
    document: Document,
    cluster: Cluster,
    more_runtimes: Sequence[Document],
    *,
    namespace: str,
    gateway: GatewayRef | None,
    now: float,
) -> Foreseen:
    """Return what the operator would decide about this document. Raises CliError with the reason it cannot."""
    for each in (document, *more_runtimes):
        refuse(each)
    where = document.namespace or namespace
    live = cluster.live.get(f"{where}/{document.name}")
    model = _as_applied(document, live, where)
    before = Status.model_validate((live or {}).get("status") or {})
    gateway = gateway or _routed_by(live)
    store = MemoryStore()
    for manifest in _world(model, before, cluster, more_runtimes, gateway):
        store.put(manifest)
    clock = Pinned(now)
    defaults = Defaults(gateway=gateway, providers=providers(cluster), fetch_image=cluster.fetch_image or FETCH_IMAGE)
    try:
        gathered = Gatherer(store, Analysis((), clock, lambda _key: None), clock, defaults).gather(model, before, None)
    except Unresolved as error:
        raise CliError(f"{document.file}: {error.message}", Exit.REFUSED) from None
    except ValidationError as error:
        words = f"{error.title}: {error.errors()[0]['msg']}"
        raise CliError(f"{document.file}: what the cluster has stored is not valid: {words}") from None
    moved = asked_for_another(gathered.situation)
    after, events = (moved.status, moved.events) if moved else (before, ())
    return Foreseen(document, gathered.situation.spec, gathered, before, after, live, events)


def _as_applied(document: Document, live: Manifest | None, namespace: str) -> Manifest:
    meta = {"uid": NEW, "generation": 1, **(live["metadata"] if live else {})}
    meta |= {"name": document.name, "namespace": namespace}
    return {**document.content, "metadata": {**(document.content.get("metadata") or {}), **meta}}


def _routed_by(live: Manifest | None) -> GatewayRef | None:
    """Guess the default gateway where we may not know it: what routes a model today is what will."""
    if dig(live, "status.effective.router") != "Gateway" or dig(live, "spec.traffic.gateway"):
        return None
    return GatewayRef(name="default-gateway", namespace="unknown")


def _world(
    model: Manifest,
    status: Status,
    cluster: Cluster,
    more_runtimes: Sequence[Document],
    gateway: GatewayRef | None,
) -> Iterator[Manifest]:
    """Everything that decisions read. Pods are those that the status counts: nobody needs the right to list them."""
    yield model
    for runtime in cluster.runtimes or ():
        yield {"kind": "ModelRuntime", **runtime}
    yield from (document.content for document in more_runtimes)
    for record in cluster.records or ():
        yield {"kind": "ControllerRevision", **record}
    asked = routing.routed_by(ModelDeploymentSpec.model_validate(model["spec"]), gateway)
    if asked is not None:
        place = asked.namespace or model["metadata"]["namespace"]
        known = (cluster.gateways or {}).get(f"{place}/{asked.name}")
        stub = {"metadata": {"name": asked.name, "namespace": place}, "spec": {"listeners": [{"protocol": "HTTP"}]}}
        yield {"kind": "Gateway", **(known or stub)}
    for track in (status.stable, status.candidate):
        if track and track.replicas:
            yield from _pods(model["metadata"], track.revision, track.replicas, track.ready)


def _pods(meta: Mapping[str, Any], revision: str, replicas: int, ready: int) -> Iterator[Manifest]:
    name = names.child(meta["name"], revision)
    labels = {names.OWNER: meta["uid"], names.REVISION: revision}
    about = {"namespace": meta["namespace"], "labels": labels}
    yield {"kind": "Deployment", "metadata": {**about, "name": name, "uid": name}, "spec": {"replicas": replicas}}
    for number in range(replicas):
        condition = {"type": "Ready", "status": "True" if number < ready else "False"}
        pod = f"{name}-{number}"
        yield {"kind": "Pod", "metadata": {**about, "name": pod, "uid": pod}, "status": {"conditions": [condition]}}


def known_runtimes(cluster: Cluster, more: Sequence[Document]) -> dict[str, ModelRuntimeSpec] | None:
    """Return the ModelRuntimes by name, without those that are none; None where nobody knows those of the cluster."""
    if cluster.runtimes is None and not more:
        return None
    specs = [
        *((r["metadata"]["name"], r.get("spec")) for r in cluster.runtimes or ()),
        *((d.name, d.content.get("spec")) for d in more),
    ]
    found = {}
    for name, spec in specs:
        with suppress(ValidationError):  # it is reported where it stands; here it is as if it were not there
            found[name] = ModelRuntimeSpec.model_validate(spec)
    return found


def without_gateway_guess(foreseen: Foreseen) -> Foreseen:
    """Return it without a route whose gateway was only guessed: such a route would name a Gateway that is not there."""
    asked = foreseen.gathered.routing.gateway
    if asked is None or asked.namespace != "unknown":
        return foreseen
    return replace(
        foreseen, gathered=replace(foreseen.gathered, routing=replace(foreseen.gathered.routing, routable=False))
    )
