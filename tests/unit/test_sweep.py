"""Lists from time to time and after a watch began anew: what it lost or cannot see is found, and nothing is written."""

import asyncio
from typing import Any

import pytest

from fairway.core import names
from fairway.engine import runtime
from fairway.engine.store import MemoryStore
from fairway.engine.workqueue import WorkQueue
from fairway.ports import ClusterError, Manifest
from tests.engine.test_rollout import spec
from tests.fakes.prometheus import Clock
from tests.fakes.world import World

GATEWAY = {"metadata": {"name": "models", "namespace": "gateways", "uid": "g", "resourceVersion": "1"}}


class Listing:
    """A cluster of one Gateway that can only be listed: any other call is an AttributeError."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str | None]] = []

    async def list(self, plural: str, _version: str, namespace: str | None, _selector: str) -> list[Manifest]:
        self.calls.append((plural, namespace))
        return [dict(GATEWAY)] if plural == "gateways" else []


@pytest.mark.parametrize(("namespaces", "every"), [((), 600.0), (("ml", "risk"), 60.0)])
async def test_gateways_elsewhere_are_seen_within_a_minute(
    monkeypatch: pytest.MonkeyPatch, namespaces: tuple[str, ...], every: float
) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) > 1:
            raise asyncio.CancelledError

    cluster, store, clock = Listing(), MemoryStore(), Clock(1000.0)
    nothing: Any = None
    parts = runtime.Runtime(
        cluster=cluster,  # type: ignore[arg-type]  only what a sweep may use
        store=store,
        queue=WorkQueue(clock),
        reconciler=nothing,
        clock=clock,
        namespaces=namespaces,
    )
    monkeypatch.setattr(asyncio, "sleep", sleep)
    with pytest.raises(asyncio.CancelledError):
        await parts.sweep()
    assert slept == [every, every]
    assert ("gateways", None) in cluster.calls
    assert {where for plural, where in cluster.calls if plural == "pods"} == set(namespaces or (None,))
    assert store.gateway("gateways", "models") is not None


class WithoutRules(Listing):
    """A cluster that has no kind for rules, until it has."""

    there = False

    async def list(self, plural: str, version: str, namespace: str | None, selector: str) -> list[Manifest]:
        if plural == "prometheusrules" and not self.there:
            raise ClusterError(404, "NotFound", "the server could not find the requested resource")
        return await super().list(plural, version, namespace, selector)


async def test_a_kind_that_comes_and_goes_is_noticed_and_one_that_is_not_wanted_is_not_asked_for() -> None:
    cluster, store, clock = WithoutRules(), MemoryStore(), Clock(1000.0)
    nothing: Any = None
    whole: Any = cluster
    more = {"cluster": whole, "store": store, "queue": WorkQueue(clock), "reconciler": nothing, "clock": clock}
    assert store.serves("PrometheusRule")  # as far as was seen
    await runtime.Runtime(**more).sync()
    assert "prometheusrules" not in {plural for plural, _ in cluster.calls}
    parts = runtime.Runtime(**more, watched=runtime.kinds(rules=True))
    for cluster.there in (False, True, False):
        await parts.sync()
        assert store.serves("PrometheusRule") is cluster.there
    assert store.serves("HTTPRoute")
    assert cluster.calls[-1][0] == "modeldeployments"


# --- watches that begin anew ----------------------------------------------------------------------------------------


def thing(kind: str, name: str, version: int = 1, **more: Any) -> Manifest:
    meta = {"name": name, "namespace": "ml", "uid": name, "resourceVersion": str(version), "generation": 1}
    return {"kind": kind, "metadata": {**meta, "labels": {names.OWNER: "churn"}}, **more}


class Remaining(Listing):
    """A cluster of one model without pods, which fails until it is well again."""

    def __init__(self) -> None:
        super().__init__()
        self.failures = 0
        self.models = [thing("ModelDeployment", "churn")]

    async def list(self, plural: str, version: str, namespace: str | None, selector: str) -> list[Manifest]:
        await super().list(plural, version, namespace, selector)
        if self.failures:
            self.failures -= 1
            raise ClusterError(503, "Unavailable", "etcd has no leader")
        return self.models if plural == "modeldeployments" else []


class Followed:
    """A runtime that follows its watches; time passes by itself, and each pause is remembered."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.cluster, self.store, clock = Remaining(), MemoryStore(), Clock(1000.0)
        self.queue = WorkQueue(clock)
        self.pauses: list[float] = []
        self.at_pause: dict[int, tuple[str | None, Manifest]] = {}
        """What the watch tells in a pause, by the number of the pause."""
        nothing: Any = None
        whole: Any = self.cluster
        parts: dict[str, Any] = {"store": self.store, "queue": self.queue, "reconciler": nothing, "clock": clock}
        self.runtime = runtime.Runtime(cluster=whole, **parts)
        self.idle = asyncio.sleep

        async def sleep(seconds: float) -> None:
            self.pauses.append(seconds)
            if len(self.pauses) in self.at_pause:
                self.runtime.seen(*self.at_pause[len(self.pauses)])

        monkeypatch.setattr(asyncio, "sleep", sleep)

    async def follow(self) -> list[str]:
        """Let it follow until nothing moves any more; return which kinds were listed."""
        before = len(self.cluster.calls)
        job = asyncio.ensure_future(self.runtime.follow())
        for _ in range(100):
            await self.idle(0)
        job.cancel()
        await asyncio.gather(job, return_exceptions=True)
        return [plural for plural, _ in self.cluster.calls[before:]]

    async def woken(self) -> list[tuple[str, str]]:
        keys = []
        while len(self.queue):
            keys.append(await self.queue.get())
            self.queue.done(keys[-1])
        return keys


@pytest.fixture
def followed(monkeypatch: pytest.MonkeyPatch) -> Followed:
    made = Followed(monkeypatch)
    for each in (thing("ModelDeployment", "churn"), thing("Pod", "gone"), thing("Service", "unseen")):
        made.store.put(each)
    return made


async def test_what_vanished_before_a_watch_began_anew_is_noticed_at_once(followed: Followed) -> None:
    """Given a pod that vanished unseen, when the watch of pods begins anew, then pods are listed, and nothing else."""
    followed.runtime.seen(None, thing("Pod", "there"))
    await followed.woken()
    assert await followed.follow() == ["pods"]
    assert followed.pauses == [runtime.LISTED_AFTER]
    assert {child["metadata"]["name"] for child in followed.store.children("churn")} == {"unseen"}
    assert await followed.woken() == [("ml", "churn")]


async def test_a_watch_that_goes_on_costs_no_list(followed: Followed) -> None:
    for type_ in ("ADDED", "MODIFIED", "DELETED"):
        followed.runtime.seen(type_, thing("Pod", "there", 2))
    assert await followed.follow() == []


async def test_one_list_of_each_kind_is_enough_for_all_watches_that_begin_anew_together(followed: Followed) -> None:
    """Given a listing of many pages, when other kinds begin anew meanwhile, then each is listed once, at the end."""
    for name in ("a", "b", "c"):
        followed.runtime.seen(None, thing("Pod", name))
    followed.at_pause = {1: (None, thing("Service", "x")), 2: (None, thing("Pod", "d"))}
    assert await followed.follow() == ["services", "pods"]
    assert len(followed.pauses) == 3


async def test_watches_that_never_come_to_rest_are_followed_all_the_same(followed: Followed) -> None:
    followed.runtime.seen(None, thing("Pod", "there"))
    followed.at_pause = {number: (None, thing("Pod", "there")) for number in range(1, runtime.MOST_PAUSES + 1)}
    assert (await followed.follow())[0] == "pods"


async def test_a_list_that_fails_is_asked_for_again(followed: Followed, caplog: pytest.LogCaptureFixture) -> None:
    followed.cluster.failures = 2
    followed.runtime.seen(None, thing("Pod", "there"))
    assert await followed.follow() == ["pods"] * 3
    assert followed.pauses == [runtime.LISTED_AFTER] * 3
    assert [record.message for record in caplog.records if "etcd has no leader" in record.message]


async def test_what_vanished_and_concerns_all_wakes_all(followed: Followed) -> None:
    followed.store.put(thing("ModelRuntime", "mlserver"))
    followed.runtime.seen(None, thing("ModelRuntime", "another"))
    await followed.woken()
    assert await followed.follow() == ["modelruntimes"]
    assert followed.store.runtimes() == {}
    assert await followed.woken() == [("ml", "churn")]


# --- hostnames that become free -------------------------------------------------------------------------------------


async def refused_a_hostname() -> tuple[Manifest, Manifest]:
    """Given two models that ask for one hostname: the one that has it, and the one that was refused it."""
    world = World()
    world.kubectl_apply(spec("1.0.0"))
    world.time += 1
    world.kubectl_apply(spec("1.0.0"), "second")
    for name in ("churn", "second"):
        await world.settle(name)
    assert world.condition("RouteReady", "second") == ("False", "HostnameConflict")
    return world.model(), world.model("second")


@pytest.mark.parametrize(
    ("type_", "generation", "woken"),
    [
        ("DELETED", 1, {"churn", "second"}),
        ("MODIFIED", 2, {"churn", "second"}),  # another hostname, or the end of it
        ("MODIFIED", 1, {"churn"}),  # a status
        (None, 1, {"churn"}),
    ],
)
async def test_who_was_refused_a_hostname_is_woken_when_it_may_be_free(
    followed: Followed, type_: str | None, generation: int, woken: set[str]
) -> None:
    """Given a model that was refused a hostname, when the one that has it changes or goes, then it is looked at."""
    first, second = await refused_a_hostname()
    followed.store.put(first)
    followed.store.put(second)
    followed.store.put(thing("ModelDeployment", "bystander"))
    later = {**first["metadata"], "generation": generation, "resourceVersion": "9999"}
    followed.runtime.seen(type_, {**first, "metadata": later})
    assert {name for _, name in await followed.woken()} == woken


async def test_a_new_model_wakes_nobody_else(followed: Followed) -> None:
    _, second = await refused_a_hostname()
    followed.store.put(second)
    followed.runtime.seen("ADDED", thing("ModelDeployment", "new"))
    assert await followed.woken() == [("ml", "new")]


async def test_who_was_refused_a_hostname_is_woken_when_its_holder_vanished_unseen(followed: Followed) -> None:
    first, second = await refused_a_hostname()
    followed.store.put(first)
    followed.store.put(second)
    followed.cluster.models = [second]
    followed.runtime.seen(None, second)
    await followed.woken()
    assert await followed.follow() == ["modeldeployments"]
    assert {name for _, name in await followed.woken()} == {"churn", "second"}
