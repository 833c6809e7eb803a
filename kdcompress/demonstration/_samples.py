"""Test images that a page carries: one of each class, and some on which teacher and student differ."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from kdcompress.data import Dataset, resize_images
from kdcompress.demonstration._models import Logits, PageModel, Pixels
from kdcompress.errors import RunError
from kdcompress.metrics.comparison import disagreements
from kdcompress.runs.outputs import Outputs

MAX_SAMPLES = 100
_MAX_DIGIT_SIDE = 64  # pixels up to which digits count as MNIST-like
_DIGITS = tuple("0123456789")
_LOOKED_AT = 100  # test images, to tell light ink from dark


@dataclass(frozen=True)
class SampleSet:
    """Test images with what the desk computes for them.

    Attributes:
        rows: Their rows in the test split, (n,).
        pixels: Pixels (n, H, W, C) by the name of the model that takes them.
        logits: Logits (n, classes) by the name of the model.
    """

    rows: NDArray[np.int64]
    pixels: dict[str, Pixels]
    logits: dict[str, Logits]


def choose_rows(outputs: Outputs, classes: int, count: int) -> NDArray[np.int64]:
    """Choose test images: of each class as many, and up to a quarter on which teacher and student differ.

    Args:
        outputs: Stored outputs on the test split.
        classes: Number of classes; of more than there is place for, evenly spaced ones are shown.
        count: Number of images.

    Returns:
        Their rows, at most `count`: the first of each class, then those on which the models differ, the most confident
        first, then the second of each class and so on.
    """
    room = count - classes if classes < count else count
    differing = disagreements(outputs.logits["teacher"], outputs.logits["student"], min((count + 1) // 4, room))
    shown = np.linspace(0, classes - 1, min(count - len(differing), classes)).round().astype(int)
    by_class = [np.flatnonzero(outputs.labels == one)[:count].tolist() for one in shown]
    turns = [[rows[turn] for rows in by_class if turn < len(rows)] for turn in range(count)]
    first, *later = turns or [[]]
    return np.array(list(dict.fromkeys([*first, *differing.tolist(), *chain(*later)]))[:count], np.int64)


def make_samples(models: list[PageModel], dataset: Dataset, rows: NDArray[np.int64]) -> SampleSet:
    """Read test images in the size of each model, and compute its logits at the desk.

    Args:
        models: The models.
        dataset: Data set of the run.
        rows: Rows of the test split.

    Returns:
        The images and logits.
    """
    images = dataset.test.images
    pixels = {}
    for model in models:
        pixels[model.name] = np.ascontiguousarray(resize_images(images, model.shape, model.resize)[rows], np.uint8)
    return SampleSet(rows, pixels, {model.name: model.logits(pixels[model.name]) for model in models})


def check_outputs(outputs: Outputs, dataset: Dataset, run: str) -> None:
    """Check that stored outputs are those of the data's test images.

    Args:
        outputs: Stored outputs on the test split.
        dataset: The data set.
        run: The run, for the message.

    Raises:
        RunError: The ids differ.
    """
    if not np.array_equal(outputs.ids, dataset.test.ids):
        raise RunError(f"the test images of run {run} are not those of its data set now")


def ink(dataset: Dataset) -> str | None:
    """Tell whether digits are drawn light on dark or dark on light.

    Args:
        dataset: A data set.

    Returns:
        "light" or "dark"; None if it is not of digits like MNIST's.
    """
    height, width, channels = dataset.input_shape
    if dataset.classes != _DIGITS or channels != 1 or height != width or height > _MAX_DIGIT_SIDE:
        return None
    images = np.asarray(dataset.test.images[np.arange(min(_LOOKED_AT, len(dataset.test)))])
    edges = np.concatenate([images[:, 0], images[:, -1], images[:, :, 0], images[:, :, -1]], axis=None)
    return "light" if edges.mean() < 128 else "dark"
