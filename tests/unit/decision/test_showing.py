"""A verdict in words."""

from dataclasses import replace

from fairway.core.showing import verdict_words
from fairway.core.verdict import ObjectiveReading, Reading

ERRORS = ObjectiveReading("errors", "Healthy", "1%", value="0.4%", requests=400)
DRIFT = ObjectiveReading("drift", "NoData", "below 0.2", sureness="3 of 4 looks")


def test_a_verdict_is_told_with_its_numbers():
    told = verdict_words(Reading(run="run-1", state="Undecided", at=0.0, objectives=(ERRORS, DRIFT)))
    assert told == "Undecided: errors 0.4% (limit 1%, 400 requests); drift - (limit below 0.2, 3 of 4 looks)"


def test_enough_requests_within_the_limit_are_as_good_as_health():
    enough = replace(ERRORS, state="Undecided", sufficient=True)
    reading = Reading(run="run-1", state="Undecided", at=0.0, objectives=(enough,))
    assert verdict_words(reading) == "Healthy: errors 0.4% (limit 1%, 400 requests)"


def test_without_objectives_the_message_is_told():
    assert verdict_words(Reading(run="run-1", state="NoData", at=0.0, message="no series")) == "NoData: no series"
