"""A status that fits: what is dropped, in which order."""

from typing import Any

import pytest

from fairway.core.fit import MOST_BYTES, _size, fit

LONG = "x" * 900


def status(**more: Any) -> dict[str, Any]:
    return {"phase": "RolledBack", "stable": {"version": "1.0.0"}, **more}


def entries(number: int) -> list[dict[str, Any]]:
    return [{"run": f"run-{n}", "reason": LONG} for n in range(number)]


def test_a_small_status_stays_as_it_is() -> None:
    small = status(history=entries(3))
    assert fit(small) is small


@pytest.mark.parametrize(
    ("whole", "left"),
    [
        ({"history": entries(20)}, {"history": 10}),
        ({"history": entries(20), "rejected": entries(6)}, {"history": 4, "rejected": 6}),
        ({"history": entries(4), "rejected": entries(10)}, {"history": 3, "rejected": 7}),
    ],
    ids=["old history goes", "history goes before rejections", "then old rejections go"],
)
def test_the_oldest_entries_go_first(whole: dict[str, Any], left: dict[str, int]) -> None:
    fitting = fit(status(**whole))
    assert {name: len(fitting[name]) for name in left} == left
    assert all(fitting[name] == whole[name][: left[name]] for name in left)
    assert _size(fitting) <= MOST_BYTES


def test_then_the_words_of_the_verdict_and_the_resolved_values_go() -> None:
    objectives = [{"name": f"objective-{n}", "state": "NoData", "message": LONG} for n in range(12)]
    whole = status(verdict={"state": "NoData", "objectives": objectives}, effective={"steps": ["5% for 2m"] * 10})
    silent = fit(whole)
    assert silent["verdict"]["objectives"] == [{"name": f"objective-{n}", "state": "NoData"} for n in range(12)]
    assert silent["effective"] == whole["effective"]
    assert "effective" not in fit(status(effective={"steps": [LONG] * 20}))


def test_what_cannot_be_dropped_is_written_whole() -> None:
    stuck = status(message=LONG * 20)
    assert fit(stuck) == stuck
