"""Exactly one process leads, and each knows when it does not.

Time is virtual: nobody sleeps, and a frozen process is a clock that moved while it did not.
"""

import asyncio
import copy
import heapq
import itertools
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest
from kubernetes.aio.client import ApiClient, Configuration

from fairway.adapters import lease as adapter
from fairway.adapters.cluster import KubernetesCluster
from fairway.adapters.lease import Elector, LeaseLostError
from fairway.ports import ClusterError
from tests.fakes.api_server import FakeApiServer, document, failure, stored

DURATION = 15.0
PATH = "/apis/coordination.k8s.io/v1/namespaces/fairway-system/leases/fairway"


class Time:
    """A monotonic clock that tests move, and sleeps that obey it."""

    def __init__(self):
        self.now = 1000.0
        self._sleepers = []
        self._order = itertools.count()

    def monotonic(self):
        return self.now

    async def sleep(self, seconds):
        woken = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.now + seconds, next(self._order), woken))
        await woken

    async def passes(self, seconds):
        """Let everybody live through these seconds."""
        end = self.now + seconds
        await turns()
        while self._sleepers and self._sleepers[0][0] <= end:
            at, _, woken = heapq.heappop(self._sleepers)
            self.now = max(self.now, at)
            if not woken.done():
                woken.set_result(None)
            await turns()
        self.now = max(self.now, end)


async def turns():
    for _ in range(10):
        await asyncio.sleep(0)


@dataclass
class LeaseApi:
    """The API server's part: one object with a version, and whatever a test lets go wrong."""

    lease: dict | None = None
    failing: ClusterError | None = None
    failing_on: tuple[str, ...] = ("GET", "POST", "PUT")
    hangs: bool = False
    writes: list[tuple[str, str]] = field(default_factory=list)
    _versions: itertools.count = field(default_factory=lambda: itertools.count(1))

    def seen_by(self, who):
        """The connection of one process."""
        return SimpleNamespace(request=lambda method, url, body=None: self._request(who, method, url, body))

    def changes(self, **spec):
        """Somebody writes the lease by hand."""
        self._store({**self.lease, "spec": {**self.lease["spec"], **spec}})

    @property
    def holder(self):
        return self.lease["spec"]["holderIdentity"]

    def _store(self, lease):
        self.lease = copy.deepcopy(lease)
        self.lease["metadata"]["resourceVersion"] = str(next(self._versions))
        return copy.deepcopy(self.lease)

    async def _request(self, who, method, url, body):
        await asyncio.sleep(0)
        if self.hangs:
            await asyncio.get_running_loop().create_future()
        if self.failing and method in self.failing_on:
            raise self.failing
        if method == "POST":
            assert url == PATH.rsplit("/", 1)[0]
            if self.lease:
                raise ClusterError(409, "AlreadyExists", "leases fairway already exists")
            self.writes.append((who, "POST"))
            return self._store(body)
        assert url == PATH
        if self.lease is None:
            raise ClusterError(404, "NotFound", "leases fairway not found")
        if method == "PUT":
            if body["metadata"]["resourceVersion"] != self.lease["metadata"]["resourceVersion"]:
                raise ClusterError(409, "Conflict", "the object has been modified")
            self.writes.append((who, "PUT"))
            return self._store(body)
        return copy.deepcopy(self.lease)


@pytest.fixture
def time(monkeypatch):
    clock = Time()
    monkeypatch.setattr(adapter, "time", clock)
    monkeypatch.setattr(adapter, "asyncio", SimpleNamespace(sleep=clock.sleep, timeout=asyncio.timeout))
    return clock


@pytest.fixture
def api():
    return LeaseApi()


@pytest.fixture
async def start():
    """Runs coroutines beside the test and ends them with it."""
    running = []

    def run(job):
        running.append(asyncio.ensure_future(job))
        return running[-1]

    yield run
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)


def elector(api, identity):
    return Elector(
        api.seen_by(identity), namespace="fairway-system", name="fairway", identity=identity, duration=DURATION
    )


@pytest.fixture
async def leader(api, time):
    """Given a process that leads."""
    made = elector(api, "a")
    await made.acquire()
    return made


def may_write(one):
    try:
        one.guard()
    except LeaseLostError:
        return False
    return True


def lost(renewing):
    """Whether a renewal has ended because the lease was lost."""
    return renewing.done() and isinstance(renewing.exception(), LeaseLostError)


async def test_the_first_to_come_leads_and_says_so_in_the_lease(api, time):
    one = elector(api, "a")
    assert not may_write(one)
    await one.acquire()
    assert one.leading
    assert may_write(one)
    spec = api.lease["spec"]
    assert (spec["holderIdentity"], spec["leaseDurationSeconds"], spec["leaseTransitions"]) == ("a", 15, 1)
    assert spec["acquireTime"] == spec["renewTime"]
    assert spec["renewTime"].endswith("Z")
    assert api.lease["metadata"]["name"] == "fairway"


async def test_of_two_that_come_at_once_exactly_one_leads(api, time, start):
    both = [elector(api, "a"), elector(api, "b")]
    for one in both:
        start(one.acquire())
    await time.passes(DURATION / 2)
    assert sorted(may_write(one) for one in both) == [False, True]
    assert len(api.writes) == 1


async def test_while_the_leader_renews_nobody_else_writes(api, time, leader, start):
    start(leader.renew())
    second = elector(api, "b")
    waiting = start(second.acquire())
    await time.passes(600)
    assert not waiting.done()
    assert leader.leading
    assert not may_write(second)
    assert {who for who, _ in api.writes} == {"a"}
    assert api.lease["spec"]["leaseTransitions"] == 1


async def test_a_leader_that_dies_is_succeeded_after_its_lease(api, time, leader, start):
    second = elector(api, "b")
    waiting = start(second.acquire())
    await time.passes(DURATION - 0.1)
    assert not waiting.done()
    await time.passes(DURATION / 5 + 0.2)
    assert waiting.done()
    assert api.holder == "b"
    assert api.lease["spec"]["leaseTransitions"] == 2
    assert (may_write(leader), may_write(second)) == (False, True)


async def test_there_is_never_a_moment_with_two_leaders(api, time, leader, start):
    second = elector(api, "b")
    start(second.acquire())
    for _ in range(200):
        await time.passes(0.1)
        assert not (may_write(leader) and may_write(second))
    assert may_write(second)


async def test_a_released_lease_is_taken_at_the_next_look(api, time, leader, start):
    second = elector(api, "b")
    waiting = start(second.acquire())
    await time.passes(1)
    await leader.release()
    assert api.holder == ""
    assert not may_write(leader)
    await time.passes(DURATION / 5)
    assert waiting.done()
    assert may_write(second)


async def test_who_never_led_releases_nothing(api, time, leader):
    await elector(api, "b").release()
    assert api.holder == "a"
    assert [who for who, _ in api.writes] == ["a"]


async def test_release_leaves_a_lease_that_is_another_ones(api, time, leader):
    api.changes(holderIdentity="thief")
    await leader.release()
    assert api.holder == "thief"
    assert not may_write(leader)


async def test_a_release_that_cannot_be_told_still_ends_the_lead(api, time, leader):
    api.failing = ClusterError(503, "Unavailable", "gone")
    await leader.release()
    assert not may_write(leader)


async def test_who_was_frozen_may_not_write_when_it_wakes_before_it_has_asked(api, time, leader, start):
    renewing = start(leader.renew())
    await time.passes(30)
    assert may_write(leader)
    time.now += 90
    assert not may_write(leader)
    await time.passes(0)
    assert may_write(leader)  # the lease is still its own: nobody has led meanwhile
    assert not renewing.done()


async def test_a_frozen_leader_that_finds_a_successor_stays_out(api, time, leader, start):
    renewing = start(leader.renew())
    await turns()
    api.changes(holderIdentity="b")
    time.now += 90
    await time.passes(1)
    assert lost(renewing)
    assert api.holder == "b"
    assert not may_write(leader)


async def test_a_stolen_lease_is_noticed_at_the_next_renewal_and_not_fought_for(api, time, leader, start):
    renewing = start(leader.renew())
    await time.passes(30)
    api.changes(holderIdentity="thief")
    written = list(api.writes)
    await time.passes(DURATION / 5 + 0.1)
    assert lost(renewing)
    assert api.writes == written


async def test_a_deleted_lease_is_written_again_by_its_holder(api, time, leader, start):
    renewing = start(leader.renew())
    await time.passes(10)
    api.lease = None
    await time.passes(DURATION / 5 + 0.1)
    assert api.holder == "a"
    assert may_write(leader)
    assert not renewing.done()


async def test_a_renewal_that_meets_another_writer_ends_the_lead(api, time, leader, start):
    renewing = start(leader.renew())
    api.changes(holderIdentity="other")
    await time.passes(DURATION / 5 + 0.1)
    assert lost(renewing)
    assert not may_write(leader)


async def test_a_renewal_whose_answer_was_lost_is_still_ours(api, time, leader, start):
    renewing = start(leader.renew())
    api.failing, api.failing_on = ClusterError(409, "Conflict", "modified"), ("PUT",)
    await time.passes(DURATION / 5 + 0.1)
    assert not lost(renewing)
    assert may_write(leader)


@pytest.mark.parametrize("status", [0, 401, 403, 429, 500, 503])
async def test_renewals_that_fail_end_the_lead_before_others_may_start(api, time, leader, start, status):
    renewing = start(leader.renew())
    await time.passes(6)
    api.failing = ClusterError(status, "Because", "of it")
    renewed = time.now
    await time.passes(DURATION - 0.1)
    assert lost(renewing)
    assert not may_write(leader)
    assert time.now < renewed + DURATION


async def test_a_short_trouble_does_not_end_the_lead(api, time, leader, start):
    renewing = start(leader.renew())
    api.failing = ClusterError(503, "Unavailable", "a restart")
    await time.passes(DURATION / 3)
    api.failing = None
    await time.passes(60)
    assert may_write(leader)
    assert not renewing.done()


async def test_a_renewal_that_is_never_answered_is_given_up_in_time(api, time, leader, start):
    renewing = start(leader.renew())
    await turns()
    api.hangs = True
    time.now += DURATION * 2 / 3 - 0.01  # a hundredth is left of the lease
    await time.passes(0)
    time.now += 0.02
    await asyncio.wait({renewing}, timeout=2)  # the limit of one try is real time: 0.1 s here
    assert lost(renewing)
    assert not may_write(leader)


@pytest.mark.parametrize("renewed", ["1970-01-01T00:00:00.000000Z", "2999-01-01T00:00:00.000000Z", "nonsense", None])
async def test_no_foreign_clock_is_trusted(api, time, leader, start, renewed):
    api.changes(holderIdentity="stranger", renewTime=renewed, acquireTime=renewed)
    second = elector(api, "b")
    waiting = start(second.acquire())
    await time.passes(DURATION - 0.5)
    assert not waiting.done()
    await time.passes(DURATION / 5 + 0.6)
    assert waiting.done()


async def test_a_lease_counts_from_when_we_saw_it_change(api, time, leader, start):
    second = elector(api, "b")
    waiting = start(second.acquire())
    for _ in range(5):
        await time.passes(DURATION - 3)
        api.changes(renewTime="whenever")
    await time.passes(DURATION - 3)
    assert not waiting.done()
    assert not [who for who, _ in api.writes if who == "b"]


async def test_a_longer_lease_of_another_is_respected(api, time, leader, start):
    api.changes(holderIdentity="old-version", leaseDurationSeconds=60)
    waiting = start(elector(api, "b").acquire())
    await time.passes(55)
    assert not waiting.done()
    await time.passes(10)
    assert waiting.done()


async def test_a_waiting_process_survives_a_server_that_is_away(api, time, start):
    api.failing = ClusterError(0, "Unreachable", "no route")
    waiting = start(elector(api, "a").acquire())
    await time.passes(60)
    assert not waiting.done()
    api.failing = None
    await time.passes(DURATION / 5)
    assert waiting.done()


async def test_who_restarts_under_its_own_name_goes_on_at_once(api, time, leader):
    again = elector(api, "a")
    await again.acquire()
    assert may_write(again)
    assert api.lease["spec"]["leaseTransitions"] == 1


async def test_the_lease_is_created_and_renewed_over_the_wire_as_the_api_server_wants_it():
    async with FakeApiServer([failure(404, "NotFound"), stored()]) as server:
        connection = ApiClient(configuration=Configuration(host=server.url))
        try:
            one = elector(SimpleNamespace(seen_by=lambda _: KubernetesCluster(connection)), "a")
            server.answers(failure(404, "NotFound"), stored())
            await one.acquire()
            held = {**server.calls[1].body, "metadata": {"name": "fairway", "resourceVersion": "7"}}
            server.answers(document(held), document(held))
            await one.acquire()
        finally:
            await connection.close()
    assert server.seen == [("GET", PATH), ("POST", PATH.rsplit("/", 1)[0]), ("GET", PATH), ("PUT", PATH)]
    created, renewed = server.calls[1].body, server.calls[3].body
    assert (created["apiVersion"], created["kind"]) == ("coordination.k8s.io/v1", "Lease")
    assert created["metadata"] == {"name": "fairway", "namespace": "fairway-system"}
    assert created["spec"].keys() == {
        "holderIdentity", "leaseDurationSeconds", "acquireTime", "renewTime", "leaseTransitions",
    }  # fmt: skip
    assert renewed["metadata"]["resourceVersion"] == "7"
    assert renewed["spec"]["acquireTime"] == created["spec"]["acquireTime"]
    assert renewed["spec"]["renewTime"] > created["spec"]["renewTime"]
