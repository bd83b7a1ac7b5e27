"""Backtest: over a recorded past, it decides what the operator would have decided, and says so."""

import asyncio
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from fairway import cli
from fairway.__main__ import main
from fairway.cli.backtest import subject_of, when
from fairway.cli.backtest_report import sparkline
from fairway.cli.errors import CliError
from tests.fakes.prometheus import FakePrometheus, Pod, document, history, matrix, text

START, END = 10_000.0, 10_300.0
GOES_ON, FAILED, USAGE, REFUSED, WAITS, GOES_BACK = range(6)
MODEL = """
apiVersion: fairway.dev/v1alpha1
kind: ModelDeployment
metadata: {name: churn, namespace: ml}
spec:
  model: {version: 1.1.0}
  runtime: {image: registry.example/churn:1.1.0, port: 8080}
  objectives:
    - {name: errors, errors: {below: 1%}}
    - {name: latency, latency: {percentile: 98, below: 50ms}}
"""


def past(*, bad: float = 0.001, base: float = 0.001, slow: float = 0.0, since: float = START) -> list[Pod]:
    """What two revisions counted: aold for long, bnew with a twentieth of the requests from `since` on."""
    stable = Pod("churn-aold-x-1", phase=1.0).serve(START - 1200, END + 60, 95, base)
    candidate = Pod("churn-bnew-x-1", phase=3.0, born=since).serve(since, END + 60, 5, bad, slow=slow)
    return [stable, candidate]


async def backtest(tmp_path: Path, capsys: pytest.CaptureFixture[str], answer, *options: str, model: str = MODEL):
    """Exit code, what was printed, and the errors."""
    file = tmp_path / "md.yaml"
    file.write_text(model, encoding="utf-8")
    async with FakePrometheus(answer) as prometheus:
        words = ["backtest", "-f", str(file), "--prometheus", prometheus.url]
        words += ["--from", str(START), "--to", str(END), "--candidate", "bnew", "--stable", "aold", *options]
        code = await asyncio.to_thread(main, words)
    printed = capsys.readouterr()
    return code, printed.out, printed.err, prometheus.requests


async def test_a_bad_candidate_would_have_been_rolled_back(tmp_path, capsys) -> None:
    """Given half of its answers failing, then it is out after its second scrape, as the operator would have done."""
    code, out, _, requests = await backtest(tmp_path, capsys, history(past(bad=0.5)), "--output", "json")
    told = json.loads(out)
    assert (code, told["decision"], told["verdict"]) == (GOES_BACK, "RolledBack", "Regressed")
    assert 8.0 <= told["afterSeconds"] <= 15.0
    errors = told["objectives"][0]
    assert (errors["name"], errors["verdict"]) == ("errors", "Regressed")
    assert errors["log10Evidence"] >= errors["log10Needed"]
    # and the past was read once for each metric, not once for each scrape
    assert len(requests) <= 3


async def test_a_healthy_candidate_would_have_gone_on(tmp_path, capsys) -> None:
    pods = past()
    code, out, _, _ = await backtest(tmp_path, capsys, history(pods), "--output", "json")
    told = json.loads(out)
    assert (code, told["decision"]) == (GOES_ON, "GoOn")
    errors = told["objectives"][0]
    newest = max(pods[1].scrapes(START, END - 0.3))
    assert (errors["requests"], errors["bad"]) == pods[1].counted(0, newest)
    assert told["timeline"][-1]["verdict"] == told["verdict"]
    assert 5 <= len(told["timeline"]) <= 40


async def test_an_outage_of_both_blames_nobody(tmp_path, capsys) -> None:
    code, out, _, _ = await backtest(tmp_path, capsys, history(past(bad=0.3, base=0.3)))
    assert code == WAITS
    assert "SharedDegradation: the rollout would have waited" in out
    assert "rolled back" not in out


async def test_a_slow_candidate_is_seen_and_may_only_pause(tmp_path, capsys) -> None:
    model = MODEL + "  rollout: {onRegression: Pause}\n"
    code, out, _, _ = await backtest(tmp_path, capsys, history(past(slow=0.4)), model=model)
    assert code == GOES_BACK
    assert "Regressed: the rollout would have paused, after " in out
    assert "slower than 50ms" in out


async def test_the_text_has_a_table_and_the_evidence_as_bars(tmp_path, capsys) -> None:
    _, out, _, _ = await backtest(tmp_path, capsys, history(past(bad=0.06)), "--step", "10s")
    lines = out.splitlines()
    columns = "AFTER VERDICT OBJECTIVE CANDIDATE STABLE LIMIT EVIDENCE REQUESTS BAD"
    assert lines[0].startswith("ml/churn: bnew against aold, ")
    assert lines[2].split() == columns.split()
    assert sum(" errors " in line for line in lines) >= 3
    assert any(line.strip().endswith("█") for line in lines)
    assert lines[-3].startswith("Regressed: the candidate would have been rolled back, after ")


async def test_a_named_runtime_is_taken_from_the_files(tmp_path, capsys) -> None:
    runtime = """
---
apiVersion: fairway.dev/v1alpha1
kind: ModelRuntime
metadata: {name: mine}
spec: {metrics: {series: {requests: {metric: calls_total, failure: [{label: status, value: "500"}]}}}}
"""
    model = MODEL.replace("{image: registry.example/churn:1.1.0, port: 8080}", "{name: mine}")
    code, out, _, _ = await backtest(tmp_path, capsys, history(past(bad=0.5)), "-o", "json", model=model + runtime)
    assert (code, json.loads(out)["verdict"]) == (GOES_BACK, "Regressed")
    code, _, err, _ = await backtest(tmp_path, capsys, history([]), model=model)
    assert (code, "there is no ModelRuntime 'mine'" in err) == (REFUSED, True)


@dataclass
class Labelled(Pod):
    """A pod of any name, whose series a relabelling gave the revision."""

    revision: str = ""

    @property
    def identity(self) -> dict[str, str]:
        return {**super().identity, "fairway_dev_revision": self.revision}


def labelled() -> list[Pod]:
    stable = Labelled("pod-1", phase=1.0, revision="aold").serve(START - 1200, END + 60, 95, 0.001)
    candidate = Labelled("pod-2", phase=3.0, born=START, revision="bnew").serve(START, END + 60, 5, 0.5)
    return [stable, candidate]


async def test_revisions_may_be_known_by_a_label(tmp_path, capsys) -> None:
    """Given pods whose names tell nothing, then the label that the provider has for it does."""
    code, out, _, _ = await backtest(
        tmp_path, capsys, history(labelled()), "-o", "json", "--revision-label", "fairway_dev_revision"
    )
    assert (code, json.loads(out)["verdict"]) == (GOES_BACK, "Regressed")
    code, _, _, _ = await backtest(tmp_path, capsys, history(labelled()))
    assert code == WAITS
    code, _, err, _ = await backtest(tmp_path, capsys, history(labelled()), "--revision-label", 'a"}')
    assert (code, "is no name of a label" in err) == (USAGE, True)


def drifting(pods: list[Pod], *, after: float):
    """A provider that also knows one number, which is too high from a moment on; times that were asked go to a list."""
    recorded, asked = history(pods), []

    async def answer(request):
        form = {**request.query, **(await request.post())}
        if "drift" not in form["query"]:
            return await recorded(request)
        asked.append((float(form["time"]), form["query"]))
        value = "0.9" if float(form["time"]) >= START + after else "0.1"
        result = [{"metric": {}, "value": [float(form["time"]), value]}]
        return await document({"status": "success", "data": {"resultType": "vector", "result": result}})(request)

    return answer, asked


QUERY = "    - {name: drift, query: 'max(drift{$selector})', below: 0.5}\n"


async def test_a_query_is_asked_at_each_moment_of_the_past(tmp_path, capsys) -> None:
    """Given a number that breaks its bound after a minute, then three answers of four decide, as in the operator."""
    answer, asked = drifting(past(), after=60)
    code, out, _, _ = await backtest(tmp_path, capsys, answer, "-o", "json", model=MODEL + QUERY)
    told = json.loads(out)
    drift = told["objectives"][-1]
    assert (code, told["verdict"], drift["verdict"], drift["value"]) == (GOES_BACK, "Regressed", "Regressed", "0.9")
    # it is asked for as often as there are samples, each five seconds
    assert 70 <= told["afterSeconds"] <= 80
    assert START <= asked[0][0] < asked[-1][0] <= START + 110
    # and it is held to the namespace and the candidate
    assert all('namespace="ml"' in query and "churn-bnew-" in query for _, query in asked)


async def test_a_template_of_the_operator_cannot_be_replayed(tmp_path, capsys) -> None:
    query = "    - {name: drift, template: drift, below: 0.5}\n"
    code, out, _, _ = await backtest(tmp_path, capsys, history(past()), model=MODEL + query)
    assert code == WAITS
    assert "its template is in the operator's configuration" in out


async def test_a_query_that_the_provider_refuses_holds(tmp_path, capsys) -> None:
    recorded = history(past())

    async def answer(request):
        form = {**request.query, **(await request.post())}
        return await (text("bad", status=400) if "drift" in form["query"] else recorded)(request)

    code, out, _, _ = await backtest(tmp_path, capsys, answer, model=MODEL + QUERY)
    assert code == WAITS
    assert "NoData: the rollout would have waited" in out
    assert "HTTP Status Code 400" in out


async def test_without_samples_nothing_is_concluded(tmp_path, capsys) -> None:
    code, out, _, _ = await backtest(tmp_path, capsys, history([]))
    assert code == WAITS
    assert "NoData: the rollout would have waited" in out


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (text("no", status=503), "HTTP Status Code 503"),
        (text("", status=302, headers={"Location": "http://127.0.0.1:9"}), "TooManyRedirects"),
        (matrix(warnings=["half of it"]), "partial"),
        (text("<html>", content_type="text/html"), "JSON"),
        (text('{"data": {"result": [{}]}}', content_type="application/json"), "no list of raw samples"),
    ],
)
async def test_a_provider_that_gives_no_whole_answer_ends_it(tmp_path, capsys, answer, says) -> None:
    code, out, err, _ = await backtest(tmp_path, capsys, answer)
    assert (code, out) == (FAILED, "")
    assert says in err
    assert len(err.splitlines()) == 1


async def test_the_provider_is_asked_with_what_it_wants_to_see(tmp_path, capsys) -> None:
    token = tmp_path / "token"
    token.write_text("secret\n", encoding="utf-8")
    options = ("--bearer-token-file", str(token), "--header", "X-Scope-OrgID=ml")
    _, _, _, requests = await backtest(tmp_path, capsys, history(past()), *options)
    headers = {name.lower(): value for name, value in requests[0][0].items()}
    assert (headers["authorization"], headers["x-scope-orgid"]) == ("Bearer secret", "ml")


@pytest.mark.parametrize(
    ("options", "expected", "says"),
    [
        (("--from", "soon"), USAGE, "is no time"),
        (("--from", str(END + 1)), USAGE, "--from must lie before --to"),
        (("--step", "10"), USAGE, "--step: '10' is no duration"),
        (("--scrape-interval", "10"), USAGE, "--scrape-interval: '10' is no duration"),
        (("--header", "x"), USAGE, "NAME=VALUE"),
        (("--bearer-token-file", "/nowhere/token"), FAILED, "bearer token file"),
        (("-f", "/nowhere/md.yaml"), FAILED, "/nowhere/md.yaml: No such file"),
    ],
)
async def test_what_cannot_be_replayed_is_told_in_a_line(tmp_path, capsys, options, expected, says) -> None:
    code, out, err, _ = await backtest(tmp_path, capsys, history([]), *options)
    assert (code, out, says in err) == (expected, "", True)
    assert err.startswith("fairway: ")
    assert len(err.splitlines()) == 1


async def test_what_nobody_promised_cannot_be_replayed(tmp_path, capsys) -> None:
    model = MODEL[: MODEL.index("  objectives:")]
    code, _, err, _ = await backtest(tmp_path, capsys, history([]), model=model)
    assert (code, "nothing to judge by" in err) == (REFUSED, True)


async def test_it_is_a_verb_like_the_others(tmp_path, capsys) -> None:
    """Given kubectl's flags and another form, then they mean what they mean elsewhere."""
    code, out, _, _ = await backtest(tmp_path, capsys, history(past()), "-o", "json", "-n", "risk", "--context", "none")
    told = json.loads(out)
    assert (code, told["namespace"]) == (WAITS, "risk")  # nothing was recorded there
    _, out, _, _ = await backtest(tmp_path, capsys, history(past()), "-o", "yaml", "-n", "risk")
    assert yaml.safe_load(out) == told


async def test_without_its_extra_it_says_what_to_install(tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "fairway.cli.backtest_source", None)
    monkeypatch.delattr(cli, "backtest_source", raising=False)
    code, _, err, _ = await backtest(tmp_path, capsys, history([]))
    assert (code, err.endswith("is missing: pip install 'fairway[backtest]'\n")) == (FAILED, True)


def test_files_hold_one_model_deployment(tmp_path: Path) -> None:
    file = tmp_path / "md.yaml"
    file.write_text("kind: Service\n", encoding="utf-8")
    with pytest.raises(CliError, match="no ModelDeployment in there"):
        subject_of([str(file)], None)
    file.write_text(f"{MODEL}---{MODEL}", encoding="utf-8")
    with pytest.raises(CliError, match="2 ModelDeployments; exactly one is needed"):
        subject_of([str(file)], None)
    file.write_text(MODEL.replace("1.1.0}\n  runtime", "one}\n  runtime"), encoding="utf-8")
    with pytest.raises(CliError, match=r"md\.yaml: spec\.model\.version: "):
        subject_of([str(file)], None)
    file.write_text(MODEL, encoding="utf-8")
    assert (subject_of([str(file)], None).namespace, subject_of([str(file)], "risk").namespace) == ("ml", "risk")


def test_times() -> None:
    assert when("now", 50.0) == 50.0
    assert when("2h", 10_000.0) == 2800.0
    assert when("1700000000.5", 0.0) == 1700000000.5
    assert when("2026-11-01T12:00:00Z", 0.0) == when("2026-11-01T12:00:00", 0.0) == when("2026-11-01T13:00:00+01:00", 0)


def test_bars() -> None:
    assert sparkline([0.0, 1.5, 3.0, 9.0], 3.0) == "▁▄██"
    assert len(sparkline([1.0] * 1000, 3.0)) <= 60
