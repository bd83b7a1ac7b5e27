"""An open-loop load generator: constant rate, exact counts, and an answer to "was a request lost?"."""

from tests.load.generator import Load, Plan, run
from tests.load.result import Loss, Result, Sample

__all__ = ["Load", "Loss", "Plan", "Result", "Sample", "run"]
