"""Looking whether anything can be measured, before anything is judged."""

from dataclasses import replace

import pytest

from tests.engine.lab import DRIFT, SINCE, SLOW, Lab, question
from tests.fakes.prometheus import Pod

pytestmark = pytest.mark.no_cover


LOOK = question(run="preflight/a", candidate="a", stable=None, since=0.0, look=True, weight=100)


async def look(*inhabitants, numbers=None, **more):
    lab = Lab(*inhabitants)
    lab.world.numbers = numbers
    lab.analysis.ask(replace(LOOK, **more))
    await lab.analysis.poll()
    await lab.until(SINCE + 8)
    return lab.reading(run="preflight/a"), lab


async def test_a_look_sees_what_was_ever_counted_with_one_small_question():
    # given a model that had its last request an hour ago
    quiet = Pod("churn-a-x-1").serve(100, 110, 10, 0.0)
    quiet.requests = [(t - 3600, failed, seconds) for t, failed, seconds in quiet.requests]
    reading, lab = await look(quiet)
    assert reading.measured
    assert reading.objectives[0].requests == 100
    assert {window for _, _, window in lab.world.asked} == {30.0}


async def test_a_look_without_requests_or_without_series_says_which():
    unborn = Pod("churn-a-x-1").serve(2000, 2010, 10, 0.0)
    reading, _ = await look(unborn)
    assert (reading.measured, reading.state) == (False, "NoData")
    idle = Pod("churn-a-x-1")
    idle._memo[(False, 0)] = [({"status": "200"}, [1.0], [])]
    reading, _ = await look(idle)
    assert (reading.measured, reading.state) == (False, "NoTraffic")


async def test_a_look_finds_that_a_bucket_is_missing():
    reading, _ = await look(Pod("churn-a-x-1", buckets=(0.01, 0.1)).serve(900, 1000, 10, 0.0), objectives=(SLOW,))
    assert (reading.state, reading.cause) == ("NoData", "NoBucket")


async def test_a_look_finds_probes_among_the_requests():
    pod = Pod("churn-a-x-1").serve(900, 1000, 10, 0.0)
    every = [r[0] for r in pod.requests]
    pod._memo[(False, len(pod.requests))] = [
        ({"status": "200", "handler": "/predict"}, every, every),
        ({"status": "200", "handler": "/readyz"}, every, every),
    ]
    reading, _ = await look(pod, probes=("/metrics", "/readyz"))
    assert (reading.state, reading.cause) == ("NoData", "CountsProbes")
    assert 'add {label: handler, op: "!=", value: /readyz} to metrics.series.requests.matchers' in reading.message
    # and where the run is open nobody looks for them
    reading, _ = await look(pod)
    assert reading.measured


async def test_a_look_wants_a_number_from_every_query():
    pod = Pod("churn-a-x-1").serve(900, 1000, 10, 0.0)
    reading, _ = await look(pod, numbers=lambda _: [0.1], queries=(DRIFT,))
    assert reading.measured
    reading, _ = await look(pod, numbers=lambda _: [], queries=(DRIFT,))
    assert (reading.measured, reading.state, reading.cause) == (False, "NoData", "NoValue")


async def test_a_look_does_not_wait_for_another_sample():
    # given a query without a value, of which the second answer tells
    lab = Lab(interval=None)
    lab.world.numbers = lambda _: []
    lab.analysis.ask(replace(LOOK, objectives=(), queries=(DRIFT,)))
    await lab.until(SINCE + 20)
    assert lab.reading(run="preflight/a").cause == "NoValue"
