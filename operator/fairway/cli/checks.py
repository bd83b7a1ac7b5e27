"""One small check for each thing that can be wrong with a ModelDeployment before it is applied. Pure."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from fairway.api.spec import ModelDeploymentSpec
from fairway.api.types import NAME_LENGTH, OBJECT_NAME
from fairway.cli.facts import Facts, claim_of
from fairway.cli.foresight import providers
from fairway.cli.manifests import Document, problems
from fairway.cli.room import quantity
from fairway.cli.words import dig, safe
from fairway.core import capacity, objectives, routing, runtimes
from fairway.core.errors import Unresolved
from fairway.core.revision import resolve

IMAGE_VOLUMES = (1, 35)
"""First Kubernetes in which oci:// models work."""
Level = Literal["error", "warning", "note"]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about one document: where it stands, which field, and what is wrong."""

    level: Level
    place: str
    path: str
    message: str


@dataclass(frozen=True, slots=True)
class Case:
    """One valid document, and the cluster that it is for."""

    document: Document
    spec: ModelDeploymentSpec
    facts: Facts
    namespace: str

    @property
    def model(self) -> dict[str, Any]:
        """The object as it would be stored."""
        meta = {"creationTimestamp": "9999", **((self.live or {}).get("metadata") or {})}
        return {**self.document.content, "metadata": {**meta, "name": self.document.name, "namespace": self.namespace}}

    @property
    def live(self) -> Mapping[str, Any] | None:
        """The object as it is stored now."""
        return self.facts.cluster.live.get(f"{self.namespace}/{self.document.name}")


Found = tuple[Level, str, str]
"""Level, path, message."""


def place(document: Document) -> str:
    """Return where a finding about a document is."""
    return f"{document.file} {document.name}".strip()


def of_schema(document: Document) -> list[Finding]:
    """Return what the schema and its rules refuse."""
    found = [Finding("error", place(document), path, words) for path, words in problems(document)]
    name = document.name
    if document.kind == "ModelDeployment" and (len(name) > NAME_LENGTH or not re.fullmatch(OBJECT_NAME, name)):
        words = f"at most {NAME_LENGTH} lower-case letters, digits and dashes, a letter first and no dash at the end"
        found.append(Finding("error", place(document), "metadata.name", words))
    return found


def check(document: Document, facts: Facts, namespace: str) -> list[Finding]:
    """Return what the cluster makes of a document that the schema takes."""
    spec = ModelDeploymentSpec.model_validate(document.content["spec"])
    case = Case(document, spec, facts, document.namespace or namespace)
    found = [each for one in _CHECKS for each in one(case)]
    return [Finding(level, place(document), path, words) for level, path, words in found]


def _runtime(case: Case) -> Iterator[Found]:
    known = case.facts.runtimes
    if known is None:
        if case.spec.runtime.name or not case.spec.runtime.image:
            yield "note", "spec.runtime", "ModelRuntimes may not be listed: whether there is one is not known"
        return
    try:
        chosen = runtimes.choose(case.spec, known)
        server = resolve(case.spec, chosen[1] if chosen else None)
    except Unresolved as error:
        path, _, words = error.message.partition(": ")
        yield "error", path, words
        return
    problems = {each.name: each.problem for each in objectives.plan(case.spec, server.series)}
    for i, objective in enumerate(case.spec.objectives or ()):
        if problem := problems.get(objective.name):
            yield "error", f"spec.objectives[{i}]", f"cannot be judged: {problem}"


_FIELDS = {"UnknownProvider": ".provider", "UnknownTemplate": ".template"}


def _providers(case: Case) -> Iterator[Found]:
    """Look whether the operator knows whom and what each objective asks."""
    known = providers(case.facts.cluster)
    if known is None:
        if any(each.provider or each.template for each in case.spec.objectives or ()):
            yield "note", "spec.objectives", "the operator's configuration may not be read: names are not checked"
        return
    for i, objective in enumerate(case.spec.objectives or ()):
        problem = known.problem(objective, (case.namespace, case.document.name))
        if problem:
            field = _FIELDS.get(problem.cause, ".query" if objective.query else "")
            yield "error", f"spec.objectives[{i}]{field}", f"cannot be judged: {problem.message}"


def _gateway(case: Case) -> Iterator[Found]:
    facts, traffic = case.facts, case.spec.traffic
    asked = routing.routed_by(case.spec, facts.gateway)
    if asked is None:
        if traffic and traffic.hostnames and facts.cluster.configuration is not None:
            yield (
                "warning",
                "spec.traffic.gateway",
                "the operator has no default gateway: hostnames do nothing without one",
            )
        return
    if facts.gateway_api is False:
        yield "error", "spec.traffic", "there is no Gateway API in this cluster: runs would hold with NoGateway"
        return
    known, key = facts.cluster.gateways, f"{asked.namespace or case.namespace}/{asked.name}"
    if known is None:
        yield "note", "spec.traffic.gateway", f"Gateways may not be listed: whether {key} is there is not known"
    elif key in known and known[key] is None:
        yield "error", "spec.traffic.gateway", f"there is no Gateway {key}: runs would hold with NoGateway"
    elif known.get(key):
        yield from _listeners(case, key, known[key] or {})


def _listeners(case: Case, key: str, gateway: Mapping[str, Any]) -> Iterator[Found]:
    """Look whether any listener takes routes from this namespace, and each hostname."""
    listeners = dig(gateway, "spec.listeners") or []
    mine = gateway["metadata"].get("namespace") == case.namespace
    open_ = [each for each in listeners if mine or (dig(each, "allowedRoutes.namespaces.from") or "Same") != "Same"]
    if listeners and not open_:
        yield "error", "spec.traffic.gateway", f"no listener of {key} takes routes from namespace {case.namespace}"
        return
    for i, host in enumerate((case.spec.traffic and case.spec.traffic.hostnames) or ()):
        if open_ and not any(_covers(each.get("hostname"), host) for each in open_):
            yield "error", f"spec.traffic.hostnames[{i}]", f"no listener of {key} takes {host}"


def _covers(listener: str | None, host: str) -> bool:
    if not listener or listener == host:
        return True
    wide, narrow = (listener, host) if listener.startswith("*.") else (host, listener)
    return wide.startswith("*.") and narrow.endswith(wide[1:])


def _hostnames(case: Case) -> Iterator[Found]:
    claim = routing.claim(case.model, case.facts.gateway)
    if claim is None or case.facts.models is None:
        return
    others = [
        m
        for m in case.facts.models
        if (m["metadata"]["namespace"], m["metadata"]["name"]) != (claim.namespace, claim.name)
    ]
    claims = [found for other in others if (found := routing.claim(other, case.facts.gateway))]
    trouble = routing.trouble(claim, claims, {})
    if trouble:
        yield "error", "spec.traffic.hostnames", trouble.message


def _model(case: Case) -> Iterator[Found]:
    uri, version = case.spec.model.uri or "", case.facts.kubernetes
    if uri.startswith("oci://") and version and version < IMAGE_VOLUMES:
        yield "error", "spec.model.uri", f"oci:// needs Kubernetes 1.35 or newer; this is {version[0]}.{version[1]}"
    claim = claim_of(case.document.content)
    if claim and (case.facts.claims or {}).get((case.namespace, claim)) is False:
        yield "error", "spec.model.uri", f"there is no PersistentVolumeClaim {claim} in namespace {case.namespace}"
    if uri.startswith("https://") and case.spec.model.digest is None:
        yield "warning", "spec.model.digest", "without a digest nobody notices when the file at uri is another one"


def _resources(case: Case) -> Iterator[Found]:
    resources, scaling = case.spec.resources, capacity.scaling(case.spec)
    requests, limits = (
        (resources.requests if resources else None) or {},
        (resources.limits if resources else None) or {},
    )
    if scaling.max_replicas and not scaling.metrics and not {"cpu"} & {*requests, *limits}:
        yield "error", "spec.resources.requests.cpu", "the autoscaler goes by CPU, and needs to know what is requested"
    for name in sorted({*requests} & {*limits}):
        if quantity(requests[name]) > quantity(limits[name]):
            yield "error", f"spec.resources.requests.{name}", f"{requests[name]} exceeds the limit of {limits[name]}"
    if "memory" not in limits:
        yield "note", "spec.resources.limits.memory", "without a limit one leaking model can take its node's memory"


def _rollout(case: Case) -> Iterator[Found]:
    spec = case.spec
    steps = (spec.rollout.steps if spec.rollout else None) or ()
    if not spec.objectives:
        if steps:
            yield "warning", "spec.objectives", "nothing is promised in numbers: only time and crashes decide"
        return
    if all(objective.dry_run for objective in spec.objectives):
        yield "warning", "spec.objectives", "every objective is a dry run: only time and crashes decide"
    if (
        routing.routed_by(spec, case.facts.gateway) is not None
        or dig(case.live, "status.effective.router") == "Gateway"
    ):
        return
    size = capacity.floor(spec)
    for i, step in enumerate(steps):
        pods = step.weight and max(1, -(-step.weight * size // 100))
        real = round(100 * pods / (pods + size)) if pods else 0
        if step.weight and abs(real - step.weight) > 5:  # noqa: PLR2004  percent that nobody minds
            words = f"{step.weight}% of {size} pods is really {real}%: without a gateway the pods are the share"
            yield "warning", f"spec.rollout.steps[{i}].weight", words


def _metrics(case: Case) -> Iterator[Found]:
    for condition in dig(case.live, "status.conditions") or ():
        if case.spec.objectives and condition["type"] == "MetricsReady" and condition["status"] == "False":
            yield "warning", "spec.objectives", f"MetricsReady is False now: {safe(condition.get('message'))}"


_CHECKS: tuple[Callable[[Case], Iterator[Found]], ...] = (
    _runtime,
    _providers,
    _gateway,
    _hostnames,
    _model,
    _resources,
    _rollout,
    _metrics,
)
