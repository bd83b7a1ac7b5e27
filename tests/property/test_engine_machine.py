"""The real engine over a simulated cluster, driven at random: invariants I1-I10 of the design hold at every write.

The default looks at the same examples each time, in less than a minute. ``FAIRWAY_PROPERTY=hunt`` looks at new ones for
many minutes; ``--hypothesis-seed`` then names the run.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

from tests.property.machine import EngineMachine

PROFILES = {"default": (40, 30), "hunt": (1500, 50)}
"""Examples, and steps in each."""
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
TestEngine = EngineMachine.TestCase
