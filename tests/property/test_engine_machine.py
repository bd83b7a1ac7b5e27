"""The real engine over a simulated cluster, driven at random: invariants I1-I10 of the design hold at every write.

The default looks at the same few examples each time. ``FAIRWAY_PROPERTY=hunt`` looks at new ones for
many minutes; ``--hypothesis-seed`` then names the run.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, Phase, settings

from tests.property.machine import EngineMachine

PROFILES = {"default": (30, 30), "hunt": (1500, 50)}
"""Examples, and steps in each."""
_PROFILE = os.environ.get("FAIRWAY_PROPERTY", "default")
_EXAMPLES, _STEPS = PROFILES[_PROFILE]

EngineMachine.TestCase.settings = settings(
    max_examples=_EXAMPLES,
    stateful_step_count=_STEPS,
    deadline=None,
    derandomize=_PROFILE == "default",
    phases=[Phase.generate] if _PROFILE == "default" else settings.default.phases,  # the hunt makes a finding small
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)
TestEngine = EngineMachine.TestCase
