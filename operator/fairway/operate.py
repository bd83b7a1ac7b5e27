"""The composition root: builds every part, starts them in order, stops them in reverse."""

import asyncio
import logging
import signal
import time
from collections.abc import Awaitable, Callable

from fairway import settings as configuration
from fairway.adapters import cluster as api
from fairway.adapters import lease, prometheus, promql, recorder, telemetry, watch
from fairway.core.providers import Provider, Providers
from fairway.core.rollout.decide import Decision
from fairway.core.rollout.situation import Policy
from fairway.core.verdict import Key
from fairway.engine.analysis import Analysis
from fairway.engine.gather import Defaults
from fairway.engine.reconciler import Reconciler
from fairway.engine.runtime import KINDS, JobEndedError, Runtime, supervise
from fairway.engine.store import MemoryStore
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


async def operate(settings: configuration.Settings) -> int:
    """Run the operator until a signal or a lost lease; return the exit code."""
    telemetry.log_to_stderr(settings.log_level)
    metrics = telemetry.Metrics()
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
    writer = asyncio.create_task(events.write())
    try:
        return await _until(stop, lambda: _lead(settings, client, metrics, elector, events))
    finally:
        writer.cancel()
        await events.drain(2.0)
        await elector.release()
        metrics.leader.set(0)
        await probes.cleanup()
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


async def _lead(
    settings: configuration.Settings,
    client: api.Client,
    metrics: telemetry.Metrics,
    elector: lease.Elector,
    events: recorder.EventRecorder,
) -> None:
    """Wait for the lease, learn what exists, then act on every change."""
    await elector.acquire()
    metrics.leader.set(1)
    clock = SteadyClock()
    cluster = api.KubernetesCluster(client, guard=elector.guard, called=metrics.api_call)
    store, queue = MemoryStore(), WorkQueue(clock)
    metrics.queue.set_function(lambda: len(queue))
    analysis = Analysis(_endpoints(settings), clock, queue.add, scoped=promql.scoped)

    def decided(key: Key, decision: Decision) -> None:
        metrics.decided(*key, decision.status, tuple(event.reason for event in decision.events))

    reconciler = Reconciler(
        cluster=cluster,
        store=store,
        recorder=events,
        analysis=analysis,
        clock=clock,
        defaults=Defaults(
            gateway=settings.gateway,
            providers=_providers(settings),
            fetch_image=settings.fetch_image,
            policy=Policy(settle=settings.settle, scale_down_delay=settings.scale_down_delay),
        ),
        decided=decided,
        gone=lambda key: metrics.forget(*key),
    )
    runtime = Runtime(
        cluster=cluster,
        store=store,
        queue=queue,
        reconciler=reconciler,
        clock=clock,
        namespaces=settings.namespaces,
        observed=metrics.passed,
    )

    async def watching() -> None:
        # Workers idle until the first complete view asks for passes.
        await runtime.sync()
        await watch.run(_resources(), runtime.seen, settings.namespaces, settings.pod_name)

    # Kopf ends every task that was started after it: it comes last, and only when all the rest runs.
    jobs = [elector.renew, analysis.run, runtime.sweep, *[runtime.work] * settings.workers]
    await supervise([*jobs, watching])


def _endpoints(settings: configuration.Settings) -> list[Endpoint]:
    return [
        Endpoint(
            name=each.name,
            source=prometheus.Prometheus(
                each.url,
                credentials=prometheus.Credentials(
                    bearer_token_file=each.bearer_token_file,
                    username=each.basic_auth.username if each.basic_auth else None,
                    password_file=each.basic_auth.password_file if each.basic_auth else None,
                ),
                ca_file=each.ca_file,
                headers=each.headers or {},
            ),
            scrape_interval=each.scrape_interval,
            revision_label=each.revision_label,
        )
        for each in settings.providers
    ]


def _providers(settings: configuration.Settings) -> Providers:
    known = (
        Provider(
            name=each.name,
            revision_label=each.revision_label,
            free_queries=each.free_queries,
            queries={template.name: template.promql for template in each.queries},
        )
        for each in settings.providers
    )
    return Providers(tuple(known), promql.scoped)


def _resources() -> list[watch.Resource]:
    resources = []
    for kind in KINDS:
        group, _, version = kind.group_version.rpartition("/")
        resources.append((kind.name, group, version, kind.plural, kind.child))
    return resources
