"""Each key once, each alone, later ones on time, failing ones with patience."""

import asyncio
import random
import time
from types import SimpleNamespace

import pytest

from fairway.engine import workqueue
from fairway.engine.workqueue import BACKOFF_MOST, WorkQueue
from tests.fakes.prometheus import Clock

A, B, C = ("ml", "a"), ("ml", "b"), ("ml", "c")


@pytest.fixture
def clock():
    return Clock(1000.0)


@pytest.fixture
def queue(clock):
    return WorkQueue(clock)


async def turns(number=20):
    for _ in range(number):
        await asyncio.sleep(0)


async def taken(queue):
    """Take the next key, which must be there already."""
    async with asyncio.timeout(1):
        return await queue.get()


async def is_idle(queue):
    """Whether a worker that asks now has to wait."""
    worker = asyncio.ensure_future(queue.get())
    await turns()
    waits = not worker.done()
    worker.cancel()
    await asyncio.gather(worker, return_exceptions=True)
    return waits


async def test_wishes_for_one_key_become_one_pass_in_order_of_the_first(queue):
    for key in (A, B, A, A, B):
        queue.add(key)
    assert len(queue) == 2
    assert [await taken(queue), await taken(queue)] == [A, B]
    assert await is_idle(queue)


async def test_a_key_at_work_is_given_to_nobody_else_and_runs_once_more(queue):
    queue.add(A)
    assert await taken(queue) == A
    for _ in range(5):
        queue.add(A)
    assert await is_idle(queue)
    queue.done(A)
    assert await taken(queue) == A
    queue.done(A)
    assert await is_idle(queue)


async def test_other_keys_go_on_while_one_is_at_work(queue):
    queue.add(A)
    await taken(queue)
    queue.add(A)
    queue.add(B)
    assert await taken(queue) == B


async def test_a_second_worker_gets_the_key_when_the_first_gives_it_back(queue):
    queue.add(A)
    await taken(queue)
    second = asyncio.ensure_future(queue.get())
    await turns()
    queue.add(A)
    await turns()
    assert not second.done()
    queue.done(A)
    assert await asyncio.wait_for(second, 1) == A


@pytest.mark.parametrize("times", [(1010, 1020), (1020, 1010), (1030, 1010, 1010, 1020)])
async def test_the_earliest_of_several_times_wins_and_the_rest_are_forgotten(queue, clock, times):
    for when in times:
        queue.add_at(A, when)
    clock.time = 1009.9
    assert await is_idle(queue)
    clock.time = 1010
    assert await taken(queue) == A
    queue.done(A)
    clock.time = 5000
    assert await is_idle(queue)


async def test_a_time_that_comes_during_work_is_a_pass_afterwards(queue, clock):
    queue.add(A)
    await taken(queue)
    queue.add_at(A, 1001)
    clock.time = 1002
    assert await is_idle(queue)
    queue.done(A)
    assert await taken(queue) == A


async def test_after_its_time_a_key_can_be_asked_for_a_later_one(queue, clock):
    for when in (1001, 1002):
        queue.add_at(A, when)
        clock.time = when
        assert await taken(queue) == A
        queue.done(A)


async def test_a_waiting_worker_wakes_for_a_new_key_and_for_an_earlier_time():
    queue = WorkQueue(SimpleNamespace(now=time.monotonic))
    queue.add_at(A, time.monotonic() + 3600)
    worker = asyncio.ensure_future(queue.get())
    await turns()
    due = time.monotonic() + 0.03
    queue.add_at(B, due)
    assert await asyncio.wait_for(worker, 2) == B
    assert time.monotonic() >= due
    worker = asyncio.ensure_future(queue.get())
    await turns()
    queue.add(C)
    assert await asyncio.wait_for(worker, 2) == C


async def test_all_workers_wake_when_several_keys_come_due_at_once(queue, clock):
    workers = [asyncio.ensure_future(queue.get()) for _ in range(3)]
    await turns()
    for key in (A, B):
        queue.add_at(key, 1001)
    clock.time = 1001
    queue.add(C)
    assert {await asyncio.wait_for(worker, 1) for worker in workers} == {A, B, C}


async def test_backoff_grows_to_its_bound_per_key_and_starts_anew_after_success(queue, monkeypatch):
    monkeypatch.setattr(workqueue, "random", SimpleNamespace(uniform=lambda _low, _high: 1.0))
    delays = [queue.retry(A) for _ in range(12)]
    assert delays[:4] == [0.2, 0.4, 0.8, 1.6]
    assert delays == sorted(delays)
    assert delays[-1] == BACKOFF_MOST
    assert queue.retry(B) == 0.2
    queue.succeeded(A)
    assert queue.retry(A) == 0.2


async def test_a_failed_key_comes_back_when_its_delay_is_over(queue, clock):
    queue.add(A)
    await taken(queue)
    delay = queue.retry(A)
    assert 0.14 <= delay <= 0.26
    queue.done(A)
    assert await is_idle(queue)
    clock.time += delay
    assert await taken(queue) == A


async def test_news_do_not_wait_for_the_backoff(queue):
    queue.add(A)
    await taken(queue)
    queue.retry(A)
    queue.done(A)
    queue.add(A)
    assert await taken(queue) == A


@pytest.mark.parametrize("seed", range(10))
async def test_no_wish_is_lost_and_no_key_is_worked_on_twice_at_once(queue, clock, seed):
    dice = random.Random(seed)
    keys = [("ml", str(number)) for number in range(5)]
    wished, served = dict.fromkeys(keys, 0), dict.fromkeys(keys, 0)
    busy = set()

    async def worker():
        while True:
            key = await queue.get()
            assert key not in busy
            busy.add(key)
            seen = wished[key]
            await turns(dice.randrange(4))
            served[key] = seen
            busy.discard(key)
            queue.done(key)

    async with asyncio.TaskGroup() as group:
        workers = [group.create_task(worker()) for _ in range(3)]
        for _ in range(200):
            key = dice.choice(keys)
            wished[key] += 1
            if dice.random() < 0.3:
                queue.add_at(key, clock.time)
            else:
                queue.add(key)
            await turns(dice.randrange(3))
        await turns(200)
        for task in workers:
            task.cancel()
    assert served == wished
