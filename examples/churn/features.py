"""What a request holds. Training and serving import this one list, so their order cannot drift apart."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Measure = Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]


class Features(BaseModel):
    """Six measurements of a cell nucleus, named as in scikit-learn's data set with `_` for spaces."""

    model_config = ConfigDict(extra="forbid")

    mean_radius: Measure
    mean_texture: Measure
    mean_perimeter: Measure
    mean_area: Measure
    mean_smoothness: Measure
    mean_concavity: Measure

    def row(self) -> list[float]:
        """Give the values in the order of `FEATURES`."""
        return list(self.__dict__.values())


class Prediction(BaseModel):
    """The answer: the probability of the class that the model card calls positive."""

    probability: float
    version: str


FEATURES = tuple(Features.model_fields)
