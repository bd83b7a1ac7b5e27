"""Requests as the tests make them: the load's patience, and a body."""

from typing import Any

from tests.e2e.programs import ROOT
from tests.load.generator import Plan

PATIENCE = 120.0
"""Seconds in which a request may be answered: on a machine that is starved it is late, and not lost."""


def plan(url: str, rate: float, seconds: float = 1800.0, **more: Any) -> Plan:
    """A load whose requests may take their time; what the machine cannot take at all is left unsent, and not lost."""
    return Plan(url=url, rate=rate, seconds=seconds, timeout=PATIENCE, in_flight=500, **more)


def sample() -> bytes:
    """A request's body."""
    return (ROOT / "examples/churn/sample.json").read_bytes()
