"""A model on KServe's Python server: a weighted sum that fails on a negative first feature, or if it is told to."""

import os
from typing import Any

import kserve

WEIGHTS = (0.5, -0.25)


class Churn(kserve.Model):
    """Churn risk of rows with two features."""

    def __init__(self) -> None:
        super().__init__("churn")
        self.ready = True

    def predict(self, payload: dict[str, Any], _headers: Any = None, _response_headers: Any = None) -> dict[str, Any]:
        """Score each row; raise what a broken model would raise."""
        rows = payload["instances"]
        if os.environ.get("MODEL_BROKEN") or rows[0][0] < 0:
            raise RuntimeError("no weights for this")
        return {"predictions": [sum(w * x for w, x in zip(WEIGHTS, row, strict=True)) for row in rows]}


if __name__ == "__main__":
    kserve.ModelServer(http_port=8080, enable_grpc=False, workers=1).start([Churn()])
