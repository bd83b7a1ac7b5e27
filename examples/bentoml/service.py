"""A BentoML service: a weighted sum that fails on a negative first feature, or always if it is told to."""

import os

import bentoml

WEIGHTS = (0.5, -0.25)


@bentoml.service(workers=1)
class Churn:
    """Churn risk of rows with two features."""

    @bentoml.api
    def predict(self, rows: list[list[float]]) -> list[float]:
        """Score each row; raise what a broken model would raise."""
        if os.environ.get("MODEL_BROKEN") or rows[0][0] < 0:
            raise RuntimeError("no weights for this")
        return [sum(w * x for w, x in zip(WEIGHTS, row, strict=True)) for row in rows]
