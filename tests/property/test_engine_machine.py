"""The real engine over a simulated cluster, driven at random: invariants I1-I10 of the design hold at every write.

``FAIRWAY_PROPERTY=thorough`` runs for many minutes with new randomness each time.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

from tests.property.machine import EngineMachine

PROFILES = {"default": (60, 30), "thorough": (3000, 50)}
_PROFILE = os.environ.get("FAIRWAY_PROPERTY", "default")
_EXAMPLES, _STEPS = PROFILES[_PROFILE]

EngineMachine.TestCase.settings = settings(
    max_examples=_EXAMPLES,
    stateful_step_count=_STEPS,
    deadline=None,
    derandomize=_PROFILE == "default",
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)
TestEngine = pytest.mark.hunt(EngineMachine.TestCase)
