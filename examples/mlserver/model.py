"""A model for MLServer: a weighted sum that fails on a negative first feature, or always if it is told to."""

import os

import numpy as np
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse

WEIGHTS = np.array([0.5, -0.25])


class Churn(MLModel):
    """Churn risk of rows with two features."""

    async def load(self) -> bool:
        """Nothing has to be loaded."""
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Score each row; raise what a broken model would raise."""
        rows = NumpyCodec.decode_input(payload.inputs[0])
        if os.environ.get("MODEL_BROKEN") or rows[0][0] < 0:
            raise RuntimeError("no weights for this")
        scores = (rows @ WEIGHTS).reshape(-1, 1)
        return InferenceResponse(model_name=self.name, outputs=[NumpyCodec.encode_output("risk", scores)])
