"""The benchmarks run, in miniature, and say what they are asked for."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from tests.bench.analysis import __main__ as command
from tests.bench.analysis import wald
from tests.bench.analysis.measure import measure, times
from tests.bench.analysis.report import document, text
from tests.bench.analysis.rules import RULES
from tests.bench.analysis.scenario import BOUNDARY, BROKEN, HEALTHY, NULLS
from tests.bench.analysis.simulate import draw
from tests.bench.evaluation.fleet import PLANS, answer, evaluate, fleet


def test_a_few_runs_make_a_table_and_a_document():
    healthy, broken, edges = (measure(group[0], 3) for group in (HEALTHY, BROKEN, BOUNDARY))
    page = text([healthy], [broken], [edges])
    assert "> limit over 60 s, every 30 s, 0 allowed" in page
    assert "0.1 -> 50 %" in page
    told = json.loads(json.dumps(document([healthy], [broken], [edges])))
    assert told["healthy"][0]["regressed"] == {"runs": 0, "median": None, "p90": None}
    assert told["broken"][0]["regressed"]["median"] == 10
    assert set(told["broken"][0]["rules"]) == {rule.name for rule in RULES}


def test_every_scenario_can_be_drawn_and_has_its_own_name():
    every = [*HEALTHY, *BROKEN, *NULLS, *BOUNDARY]
    assert len({scenario.name for scenario in every}) == len(every)
    for scenario in every:
        trace = draw(scenario, np.random.default_rng(1))
        assert (trace.e_c <= trace.n_c).all()
        assert (trace.e_s <= trace.n_s).all()


def test_walds_bound_is_finite_exactly_where_a_promise_is_broken():
    assert all(wald.bound(scenario) < math.inf for scenario in BROKEN)
    assert all(wald.bound(scenario) == math.inf for scenario in HEALTHY)


def test_a_percentile_of_misses_is_endless():
    seen = times([10.0, None, 20.0, None])
    assert (seen.count, seen.median, seen.p90) == (2, 20.0, math.inf)


@pytest.mark.parametrize("false", [0, 1])
def test_a_false_rollback_fails_the_command(tmp_path, capsys, monkeypatch, false):
    def found(scenario, runs):
        result = measure(scenario, runs)
        return replace(result, regressed=replace(result.regressed, count=false))

    monkeypatch.setattr(command, "measure", found)
    target = tmp_path / "analysis.json"
    with pytest.raises(SystemExit) as ended:
        command.main(["--runs", "1", "--more", "1", "--to", str(target)])
    told = json.loads(target.read_text())
    assert len(told["healthy"]) == len(HEALTHY) + len(NULLS)
    assert ended.value.code == false
    assert str(target) in capsys.readouterr().out


def test_the_evaluation_counts_what_the_answers_hold():
    # given two open runs and two scrapes
    runs = fleet(2)
    for now in (100.0, 105.0):
        readings = evaluate(runs, {plan.name: answer(runs, plan, now) for plan in PLANS}, now)
    # then each has counted its candidate's five requests per second for 30 s, latency but for its cold start
    assert [len(reading.objectives) for reading in readings] == [3, 3]
    assert [[o.requests for o in reading.objectives] for reading in readings] == [[150, 150, 100]] * 2
