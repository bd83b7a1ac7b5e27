"""The loaded model: from a row of numbers to a probability."""

import json
from pathlib import Path
from typing import Any

from .features import FEATURES


class ModelError(Exception):
    """The files are missing or made for other features than this server reads."""


class Model:
    """A fitted scikit-learn classifier and its card."""

    def __init__(self, classifier: Any, card: dict[str, Any]) -> None:
        self.card = card
        self._predict = classifier.predict_proba

    def probability(self, row: list[float]) -> float:
        """Return the probability of the positive class, 0..1."""
        return float(self._predict([row])[0, 1])


def load(directory: Path) -> Model:
    """Read both files; takes a second or two, because it imports scikit-learn. Raises ModelError."""
    # Imported here, so that a bad switch is reported at once and liveness answers while this import runs.
    import joblib  # noqa: PLC0415

    try:
        card = json.loads((directory / "card.json").read_text())
        classifier = joblib.load(directory / "model.joblib")
    except Exception as error:  # unpickling a damaged file raises anything
        raise ModelError(f"cannot load the model from {directory}: {error}") from error
    if card.get("features") != list(FEATURES):
        raise ModelError(f"{directory}/card.json: the model was trained on other features than this server reads")
    return Model(classifier, card)
