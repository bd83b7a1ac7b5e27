"""The loaded model: from a row of numbers to a probability."""

import json
import math
import operator
from pathlib import Path
from typing import Any

from .features import FEATURES


class ModelError(Exception):
    """The files are missing or made for other features than this server reads."""


class Model:
    """A fitted logistic regression and its card."""

    def __init__(self, coefficients: list[float], intercept: float, card: dict[str, Any]) -> None:
        self.card = card
        self._coefficients = coefficients
        self._intercept = intercept

    def probability(self, row: list[float]) -> float:
        """Return the probability of the positive class, 0..1.

        The same as scikit-learn's `predict_proba([row])[0, 1]`, as a test proves: for one row of six numbers that are
        known to be valid, its input checks cost a hundred times the sum, and a third of the whole request.
        """
        score = sum(map(operator.mul, self._coefficients, row), self._intercept)
        return 1 / (1 + math.exp(min(-score, 700)))  # exp overflows from 710 on


def load(directory: Path, kind: str = "sklearn") -> Model:
    """Read the card, and the model in one of its two formats. Raises ModelError.

    ``sklearn`` takes a second or two, because it imports scikit-learn; ``json`` holds the same numbers and takes none.
    """
    try:
        card = json.loads((directory / "card.json").read_text())
        coefficients, intercept = _READERS[kind](directory)
    except Exception as error:  # unpickling a damaged file raises anything
        raise ModelError(f"cannot load the model from {directory}: {error}") from error
    if not isinstance(card, dict) or card.get("features") != list(FEATURES):
        raise ModelError(f"{directory}/card.json: the model was trained on other features than this server reads")
    return Model(coefficients, intercept, card)


def _sklearn(directory: Path) -> tuple[list[float], float]:
    # Imported here, so that a bad switch is reported at once and liveness answers while this import runs.
    import joblib  # noqa: PLC0415

    classifier = joblib.load(directory / "model.joblib")
    return [float(value) for value in classifier.coef_[0]], float(classifier.intercept_[0])


def _json(directory: Path) -> tuple[list[float], float]:
    found = json.loads((directory / "model.json").read_text())
    return [float(value) for value in found["coefficients"]], float(found["intercept"])


_READERS = {"sklearn": _sklearn, "json": _json}
