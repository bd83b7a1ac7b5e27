"""What a watch remembers and tells: values of each objective, and only what has changed."""

import queue

from fairway.cli import live, logs
from fairway.cli.live import POINTS, Trends, changes
from fairway.cli.view import view


def shown(worlds, scene, *, at, value, run=None):
    """The view of a scene with another verdict."""
    model = worlds[scene].model()
    status = dict(model["status"])
    verdict = status["verdict"]
    entries = [{**entry, "value": value} for entry in verdict["objectives"]]
    status["verdict"] = {**verdict, "at": f"2027-01-15T09:00:{at:02}Z", "objectives": entries}
    if run:
        status["run"] = {**status["run"], "id": run}
    return view({**model, "status": status}, None, None)


def test_each_verdict_is_one_value(worlds):
    """Given a view that is drawn each second, when a verdict comes, then it counts once."""
    trends = Trends()
    for _ in range(3):
        trends.add(shown(worlds, "canary", at=1, value="0.5%"))
    trends.add(shown(worlds, "canary", at=2, value="1.5% slower than 50ms"))
    trends.add(shown(worlds, "canary", at=3, value=None))
    assert list(trends.values["errors"]) == [0.5, 1.5]


def test_another_candidate_starts_a_new_line(worlds):
    trends = Trends()
    trends.add(shown(worlds, "canary", at=1, value="0.5%"))
    trends.add(shown(worlds, "canary", at=2, value="0.7%", run="run-9"))
    assert list(trends.values["errors"]) == [0.7]


def test_a_long_watch_keeps_what_fits(worlds):
    trends = Trends()
    for at in range(POINTS + 10):
        trends.add(shown(worlds, "canary", at=at + 1, value=f"{at}%"))
    assert len(trends.values["errors"]) == POINTS
    assert trends.values["errors"][-1] == POINTS + 9


def test_a_log_of_the_watch_has_a_line_for_each_thing(worlds):
    world = worlds["crashing"]
    pods = [o for (kind, _), o in world.objects.items() if kind == "Pod"]
    told = changes(view(world.model(), pods, None))
    assert told[0].startswith("Progressing  1.1.0 at 0%")
    assert any("Crash  crashed" in line for line in told)
    assert not any("ready" in line.split() for line in told[1:])


class Broken:
    """A session and a client with a mistake in them."""

    def model(self, _name):
        raise ZeroDivisionError("by\nchance")

    def lines(self, _path, **_more):
        yield "ready"
        raise ZeroDivisionError("by chance")


def test_a_thread_that_fails_says_so():
    """Given a mistake in a thread that follows, when it happens, then whoever waits for the thread hears of it."""
    news = queue.Queue()
    live._watch(Broken(), "churn", news)
    assert news.get_nowait().message == "ZeroDivisionError: by chance"
    logs._read(Broken(), {"metadata": {"name": "churn-0", "namespace": "ml"}}, {}, news)
    assert news.get_nowait() == ("churn-0", "ready")
    assert news.get_nowait().message == "churn-0: ZeroDivisionError: by chance"
    assert news.get_nowait() is None
