"""Objectives that are a query: what may be asked, and by whom."""

import promql_parser
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairway.adapters import promql
from fairway.adapters.promql import scoped
from fairway.api.runtime import GENERIC_HTTP
from fairway.api.spec import ModelDeploymentSpec, Objective
from fairway.core.errors import Problem
from fairway.core.providers import Provider, Providers, counted, first_problem, queried
from fairway.core.query import Answers, QueryError, fill, filled, only, window
from fairway.core.verdict import QueryPlan, Question

KEY = ("ml", "churn")
DRIFT = {"name": "drift", "query": "max(drift{$selector})", "below": "0.2"}
MAIN = Provider("main", free_queries=True, queries={"parity": "min(parity{$selector})"})
STRICT = Provider("strict")


def spec(*objectives):
    found = {"model": {"version": "1.0.0"}, "runtime": {"image": "x", "port": 80}, "objectives": list(objectives)}
    return ModelDeploymentSpec.model_validate(found)


def providers(*known):
    return Providers(known or (MAIN, STRICT), scoped)


def problem(objective, *known):
    return providers(*known).problem(Objective.model_validate(objective), KEY)


# --- what an owner may write ----------------------------------------------------------------------------------------

OWN = 'namespace="ml"'


@pytest.mark.parametrize(
    ("text", "written"),
    [
        (f"max(x{{{OWN}}})", f"max(x{{{OWN}}})"),
        (f"rate(a{{{OWN}}}[5m]) / b{{{OWN}}}", f"rate(a{{{OWN}}}[5m]) / b{{{OWN}}}"),
        (f"x{{a='it\"s',{OWN}}}", f'x{{a="it\\"s",{OWN}}}'),
        (f"max_over_time(x{{{OWN}}}[1h:1m] offset 5m)", f"max_over_time(x{{{OWN}}}[1h:1m] offset 5m)"),
        (f"  x{{{OWN}}}\n  >\n\t0", f"x{{{OWN}}} > 0"),
        ("vector(1)", "vector(1)"),
    ],
)
def test_a_query_within_its_namespace_comes_back_as_the_parser_writes_it(text, written):
    assert scoped(text, "ml") == written
    assert scoped(written, "ml") == written


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x", "x must name its namespace"),
        ('x{namespace="other"}', "must name its namespace"),
        ('x{namespace=~"ml|other"}', "must name its namespace"),
        ('x{namespace=~"ml"}', "must name its namespace"),
        ('x{namespace!="ml"}', "must name its namespace"),
        (f"a{{{OWN}}} or b", "b must name its namespace"),
        (f"sum(a{{{OWN}}}) + sum(rate(b[5m]))", "b must name its namespace"),
        (f"max_over_time((a{{{OWN}}} or b)[5m:1m])", "b must name its namespace"),
        (f"quantile(scalar(b), a{{{OWN}}})", "b must name its namespace"),
        (f'label_replace(b, "namespace", "ml", "", "") and a{{{OWN}}}', "b must name its namespace"),
        ('{__name__=~".+"}', "must name its namespace"),
        (f'a{{x="}} or b{{", {OWN}}} or b', "b must name its namespace"),
        (f"a{{{OWN}}} # \n or b", "no # in it"),
        (f'a{{{OWN} or x="y"}}', "joined by or"),
        (f"info(a{{{OWN}}})", "info() reads series of other namespaces"),
        ("x{", "unexpected end of input"),
        ("", ""),
        ("sum(", ""),
        (f"no_such_function(x{{{OWN}}})", "no_such_function"),
        (f'x{{{OWN},a="\u2028"}}', "plain ASCII"),
        (f'x{{{OWN},a="\0"}}', "plain ASCII"),
        (f"x{{{OWN}}}" + " " * 9000, "at most 8192"),
        ("(" * 500 + "x" + ")" * 500, "it is too long"),
        ("x" + "+x" * 400, "it is too long"),
        ("x" + " or x" * 100, "it is too long"),
        ("-" * 500 + "x", "it is too long"),
        ("- " * 400 + "x", "it is too long"),
    ],
)
def test_a_query_that_reaches_out_of_its_namespace_is_refused_with_the_reason(text, says):
    with pytest.raises(QueryError) as refused:
        scoped(text, "ml")
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


WORDS = [*"abx{}()[]\"'`\\,=~!| \n", " or ", "[5m]", "namespace", '="ml"', 'x{namespace="ml"}', "rate(", "by"]
TEXT = st.lists(st.sampled_from(WORDS), max_size=20).map("".join)


@given(TEXT)
def test_whatever_is_written_every_selector_of_what_is_asked_has_the_namespace(text):
    try:
        asked = scoped(text, "ml")
    except QueryError:
        return
    # nothing in what is asked is left to be found by another reading: it is what the parser makes of itself
    assert scoped(asked, "ml") == asked
    nodes = []
    promql_parser.walk(promql_parser.parse(asked), nodes.append)
    for node in nodes:
        if isinstance(node, promql_parser.VectorSelector):
            assert OWN in node.prettify()


# --- variables ------------------------------------------------------------------------------------------------------


def test_variables_become_validated_names_and_escaped_matchers():
    text = 'x{$selector} / y{$selector,m="$name"}[$window] + $revision $namespace'
    asked = fill(text, KEY, "abc", 61.2, None)
    own = 'namespace="ml",pod=~"churn-abc-.*"'
    assert asked == f'x{{{own}}} / y{{{own},m="churn"}}[62s] + abc ml'
    assert fill("x{$selector}", KEY, "abc", 60, "rev") == 'x{namespace="ml",rev="abc"}'


def test_a_filled_query_of_an_owner_passes_the_parser():
    plan = QueryPlan("drift", "max(rate(x{$selector}[$window]))", scoped=True, below=0.2)
    question = Question(KEY, "r", "abc", "def", (), since=1000.0, weight=5)
    asked = filled(plan, question, window(question, 1100.0), None)
    assert scoped(asked, "ml") == 'max(rate(x{namespace="ml",pod=~"churn-abc-.*"}[1m40s]))'


# --- whom and what one may ask --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("objective", "cause", "says"),
    [
        (DRIFT | {"provider": "mimir"}, "UnknownProvider", "no metrics provider 'mimir', only main, strict"),
        (DRIFT | {"provider": "strict"}, "QueryNotAllowed", "does not allow PromQL for the provider 'strict'"),
        (DRIFT | {"query": "max(drift)"}, "InvalidQuery", "drift must name its namespace: write {$selector}"),
        (DRIFT | {"query": "max(drift{$selector}"}, "InvalidQuery", "the query cannot be asked: "),
        ({"name": "p", "template": "drift", "above": "0"}, "UnknownTemplate", "for the provider 'main', only parity"),
        ({"name": "p", "template": "x", "above": "0", "provider": "strict"}, "UnknownTemplate", "'strict', only none"),
        ({"name": "e", "errors": {"below": "1%"}, "provider": "x"}, "UnknownProvider", "only main, strict"),
    ],
)
def test_what_cannot_be_asked_is_known_before_anybody_is_asked(objective, cause, says):
    found = problem(objective)
    assert found.cause == cause
    assert says in found.message


def test_what_can_be_asked_has_no_problem():
    assert problem(DRIFT) is None
    assert problem({"name": "p", "template": "parity", "above": "0"}) is None
    assert problem({"name": "e", "errors": {"below": "1%"}, "provider": "strict"}) is None


def test_without_any_provider_that_is_the_problem():
    assert Providers().problem(Objective.model_validate(DRIFT), KEY) == Problem(
        "NoProvider", "no metrics provider is configured: an admin sets prometheus.url"
    )


def test_plans_carry_their_problem_and_the_first_one_is_told_with_its_name():
    errors = {"name": "errors", "errors": {"below": "1%"}}
    asked = spec(errors, DRIFT | {"provider": "strict"})
    (count,) = counted(asked, GENERIC_HTTP, providers(), KEY)
    (query,) = queried(asked, providers(), KEY)
    assert (count.problem, query.cause) == (None, "QueryNotAllowed")
    assert first_problem(asked, providers(), KEY).message.startswith("drift: an admin does not allow")
    assert first_problem(spec(errors), providers(), KEY) is None
    # where nobody looks, everything is as it is written
    assert first_problem(asked, None, KEY) is None
    assert queried(asked, None, KEY)[0].problem is None


def test_a_plan_is_the_owners_query_or_the_admins_template():
    own, template = queried(spec(DRIFT, {"name": "p", "template": "parity", "above": "-0.5"}), providers(), KEY)
    assert (own.promql, own.scoped, own.text, own.below) == ("max(drift{$selector})", True, "below 0.2", 0.2)
    assert (template.promql, template.scoped, template.text) == ("min(parity{$selector})", False, "above -0.5")


# --- answers --------------------------------------------------------------------------------------------------------


def test_the_bound_itself_breaks_the_promise():
    below = QueryPlan("d", "x", scoped=False, below=0.2)
    above = QueryPlan("d", "x", scoped=False, above=0.8)
    assert [below.breaks(v) for v in (0.1, 0.2, 0.3)] == [False, True, True]
    assert [above.breaks(v) for v in (0.7, 0.8, 0.9)] == [True, True, False]


def test_four_answers_are_kept_and_old_ones_forgotten():
    plan = QueryPlan("d", "x", scoped=False, below=0.2)
    answers = Answers()
    for at in range(10):
        answers = answers.plus(plan, float(at), 0.1, 1.0)
    assert [at for at, _ in answers.latest] == [6.0, 7.0, 8.0, 9.0]
    assert [at for at, _ in answers.plus(plan, 16.0, 0.1, 1.0).latest] == [8.0, 9.0, 16.0]


def test_one_finite_number_is_an_answer():
    assert only([0.5]) == 0.5
    for bad in ([], [1.0, 2.0], [float("nan")], [float("-inf")]):
        with pytest.raises(QueryError):
            only(bad)


def test_a_refusal_is_found_out_once_and_said_each_time(monkeypatch):
    parsed = []
    parse = promql.promql.parse
    monkeypatch.setattr(promql.promql, "parse", lambda query: parsed.append(query) or parse(query))
    said = set()
    for _ in range(3):
        with pytest.raises(QueryError) as refusal:
            promql.scoped("sum(refused_only_here)", "ml")
        said.add(str(refusal.value))
    assert (len(parsed), len(said)) == (1, 1)
