"""The composition root: builds every part, starts them in order, stops them in reverse."""

import asyncio
import logging
import signal
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from fairway import settings as configuration
from fairway.adapters import cluster as api
from fairway.adapters import lease, logs, notify, prometheus, promql, recorder, telemetry, watch
from fairway.core.alerting import Alerting
from fairway.core.providers import Providers
from fairway.core.rollout.situation import Policy
from fairway.engine.analysis import Analysis
from fairway.engine.gather import Defaults
from fairway.engine.reconciler import Reconciler
from fairway.engine.runtime import JobEndedError, Runtime, kinds, supervise
from fairway.engine.store import MemoryStore
from fairway.engine.voices import Voices
from fairway.engine.workqueue import WorkQueue
from fairway.ports import Endpoint

log = logging.getLogger("fairway")


class SteadyClock:
    """Implements the Clock port: the wall clock at the start, then steady, so that setting the clock moves no step."""

    def __init__(self) -> None:
        self._start = time.time() - time.monotonic()

    def now(self) -> float:
        """Seconds since the epoch."""
        return self._start + time.monotonic()


@dataclass(frozen=True, slots=True)
class Parts:
    """What exists for the life of the process, leader or not."""

    settings: configuration.Settings
    client: api.Client
    metrics: telemetry.Metrics
    elector: lease.Elector
    voices: Voices
    sources: Mapping[str, prometheus.Prometheus]


async def operate(settings: configuration.Settings) -> int:
    """Run the operator until a signal or a lost lease; return the exit code, 2 for settings that cannot be used."""
    logs.log_to_stderr(settings.log_level)
    metrics = telemetry.Metrics()
    try:
        notifier = notify.Notifier(_channels(settings), counted=metrics.notified)
        sources = {each.name: _source(each, metrics) for each in settings.providers}
    except ValueError as error:
        log.error("the settings cannot be used: %s", error)  # noqa: TRY400  its words say it all
        return 2
    client = await api.connect()
    plain = api.KubernetesCluster(client, called=metrics.api_call)
    elector = lease.Elector(
        plain,
        namespace=settings.pod_namespace,
        name=settings.lease.name,
        identity=settings.pod_name,
        duration=settings.lease.duration,
    )
    probes = await telemetry.serve(settings.port, metrics, ready=lambda: True)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    events = recorder.EventRecorder(plain, instance=settings.pod_name)
    voices = Voices((events, notifier))
    writers = [asyncio.create_task(voice.write()) for voice in voices.all]
    parts = Parts(settings, client, metrics, elector, voices, sources)
    try:
        return await _until(stop, lambda: _lead(parts))
    finally:
        for writer in writers:
            writer.cancel()
        await asyncio.gather(*writers, return_exceptions=True)
        await asyncio.gather(*(voice.drain(2.0) for voice in voices.all))
        await elector.release()
        metrics.leader.set(0)
        await probes.cleanup()
        await asyncio.gather(*(source.close() for source in sources.values()))
        await client.close()


async def _until(stop: asyncio.Event, job: Callable[[], Awaitable[None]]) -> int:
    work = asyncio.ensure_future(job())
    waiting = asyncio.ensure_future(stop.wait())
    await asyncio.wait({work, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if work.done():
        error = work.exception()
        log.error("the operator ends: %s", _words(error))
        return 1
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)
    log.info("stopped by a signal")
    return 0


def _words(error: BaseException | None) -> str:
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(_words(inner) for inner in error.exceptions)
    kind = type(error).__name__
    return f"{error}" if isinstance(error, (lease.LeaseLostError, JobEndedError)) else f"{kind}: {error}"


async def _lead(parts: Parts) -> None:
    """Wait for the lease, learn what exists, then act on every change."""
    await parts.elector.acquire()
    parts.metrics.leader.set(1)
    clock = SteadyClock()
    queue = WorkQueue(clock)
    parts.metrics.queue.set_function(lambda: len(queue))
    analysis = Analysis(_endpoints(parts), clock, queue.add, scoped=promql.scoped, forgiving=True)
    runtime = _runtime(parts, clock, queue, analysis)
    settings = parts.settings

    async def watching() -> None:
        # Workers idle until the first complete view asks for passes.
        await runtime.sync()
        await watch.run(_resources(settings), runtime.seen, settings.namespaces, settings.pod_name)

    # Kopf ends every task that was started after it: it comes last, and only when all the rest runs.
    jobs = [parts.elector.renew, analysis.run, runtime.sweep, runtime.follow, *[runtime.work] * settings.workers]
    await supervise([*jobs, watching])


def _runtime(parts: Parts, clock: SteadyClock, queue: WorkQueue, analysis: Analysis) -> Runtime:
    settings, metrics, store = parts.settings, parts.metrics, MemoryStore()
    cluster = api.KubernetesCluster(parts.client, guard=parts.elector.guard, called=metrics.api_call)
    providers = Providers(settings.known_providers, promql.scoped)
    reconciler = Reconciler(
        cluster=cluster,
        store=store,
        recorder=parts.voices,
        analysis=analysis,
        clock=clock,
        defaults=Defaults(
            gateway=settings.gateway,
            providers=providers,
            fetch_image=settings.fetch_image,
            alerting=Alerting(providers, settings.model_alert_labels) if settings.model_alerts else None,
            policy=Policy(
                settle=settings.settle,
                scale_down_delay=settings.scale_down_delay,
                verified=settings.approvals_verified,
            ),
        ),
        decided=metrics.decided,
        stuck=metrics.stuck,
        gone=metrics.forget,
    )
    return Runtime(
        cluster=cluster,
        store=store,
        queue=queue,
        reconciler=reconciler,
        clock=clock,
        namespaces=settings.namespaces,
        watched=kinds(rules=settings.model_alerts),
        observed=metrics.passed,
    )


def _channels(settings: configuration.Settings) -> list[notify.Channel]:
    return [
        notify.Channel(
            name=each.name,
            url=each.url,
            url_file=Path(each.url_file) if each.url_file else None,
            form=each.format,
            signing_key_file=Path(each.signing_key_file) if each.signing_key_file else None,
            ca_file=each.ca_file,
            events=frozenset(each.events),
            namespaces=frozenset(each.namespaces),
        )
        for each in settings.notifications
    ]


def _source(settings: configuration.NamedProvider, metrics: telemetry.Metrics) -> prometheus.Prometheus:
    """Prepare to ask a provider. Raises ValueError, naming it, where its certificates cannot be read."""
    auth = settings.basic_auth
    try:
        return prometheus.Prometheus(
            settings.url,
            credentials=prometheus.Credentials(
                bearer_token_file=settings.bearer_token_file,
                username=auth.username if auth else None,
                password_file=auth.password_file if auth else None,
            ),
            ca_file=settings.ca_file,
            headers=settings.headers or {},
            asked=partial(metrics.asked, settings.name),
        )
    except ValueError as error:
        raise ValueError(f"the metrics provider {settings.name!r}: {error}") from None


def _endpoints(parts: Parts) -> list[Endpoint]:
    return [
        Endpoint(
            name=each.name,
            source=parts.sources[each.name],
            scrape_interval=each.scrape_interval,
            revision_label=each.revision_label,
        )
        for each in parts.settings.providers
    ]


def _resources(settings: configuration.Settings) -> list[watch.Resource]:
    resources = []
    for kind in kinds(rules=settings.model_alerts):
        group, _, version = kind.group_version.rpartition("/")
        resources.append((kind.name, group, version, kind.plural, kind.child))
    return resources
