"""What predict says of images."""

from __future__ import annotations

from kdcompress.formatting import percent
from kdcompress.runs.schemas._result import Kept, Result
from kdcompress.runs.schemas._table import Table


class Prediction(Result):
    """A model's answer to one image.

    Attributes:
        image: The path of the image.
        class_: The most likely class; the key is "class".
        probability: Its probability, 0 to 1.
    """

    image: str
    class_: str
    probability: float


class PredictionList(list[Prediction]):
    """Predictions, which notebooks show as a table."""

    def _repr_html_(self) -> str:
        rows = [[one.image, one.class_, percent(one.probability)] for one in self]
        return Table(f"{len(self):,} images", ["image", "class", "probability"], rows).html()


class Predictions(Kept):
    """What `predict --json` prints.

    Attributes:
        model: The path of the model.
        predictions: The class and its probability, image by image.
        refused: Why an image could not be read, by its path.
    """

    model: str
    predictions: list[Prediction]
    refused: dict[str, str]
