"""Mixtures of betting processes, in natural logarithms."""

import math
from collections.abc import Sequence


def log_mean(logs: Sequence[float]) -> float:
    """Return ln of the mean of exponentials, without overflow: a mean of fair bets is a fair bet."""
    top = max(logs)
    return top + math.log(sum([math.exp(log - top) for log in logs]) / len(logs))
