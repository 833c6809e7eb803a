"""What predict says of images."""

from __future__ import annotations

from kdcompress.runs.schemas._result import Kept, Result


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
