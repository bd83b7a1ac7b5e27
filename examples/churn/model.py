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
    """A fitted scikit-learn logistic regression and its card."""

    def __init__(self, classifier: Any, card: dict[str, Any]) -> None:
        self.card = card
        self.classifier = classifier
        self._coefficients = [float(value) for value in classifier.coef_[0]]
        self._intercept = float(classifier.intercept_[0])

    def probability(self, row: list[float]) -> float:
        """Return the probability of the positive class, 0..1.

        The same as `classifier.predict_proba([row])[0, 1]`, as a test proves: for one row of six numbers that are known
        to be valid, scikit-learn's input checks cost a hundred times the sum, and a third of the whole request.
        """
        score = sum(map(operator.mul, self._coefficients, row), self._intercept)
        return 1 / (1 + math.exp(min(-score, 700)))  # exp overflows from 710 on


def load(directory: Path) -> Model:
    """Read both files; takes a second or two, because it imports scikit-learn. Raises ModelError."""
    # Imported here, so that a bad switch is reported at once and liveness answers while this import runs.
    import joblib  # noqa: PLC0415

    try:
        card = json.loads((directory / "card.json").read_text())
        classifier = joblib.load(directory / "model.joblib")
    except Exception as error:  # unpickling a damaged file raises anything
        raise ModelError(f"cannot load the model from {directory}: {error}") from error
    if not isinstance(card, dict) or card.get("features") != list(FEATURES):
        raise ModelError(f"{directory}/card.json: the model was trained on other features than this server reads")
    return Model(classifier, card)
