"""The demo without a cluster: what it tells, what it counts, and what it does not let pass."""

import asyncio
import io
import json
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from fairway.api.spec import ModelDeploymentSpec
from fairway.api.status import Status
from tests.demo import __main__ as demo
from tests.demo import acts, install, manifest, summary
from tests.demo.kube import DemoError, documents
from tests.demo.record import Record
from tests.demo.stage import Stage
from tests.demo.story import ending, serves
from tests.demo.summary import Seen
from tests.demo.terminal import Terminal
from tests.demo.timeline import Line, event_line, status_lines
from tests.load import Result, Sample

T0 = 1_800_000_000.0
NOW = "2027-01-15T08:00:00Z"


def status(stable: str | None = None, candidate: str | None = None, weight: int = 0, **more: Any) -> Status:
    """A status in which the candidate has this weight; revisions are named after versions."""

    def track(version: str, share: int) -> dict[str, Any]:
        return {"revision": f"rev{version.replace('.', '')}", "version": version, "weight": share}

    return Status.model_validate(
        {
            **({"stable": track(stable, 100 - weight)} if stable else {}),
            **({"candidate": track(candidate, weight)} if candidate else {}),
            **more,
        }
    )


def running(waiting: str, progress: str = "1/4") -> dict[str, Any]:
    times = {"since": NOW, "startedAt": NOW}
    return {"run": {"id": "run-2", "size": 2, "waitingFor": waiting, "progress": progress, **times}}


def verdict(state: str, message: str, requests: int = 10) -> dict[str, Any]:
    objective = {"name": "errors", "state": state, "limit": "2%", "requests": requests, "message": message}
    return {"verdict": {"state": state, "at": NOW, "objectives": [objective]}}


def entry(version: str, outcome: str, reason: str) -> dict[str, Any]:
    times = {"startedAt": NOW, "endedAt": NOW}
    return {
        "run": "run",
        "revision": f"rev{version}",
        "version": version,
        "outcome": outcome,
        "reason": reason,
        **times,
    }


def route(**weights: int) -> dict[str, Any]:
    backends = [{"name": f"churn-{revision}", "weight": weight} for revision, weight in weights.items()]
    return {"spec": {"rules": [{"backendRefs": backends}]}}


def answer(version: str, at: float, *, code: int | None = 200, latency: float = 0.01, fault: str = "") -> Sample:
    return Sample(at=T0 + at, lag=0.0, latency=latency, status=code, version=version, fault=fault)


# --- the timeline -----------------------------------------------------------------------------------------------


def test_a_new_weight_is_drawn_with_its_step() -> None:
    before = status("1.0.0", "1.1.0", 0, **running("1 of 1 pods ready"))
    after = status("1.0.0", "1.1.0", 25, **running("step 2 of 3 to be observed", "2/4"))

    (line,) = status_lines(before, after)

    assert line == Line("weight", "weights", f"1.0.0  75% {'█' * 30}{'░' * 10}  25% 1.1.0   step 2/4")


def test_the_smallest_share_is_seen_and_a_candidate_without_weight_is_no_news() -> None:
    smallest = status_lines(status("1.0.0"), status("1.0.0", "1.1.0", 1))
    nothing = status_lines(status("1.0.0"), status("1.0.0", "1.1.0", 0))

    assert "█░ " in smallest[0].text
    assert nothing == []


def test_the_end_of_a_weight_is_told_after_the_verdict_that_ends_it() -> None:
    before = status("1.0.0", "1.2.0", 5, **verdict("Undecided", "few requests"))
    after = status("1.0.0", "1.2.0", 0, **verdict("Regressed", "errors: 50%"))

    lines = status_lines(before, after)

    assert [(line.kind, line.label) for line in lines] == [("bad", "verdict"), ("weight", "weights")]
    assert lines[0].details == ()  # the Event has the numbers
    assert "  0% 1.2.0" in lines[1].text


def test_a_verdict_is_told_in_the_operators_words_whenever_its_numbers_change() -> None:
    first = status("1.0.0", "1.1.0", 5, **verdict("Undecided", "errors: 0% of 10", 10))
    more = status("1.0.0", "1.1.0", 5, **verdict("Undecided", "errors: 0% of 20", 20))

    assert status_lines(first, first) == []
    assert status_lines(first, more) == [Line("open", "verdict", "Undecided", ("errors: 0% of 20",))]


def test_a_verdict_about_no_requests_is_not_told() -> None:
    nothing = status("1.0.0", "1.1.0", 5, **verdict("Undecided", "errors: no requests", 0))
    no_data = status("1.0.0", "1.1.0", 5, **verdict("NoData", "errors: no series", 0))

    assert status_lines(status("1.0.0", "1.1.0", 5), nothing) == []
    assert status_lines(nothing, no_data)[0].text == "NoData"


def test_waiting_is_told_once_and_not_for_a_step_that_is_only_observed() -> None:
    pulling = status("1.0.0", "1.4.0", 0, **running("0 of 1 pods ready: ErrImagePull"))
    observing = status("1.0.0", "1.1.0", 0, **running("step 1 of 3 to be observed"))
    judged = status("1.0.0", "1.1.0", 0, **running("a verdict: Undecided: errors: 17 numbers"))

    assert status_lines(status("1.0.0"), pulling) == [Line("wait", "waiting", "for 0 of 1 pods ready: ErrImagePull")]
    assert status_lines(pulling, pulling) == []
    assert status_lines(pulling, observing) == []
    assert status_lines(observing, judged) == [Line("wait", "waiting", "for a verdict")]


def test_the_watch_window_is_told_when_it_opens() -> None:
    former = {
        "former": {
            "revision": "rev100",
            "version": "1.0.0",
            "replicas": 2,
            "run": "run-2",
            "promotedAt": NOW,
            "until": "2027-01-15T08:00:30Z",
        }
    }
    opened = status("1.1.0", **former)

    assert "1.0.0 stays warm for 30s" in status_lines(status("1.1.0"), opened)[0].text
    assert status_lines(opened, opened) == []


def test_events_are_told_unless_the_bar_says_the_same() -> None:
    rolled_back = {"reason": "RolledBack", "type": "Warning", "message": "1.2.0 rolled back"}

    assert event_line(rolled_back) == Line("warning", "RolledBack", "1.2.0 rolled back")
    assert event_line({"reason": "Promoted", "type": "Normal", "message": "it serves"}) == Line(
        "event", "Promoted", "it serves"
    )
    assert event_line({"reason": "WeightChanged", "message": "1.1.0 gets 5%"}) is None


def test_a_terminal_without_a_person_gets_plain_lines_with_the_time() -> None:
    moments = iter([0.0, 61.0, 61.0])
    out = io.StringIO()
    terminal = Terminal(out, clock=lambda: next(moments))

    terminal.line(Line("bad", "verdict", "Regressed", ("errors: 50%",)))

    assert out.getvalue() == "  1:01  verdict      Regressed\n                     errors: 50%\n"


# --- the record -------------------------------------------------------------------------------------------------


def test_the_record_keeps_changes_of_weight_in_order() -> None:
    record = Record()
    for at, seen in enumerate(
        [
            status(None, "1.0.0", 100),  # a first revision has nobody to share with
            status("1.0.0"),
            status("1.0.0", "1.1.0", 0),
            status("1.0.0", "1.1.0", 5),
            status("1.0.0", "1.1.0", 5),
            status("1.0.0", "1.1.0", 25),
            status("1.1.0"),
        ]
    ):
        record.see_status(seen, at)

    assert record.climb("1.1.0") == [5, 25, 100]
    assert record.status_zero("1.0.0") == 6
    assert record.status_zero("1.1.0") is None  # it still has its weight


def test_the_climb_ends_at_the_top_or_with_the_fall() -> None:
    record = Record()
    later = (status("1.1.0", "1.2.0", 5), status("1.1.0", "1.2.0", 0), status("1.2.0"))
    for at, seen in enumerate((status("1.0.0", "1.1.0", 50), status("1.1.0"), *later)):
        record.see_status(seen, at)

    assert record.climb("1.1.0") == [50, 100]
    assert record.climb("1.2.0") == [5]
    assert record.climb("1.4.0") == []


def test_the_route_is_read_by_revision_even_if_it_is_seen_first() -> None:
    record = Record()
    record.see_route(route(rev100=95, rev120=5), 1.0)
    record.see_status(status("1.0.0", "1.2.0", 5), 1.1)
    record.see_route(route(rev100=100), 2.0)

    assert record.route_zero("1.2.0") == 2.0
    assert record.had_weight("1.2.0")


def test_a_version_without_weight_has_no_end_of_it() -> None:
    record = Record()
    record.see_status(status("1.0.0", "1.4.0", 0), 1.0)
    record.see_route(route(rev100=100, rev140=0), 1.0)

    assert not record.had_weight("1.4.0")
    assert record.status_zero("1.4.0") is None
    assert record.route_zero("1.4.0") is None


# --- the report -------------------------------------------------------------------------------------------------

HISTORY = [
    entry("1.4.0", "RolledBack", "NotReadyInTime: not ready after 40s: ErrImagePull"),
    entry("1.3.0", "RolledBack", "Regressed: latency: 100% slower than 100ms vs 0% stable"),
    entry("1.2.0", "RolledBack", "Regressed: errors: 50% vs 0% stable"),
    entry("1.1.0", "Promoted", "Healthy: errors 0%"),
    entry("1.0.0", "Promoted", "first revision"),
]
ANSWERS = (
    *(answer("1.0.0", at / 10) for at in range(100)),
    *(answer("1.1.0", 10 + at / 10) for at in range(400)),
    answer("1.2.0", 20.0),
    answer("1.2.0", 20.5, code=500, fault="injected", latency=0.5),
    answer("1.2.0", 28.0, code=500, fault="injected", latency=0.5),
    answer("1.3.0", 40.0, latency=0.3),
    answer("1.3.0", 49.0, latency=0.3),
)


def played(
    history: list[dict[str, Any]] | None = None,
    answers: tuple[Sample, ...] = ANSWERS,
    steps: tuple[int, ...] = (5, 25, 50),
) -> Seen:
    """A play that went as it should, but for what is given."""
    record = Record()
    record.see_status(status("1.0.0"), T0)
    for at, weight in enumerate(steps):
        record.see_status(status("1.0.0", "1.1.0", weight), T0 + 10 + at)
    record.see_status(status("1.1.0"), T0 + 15)
    for version, begin, end in (("1.2.0", 20.0, 27.0), ("1.3.0", 40.0, 48.3)):
        revision = f"rev{version.replace('.', '')}"
        record.see_status(status("1.1.0", version, 5), T0 + begin)
        record.see_route(route(rev110=95, **{revision: 5}), T0 + begin)
        record.see_status(status("1.1.0", version, 0), T0 + end)
        record.see_route(route(rev110=100), T0 + end + 0.5)
    record.see_status(status("1.1.0", "1.4.0", 0), T0 + 60)
    last = status("1.1.0", "1.4.0", 0, history=HISTORY if history is None else history)
    return Seen(status=last, record=record, load=Result(started=T0, samples=answers))


def test_a_play_as_it_should_be_has_no_problems() -> None:
    report = summary.build(played())

    assert report["problems"] == []
    assert report["promoted"] == ["1.1.0"]
    assert report["never_got_weight"] == ["1.4.0"]
    assert (report["requests"], report["lost"]) == (len(ANSWERS), 0)
    assert report["weights"]["1.1.0"] == [5, 25, 50, 100]
    json.dumps(report, allow_nan=False)


def test_times_run_from_the_arrival_of_the_first_bad_answer() -> None:
    failing, slow, broken = summary.build(played())["rolled_back"]

    assert failing["version"] == "1.2.0"
    assert (failing["answers"], failing["bad_answers"]) == (3, 2)
    assert failing["seconds_from_first_bad_answer"] == 6.0  # 20.5 + 0.5 s -> 27
    assert failing["route_seconds"] == 6.5
    assert failing["last_answer_seconds"] == 7.5
    assert (slow["bad_answers"], slow["seconds_from_first_bad_answer"]) == (2, 8.0)
    assert broken["version"] == "1.4.0"
    assert (broken["bad_answers"], broken["seconds_from_first_bad_answer"]) == (0, None)


def replaced(version: str, **fields: str) -> list[dict[str, Any]]:
    return [old | fields if old["version"] == version else old for old in HISTORY]


@pytest.mark.parametrize(
    ("seen", "problem"),
    [
        (played(replaced("1.1.0", outcome="RolledBack")), "promoted: nobody"),
        (played(replaced("1.2.0", outcome="Promoted")), "promoted: 1.1.0, 1.2.0"),
        (played(HISTORY[1:]), "never got weight: nobody"),
        (played(replaced("1.2.0", reason="Crashed: 3 crashes")), "1.2.0 ended for the wrong reason"),
        (played(steps=(5, 50)), "1.1.0 went through 5/50/100"),
        (played(answers=(*ANSWERS, answer("1.1.0", 50, code=503))), "1 requests were lost"),
        (played(answers=(*ANSWERS, answer("", 50, code=None))), "1 requests were lost"),
        (played(answers=tuple(a for a in ANSWERS if a.version != "1.3.0")), "no bad answer of 1.3.0"),
    ],
)
def test_anything_else_is_a_problem(seen: Seen, problem: str) -> None:
    problems = summary.build(seen)["problems"]

    assert any(problem in found for found in problems), problems


def test_a_load_that_was_not_constant_is_a_problem() -> None:
    seen = played()
    thinner = Result(started=T0, samples=seen.load.samples, unsent=3)

    report = summary.build(Seen(status=seen.status, record=seen.record, load=thinner))

    assert report["problems"] == ["3 requests could not be sent: the load was not constant"]


def test_a_play_that_broke_off_says_why_and_nothing_else() -> None:
    nothing = Seen(
        status=Status(), record=Record(), load=Result(started=0.0, samples=()), failure="1.0.0 serves: not ..."
    )

    report = summary.build(nothing)

    assert report["problems"] == ["1.0.0 serves: not ..."]
    assert summary.table(report)[-1].startswith("0 requests")


def test_the_table_has_a_row_for_each_version_and_every_reason() -> None:
    lines = summary.table(summary.build(played()))

    assert lines[2].split()[:5] == ["1.1.0", "promoted", "5/25/50/100", "400", "0"]
    assert "6.0 s" in lines[3]
    assert lines[5].split() == ["1.4.0", "rolled", "back", "nothing", "0", "0", "-", "-", "-", "-"]
    assert "1.2.0: Regressed: errors: 50% vs 0% stable" in lines
    assert lines[-1].endswith(" 0 lost")


def test_the_tally_tells_what_clients_noticed() -> None:
    seen, act = played(), acts.ACTS[1]
    zero = summary.seconds_to_zero(act, seen.record, seen.load)

    line = summary.tally(act, seen.load, zero)

    assert line.startswith("clients: 3 answers by 1.2.0, 2 bad, 6.0 s from the first bad one to weight 0")
    assert line.endswith("none lost")


# --- the play ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("act", acts.ACTS, ids=lambda act: act.version)
def test_every_version_is_a_valid_model_that_says_who_it_is(act: acts.Act) -> None:
    spec = ModelDeploymentSpec.model_validate(manifest.model(act.version, act.env)["spec"])

    assert spec.runtime.image == f"registry.example/churn:{act.version}"
    env = {variable.name: variable.value for variable in spec.runtime.env or ()}
    assert env == {"MODEL_VERSION": act.version, **act.env}
    latency = next(o.latency for o in spec.objectives or () if o.latency)
    assert latency.below == acts.LATENCY_LIMIT


def test_an_end_is_read_from_history_and_serving_needs_the_route() -> None:
    ready = {"type": "RouteReady", "status": "True", "reason": "Accepted", "lastTransitionTime": NOW}
    over = status("1.1.0", history=HISTORY)

    assert ending(over, "1.2.0") == "RolledBack"
    assert ending(over, "1.1.0") == "Promoted"
    assert ending(status("1.1.0"), "1.2.0") is None
    assert serves(status("1.0.0", conditions=[ready]), "1.0.0")
    assert not serves(status("1.0.0"), "1.0.0")
    assert not serves(status("1.0.0", "1.1.0", conditions=[ready], **running("pods")), "1.0.0")


async def test_a_watch_is_cut_into_its_objects() -> None:
    stream = asyncio.StreamReader()
    for found in ({"a": {"b": [1]}}, {"a": {"b": "}"}}):
        stream.feed_data(json.dumps(found, indent=4).encode() + b"\n")
    stream.feed_data(b'{\n    "cut": ')
    stream.feed_eof()

    assert [document async for document in documents(stream)] == [{"a": {"b": [1]}}, {"a": {"b": "}"}}]


class FakeKube:
    """A cluster in which the given objects are seen, by the first word of the watch, and nothing more happens."""

    def __init__(self, **seen: list[dict[str, Any]]) -> None:
        self._seen = seen

    async def watch(self, *words: str) -> AsyncGenerator[dict[str, Any], None]:
        for found in self._seen.get(words[0].partition(".")[0], []):
            yield found
        await asyncio.Event().wait()


def staged(**seen: list[dict[str, Any]]) -> tuple[Stage, io.StringIO]:
    out = io.StringIO()
    return Stage(FakeKube(**seen), Terminal(out)), out  # type: ignore[arg-type]


class Cluster:
    """A kubectl that answers from a script and remembers what was asked."""

    def __init__(self, namespace: dict[str, Any] | None = None, pods: list[str] | None = None) -> None:
        self.asked: list[str] = []
        self.helmed: tuple[str, ...] = ()
        self._namespace = namespace
        self._pods = pods or []

    async def kubectl(self, *words: str) -> str:
        self.asked.append(" ".join(words[:2]))
        return self._pods.pop(0) if words[:2] == ("get", "pods") and self._pods else ""

    async def get(self, *words: str) -> dict[str, Any] | None:
        return self._namespace

    async def helm(self, *words: str) -> None:
        self.helmed = words

    async def apply(self, manifest: dict[str, Any]) -> None:
        self.asked.append(f"apply {manifest['kind']}")


async def test_the_operator_is_replaced_even_if_its_tag_is_the_same() -> None:
    cluster = Cluster()

    await install.operator(cluster, "http://10.96.0.90:9090")  # type: ignore[arg-type]

    assert "prometheus.url=http://10.96.0.90:9090" in cluster.helmed
    assert any(word.startswith(r"podAnnotations.fairway\.dev/demo=") for word in cluster.helmed)


async def test_a_namespace_of_somebody_else_is_left_alone() -> None:
    cluster = Cluster(namespace={"metadata": {"labels": {"team": "risk"}}})

    with pytest.raises(DemoError, match="'demo' that the demo has not made"):
        await install.empty_namespace(cluster)  # type: ignore[arg-type]

    assert cluster.asked == []


async def test_what_an_earlier_demo_left_is_removed_first_pods_before_the_namespace() -> None:
    cluster = Cluster(namespace=manifest.namespace(), pods=["pod/churn-1\n", ""])

    await install.empty_namespace(cluster)  # type: ignore[arg-type]

    assert cluster.asked == [
        "delete modeldeployments.fairway.dev",
        "get pods",
        "get pods",
        "delete namespace",
        "apply Namespace",
    ]


@pytest.mark.parametrize(("problems", "code"), [([], 0), (["3 requests were lost"], 1)])
async def test_only_the_expected_outcome_is_a_success(problems: list[str], code: int) -> None:
    out = io.StringIO()
    report = {**summary.build(played()), "problems": problems}

    assert await demo.conclude(Cluster(), Terminal(out), report) == code  # type: ignore[arg-type]
    assert all(f"FAILED: {problem}" in out.getvalue() for problem in problems)


async def test_the_stage_tells_what_it_sees_and_remembers_it() -> None:
    models = [{"status": s.model_dump(mode="json", by_alias=True)} for s in (status("1.0.0"), status("1.1.0"))]
    event = {"metadata": {"uid": "1"}, "reason": "Promoted", "type": "Normal", "message": "1.1.0 serves everything"}
    stage, out = staged(modeldeployments=models, events=[event, event], httproutes=[route(rev110=100)])

    async with stage.watched():
        await stage.until(lambda s: s.stable is not None and s.stable.version == "1.1.0", "1.1.0 serves", 5.0)
        await asyncio.sleep(0)

    assert stage.record.climb("1.1.0") == [100]
    assert stage.record.had_weight("1.1.0")
    assert out.getvalue().count("1.1.0 serves everything") == 1


async def test_waiting_ends_at_the_deadline_and_says_for_what() -> None:
    stage, _ = staged()

    async with stage.watched():
        with pytest.raises(DemoError, match=r"1\.0\.0 serves: not within 0 s"):
            await stage.until(lambda _: False, "1.0.0 serves", 0.01)


async def test_a_watch_that_breaks_ends_the_waiting() -> None:
    stage, _ = staged(events=[{"metadata": {}}])

    async with stage.watched():
        with pytest.raises(DemoError, match="a watch broke"):
            await stage.until(lambda _: False, "nothing", 5.0)
