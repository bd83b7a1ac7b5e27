"""The broken provider of the end-to-end tests is as broken as they say, as the adapter sees it."""

import threading

import pytest

from fairway.adapters.prometheus import Prometheus
from fairway.ports import MetricsError, RawSeries, Selector, TooLargeError
from tests.e2e import fault_proxy
from tests.fakes.prometheus import FakePrometheus, matrix

ASKED = [Selector("requests_total")]
TRUTH = matrix(({"pod": "a"}, [[1, "1"], [2, "3"]]))


@pytest.fixture
async def ask(tmp_path):
    """Ask through the proxy, with a fault."""
    async with FakePrometheus(TRUTH) as upstream:
        file = tmp_path / "fault"
        server = fault_proxy.serve(upstream.url, file, "127.0.0.1", 0)
        threading.Thread(target=server.serve_forever, daemon=True).start()

        async def asked(fault):
            file.write_text(fault)
            patience = 2.0 if fault == "hangs" else 30.0
            source = Prometheus(f"http://127.0.0.1:{server.server_port}", read_timeout=patience)
            try:
                return await source.raw(ASKED, 90.0)
            finally:
                await source.close()

        yield asked
        server.shutdown()
        server.server_close()


async def test_without_a_fault_the_truth_comes_through(ask):
    assert await ask("none") == [RawSeries({"pod": "a"}, (1.0, 2.0), (1.0, 3.0))]


async def test_a_slow_answer_is_the_truth(ask, monkeypatch):
    monkeypatch.setattr(fault_proxy, "SLOW", 0.2)
    assert await ask("slow") == [RawSeries({"pod": "a"}, (1.0, 2.0), (1.0, 3.0))]


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("refused", "no connection"),
        ("hangs", "no answer within 2s"),
        ("500", "HTTP 500"),
        ("401", "HTTP 401"),
        ("html", "not plain JSON"),
        ("redirect", "redirects are not followed"),
        ("warning", "partial"),
    ],
)
async def test_a_fault_of_the_provider_is_one(ask, fault, says):
    with pytest.raises(MetricsError, match=says):
        await ask(fault)


@pytest.mark.parametrize("fault", ["many", "huge"])
async def test_too_much_is_too_large(ask, fault):
    with pytest.raises(TooLargeError):
        await ask(fault)


async def test_a_lie_comes_through_as_it_is(ask):
    assert await ask("empty") == []
    ((series,), (other,)) = await ask("nan"), await ask("inf")
    assert set(map(str, series.values)) == {"nan"}
    assert set(other.values) == {float("inf")}
