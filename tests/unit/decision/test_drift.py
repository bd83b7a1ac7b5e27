"""When an object still says what we want: by value, element by element, blind to what is not ours."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairway.core.drift import says

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
documents = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=8,
)
objects = st.dictionaries(st.text(max_size=4), documents, max_size=4)


@settings(max_examples=50)
@given(documents)
def test_everything_says_itself(document):
    assert says(document, document)


@settings(max_examples=50)
@given(objects, objects)
def test_foreign_fields_are_not_drift(foreign, ours):
    assert says({**foreign, **ours}, ours)


@pytest.mark.parametrize(
    ("live", "wanted"),
    [
        ({"selector": {"a": "1", "app": "stolen"}}, {"selector": {"a": "1"}}),
        ({"selector": {"matchLabels": {"a": "1", "b": "2"}}}, {"selector": {"matchLabels": {"a": "1"}}}),
        ({"selector": {"matchLabels": {}, "matchExpressions": [{}]}}, {"selector": {"matchLabels": {}}}),
        ({"rules": [{"backendRefs": [], "filters": [{}]}]}, {"rules": [{"backendRefs": []}]}),
        ({"spec": {"nodeSelector": {"zone": "a", "gpu": "none"}}}, {"spec": {"nodeSelector": {"zone": "a"}}}),
    ],
)
def test_one_more_entry_in_a_whole_is_drift(live, wanted):
    assert not says(live, wanted)
    assert says(live, live)


@settings(max_examples=50)
@given(objects, st.text(max_size=4))
def test_a_field_that_vanished_is_drift(ours, name):
    assert not says({key: value for key, value in ours.items() if key != name}, {**ours, name: "x"})


@pytest.mark.parametrize(
    ("live", "wanted"),
    [
        ("500m", "0.5"),
        ("500m", 0.5),
        ("1Gi", "1024Mi"),
        ("1073741824", "1Gi"),
        ("1536Mi", "1.5Gi"),
        ("1k", 1000),
        ("2", 2),
        ("100m", "0.1"),
        ("1", "1000m"),
        ("250u", "0.00025"),
        ("-1", -1),
    ],
)
def test_one_quantity_has_many_spellings(live, wanted):
    assert says(live, wanted)
    assert says(wanted, live)
    assert says({"limits": {"cpu": live}}, {"limits": {"cpu": wanted}})


@pytest.mark.parametrize(
    ("live", "wanted"),
    [
        ("500m", "0.6"),
        ("1G", "1Gi"),
        ("1M", "1m"),
        (True, 2),
        (True, "1"),
        (False, "0"),
        ("1x", "1"),
        ("", "0"),
        (None, "0"),
        ("a", "b"),
        ({}, "x"),
        ([], {}),
        ("ab", ["a", "b"]),
        (None, {"a": 1}),
    ],
)
def test_other_values_and_other_types_are_drift(live, wanted):
    assert not says(live, wanted)


def test_lists_are_compared_whole_and_in_order():
    wanted = [{"name": "a", "weight": 80}, {"name": "b", "weight": 20}]
    assert says([{"name": "a", "weight": 80, "group": ""}, {"name": "b", "weight": 20}], wanted)
    assert says(tuple(wanted), wanted)
    assert not says(wanted[::-1], wanted)
    assert not says(wanted[:1], wanted)
    assert not says([*wanted, {"name": "c"}], wanted)
    assert not says([{"name": "a", "weight": 81}, wanted[1]], wanted)


@pytest.mark.parametrize("empty", [{}, [], None])
def test_an_empty_value_is_as_good_as_an_absent_one(empty):
    assert says({}, {"resources": empty})


@pytest.mark.parametrize("value", [0, False, ""])
def test_zero_and_false_and_the_empty_text_are_values(value):
    assert not says({}, {"field": value})


def test_the_smallest_change_deep_inside_is_found():
    wanted = {"spec": {"template": {"spec": {"containers": [{"name": "model", "image": "churn:a"}]}}}}
    live = {"spec": {"template": {"spec": {"containers": [{"name": "model", "image": "churn:b"}]}}}}
    assert not says(live, wanted)
