"""``plan``: what applying a file would do: a new revision or not, steps, pods, times, and what cannot be judged."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from rich.text import Text

from fairway.api.spec import ModelDeploymentSpec
from fairway.api.status import Status
from fairway.cli import style
from fairway.cli.changes import Change, changes
from fairway.cli.client import Manifest
from fairway.cli.errors import CliError, Exit
from fairway.cli.foresight import Cluster, Foreseen, foretold, providers
from fairway.cli.room import Room, in_quotas, on_nodes
from fairway.cli.schedule import Forecast, forecasts, pods_at_once, shortest, unknown
from fairway.cli.session import Options, Session, core_path
from fairway.cli.traffic import Measured, Traffic
from fairway.cli.words import dig, duration, plural
from fairway.core import capacity
from fairway.core.providers import counted, queried
from fairway.core.query import LATEST
from fairway.core.rollout.progress import watch_seconds
from fairway.core.verdict import ObjectivePlan, QueryPlan
from fairway.settings import DEFAULT

MOST_CHANGES = 12


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that ``plan`` tells about one ModelDeployment."""

    foreseen: Foreseen
    changed: Sequence[Change] = ()
    steps: Sequence[Forecast] = ()
    judged: Sequence[tuple[ObjectivePlan, Measured | None]] = ()
    queries: Sequence[QueryPlan] = ()
    source: str = ""
    """Where the traffic is from; empty where it is not known."""
    quota: Room | None = None
    nodes: Room | None = None
    notes: Sequence[str] = field(default_factory=tuple)


def run(session: Session, options: Options) -> int:
    """Print what becomes of every ModelDeployment in the files."""
    cluster, all_foreseen = foretold(session, options)
    for foreseen in all_foreseen:
        made = _plan(session, options, cluster, foreseen)
        for line in told(made):
            indent = len(line.plain) - len(line.plain.lstrip())
            line.plain = line.plain.lstrip()
            session.lines(line, indent=indent + 2, first=indent)
    return Exit.DONE


def _plan(session: Session, options: Options, cluster: Cluster, foreseen: Foreseen) -> Plan:
    spec, notes = foreseen.spec, list(_notes(cluster, foreseen))
    record = foreseen.situation.observed.records[foreseen.situation.target.revision]
    owner, known = foreseen.gathered.owner, providers(cluster)
    key = (owner.namespace, owner.name)
    asked = counted(spec, record.series, known, key)
    url, near = _provider(options, cluster, asked)
    measured: dict[str, Measured] = {}
    if url and near and foreseen.live:
        try:
            measured = _measure(url, foreseen, near)
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            words = f"{url} gives no usable answer ({type(error).__name__}): no times by traffic"
            if options.prometheus:
                raise CliError(words) from None
            notes.append(f"{words}; --prometheus names another way to it")
    rates = {name: each.rate for name, each in measured.items()}
    s = foreseen.situation
    settle = s.policy.settle if s.gateway else 0.0
    steps = forecasts(spec, foreseen.after, asked, rates, settle) if foreseen.events else []
    quota, nodes = (None, None) if options.offline else _room(session, foreseen, record.template, notes)
    return Plan(
        foreseen=foreseen,
        changed=_changed(foreseen),
        steps=steps,
        judged=tuple((each, measured.get(each.name)) for each in asked),
        queries=queried(spec, known, key),
        source=url if measured else "",
        quota=quota,
        nodes=nodes,
        notes=tuple(notes),
    )


def _provider(
    options: Options, cluster: Cluster, asked: Sequence[ObjectivePlan]
) -> tuple[str, Sequence[ObjectivePlan]]:
    """Return where the last hour can be read, and the objectives that the operator would ask there."""
    if options.prometheus:
        return options.prometheus, asked
    first = dig(cluster.configuration, "prometheus")
    known = [{**first, "name": DEFAULT}] if first else dig(cluster.configuration, "metrics.providers") or []
    if not known:
        return "", ()
    return known[0]["url"], [each for each in asked if each.provider in (None, known[0]["name"])]


def _notes(cluster: Cluster, foreseen: Foreseen) -> Iterator[str]:
    if not cluster.reached:
        yield "no cluster was asked: what exists there is not known"
    if cluster.reached and cluster.runtimes is None:
        yield "ModelRuntimes may not be listed: what they bring is not known"
    if cluster.reached and cluster.records is None:
        yield "controllerrevisions may not be listed: a return to an older revision is not recognised"
    if foreseen.situation.upgrade:
        yield f"the ModelRuntime has changed: fairway restart {foreseen.document.name} --upgrade-runtime would take it"


def _measure(url: str, foreseen: Foreseen, asked: Sequence[ObjectivePlan]) -> dict[str, Measured]:
    import httpx  # noqa: PLC0415  its errors only

    traffic, owner = Traffic(url), foreseen.gathered.owner
    try:
        return {each.name: traffic.measure(owner.namespace, owner.name, each) for each in asked}
    except httpx.HTTPError as error:
        raise RuntimeError(str(error)) from error
    finally:
        traffic.close()


def _room(
    session: Session, foreseen: Foreseen, template: Manifest, notes: list[str]
) -> tuple[Room | None, Room | None]:
    namespace = foreseen.gathered.owner.namespace
    quotas = session.try_list(core_path(namespace, "resourcequotas"))
    nodes = session.try_list(core_path(None, "nodes"))
    pods = session.try_list(core_path(None, "pods")) if nodes is not None else None
    if nodes is None or pods is None:
        notes.append("nodes and their pods may not be listed: whether they have room is not known")
    quota = in_quotas(template, quotas) if quotas is not None else None
    return quota, on_nodes(template, nodes, pods) if nodes is not None and pods is not None else None


def _changed(foreseen: Foreseen) -> list[Change]:
    if not foreseen.live:
        return []
    try:
        old = ModelDeploymentSpec.model_validate(foreseen.live["spec"])
    except ValueError:
        return []  # it was stored under other rules: there is nothing to compare with
    return changes(foreseen.document.name, old, foreseen.spec)


# --- telling ----------------------------------------------------------------------------------------------------------


def told(plan: Plan) -> Iterator[Text]:
    """Yield the lines of a plan; a leading blank is an indentation."""
    owner = plan.foreseen.gathered.owner
    stable = plan.foreseen.before.stable
    way = f"{stable.version} -> " if stable else ""
    yield Text.assemble((f"{owner.namespace}/{owner.name}", style.STRONG), f"  {way}{plan.foreseen.spec.model.version}")
    yield from _revision(plan)
    yield from _steps(plan)
    yield from _places(plan)
    yield from _objectives(plan)
    yield from (Text(f"note: {note}", style=style.QUIET) for note in plan.notes)


def _revision(plan: Plan) -> Iterator[Text]:
    s, before = plan.foreseen.situation, plan.foreseen.before
    makers = [change for change in plan.changed if change.makes_revision]
    others = [change for change in plan.changed if not change.makes_revision]
    known = before.stable is not None and before.stable.revision == s.target.revision
    if plan.foreseen.live is None:
        yield Text(f"It does not exist yet: its first revision is {s.target.revision}.")
    elif not plan.changed:
        yield Text("The spec is as it is stored: nothing would change.")
    elif known and not makers:
        yield Text(f"No new revision: {s.target.revision} ({s.target.version}) serves already. No pod restarts.")
    else:
        seen = "A revision that is known" if _is_known(plan) else "A new revision"
        why = ", as these fields differ:" if makers else ":"
        yield Text(f"{seen}, {s.target.revision}{why}")
    yield from (Text(f"  {change}") for change in makers[:MOST_CHANGES])
    if others:
        yield Text("Also changed, without making a revision:")
        yield from (Text(f"  {change}") for change in others[:MOST_CHANGES])
    yield from (Text(event.message) for event in plan.foreseen.events)
    refused = before.refused
    if refused and refused.revision == s.target.revision and not plan.foreseen.events:
        yield Text(
            f"{refused.run} has rejected this revision: it is not tried again until fairway retry.", style=style.OPEN
        )
    elif before.run and not plan.foreseen.events and others:
        yield Text(f"{before.run.id} is open and keeps its plan: edits of the rollout count from the next run.")


def _is_known(plan: Plan) -> bool:
    records = plan.foreseen.live and plan.foreseen.before
    revision = plan.foreseen.situation.target.revision
    return bool(records) and revision in {entry.revision for entry in plan.foreseen.before.history}


def _steps(plan: Plan) -> Iterator[Text]:
    if not plan.steps:
        return
    rows = [("STEP", "WHAT", "PODS", "AT LEAST", "WAITS FOR")]
    for i, step in enumerate(plan.steps, 1):
        length = duration(step.seconds) if step.seconds else "?"
        pods = f"{step.stable}+{step.candidate}" if step.stable else f"{step.candidate}"
        rows.append((str(i), step.what, pods, length, step.because))
    window = watch_seconds(plan.foreseen.situation)
    if window and plan.foreseen.before.stable:
        last = plan.steps[-1]
        rows.append(("", "watch", f"{last.stable}+{last.candidate}", duration(window), "a breach, to go back"))
    widths = [max(len(row[i]) for row in rows) for i in range(5)]
    for row in rows:
        line = "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
        yield Text(f"  {line.rstrip()}", style=style.QUIET if row is rows[0] else "")
    missing = list(unknown(plan.steps))
    more = f", and what these take: {', '.join(missing)}" if missing else ""
    at = _rate_words(plan)
    yield Text(f"At least {duration(shortest(plan.steps))}{at}{more}.")


def _rate_words(plan: Plan) -> str:
    rates = [measured.rate for _, measured in plan.judged if measured]
    return f" at the last hour's {max(rates):.3g} requests/s" if rates and max(rates) > 0 else ""


def _places(plan: Plan) -> Iterator[Text]:
    if not plan.steps:
        return
    now = _pods_now(plan.foreseen.before)
    peak = pods_at_once(plan.steps)
    extra = max(0, peak - now)
    spec = plan.foreseen.spec
    more = f"; autoscalers may take each version to {capacity.ceiling(spec)}" if capacity.autoscaled(spec) else ""
    yield Text(f"At most {plural(peak, 'pod')} at once, {extra} more than now{more}.")
    for name, room in (("Quotas", plan.quota), ("Nodes", plan.nodes)):
        if room is None:
            continue
        enough = room.pods >= extra
        words = f"{name} have room for {room.pods} more ({room.because})"
        yield Text(
            f"{words}." if enough else f"{words}: too few, the run would wait.", style="" if enough else style.BAD
        )


def _pods_now(status: Status) -> int:
    """Return the pods that there are: as the status counts them, whatever the new spec asks for."""
    found = {each.revision: each.replicas for each in status.retiring}
    if status.former:
        shrunk = status.former.kept if status.former.shrinks_at is None else None
        found[status.former.revision] = status.former.replicas if shrunk is None else shrunk
    tracks = (status.stable, status.candidate if status.run else None)
    found |= {track.revision: track.replicas for track in tracks if track}
    return sum(found.values())


def _objectives(plan: Plan) -> Iterator[Text]:
    if plan.judged or plan.queries:
        yield Text("Objectives:")
    for objective, measured in plan.judged:
        problem = (measured.problem if measured else "") or objective.problem
        need = f"needs {objective.min_requests} requests to the candidate"
        seen = f", {measured.rate:.3g}/s in the last hour" if measured and not problem else ""
        dry = ", dry run: decides nothing" if objective.dry_run else ""
        if problem:
            yield Text(f"  {objective.name} ({objective.text}): cannot be judged: {problem}", style=style.OPEN)
        else:
            yield Text(f"  {objective.name} ({objective.text}): {need}{seen}{dry}")
    for query in plan.queries:
        dry = ", dry run: decides nothing" if query.dry_run else ""
        if query.problem:
            yield Text(f"  {query.name} ({query.text}): cannot be judged: {query.problem}", style=style.OPEN)
        else:
            yield Text(f"  {query.name} ({query.text}): needs {LATEST} answers of its query{dry}")
