"""Common preprocessings, tried on a teacher whose accuracy suggests that its own is not set."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress.data import FileImages, Samples, distorted
from kdcompress.teachers._base import Teacher

_IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
# (settings as text of a recipe, settings)
_COMMON: tuple[tuple[str, dict[str, Any]], ...] = (
    ("scale = '1/255'", {"scale": 1 / 255}),
    ("scale = '1/127.5', mean = 1", {"scale": 1 / 127.5, "mean": 1.0}),
    ("scale = '1/255', mean = [0.485, 0.456, 0.406], std = [0.229, 0.224, 0.225]", {"scale": 1 / 255, **_IMAGENET}),
    ("scale = '1/255', mean = 0.1307, std = 0.3081", {"scale": 1 / 255, "mean": 0.1307, "std": 0.3081}),
    (
        "channel_order = 'bgr', mean = [103.939, 116.779, 123.68]",
        {"channel_order": "bgr", "mean": (103.939, 116.779, 123.68)},
    ),
    ("scale = 1, mean = 0, std = 1", {}),
)


def is_distorted(teacher: Teacher, samples: Samples) -> bool:
    """Return whether images are squashed for a teacher, by default and not because `resize` says so.

    Args:
        teacher: The teacher.
        samples: Samples of the data.
    """
    images, section = samples.images, teacher.adapter.section
    if not teacher.uses_images or section.resize is not None:
        return False
    if isinstance(images, FileImages):
        heights, widths = images.rows["height"], images.rows["width"]
        squashed = images.settings.resize == "squash"
    else:
        heights, widths, squashed = np.array([images.shape[1]]), np.array([images.shape[2]]), True
    return squashed and bool(distorted(heights, widths, teacher.adapter.input_shape).any())


def predict_with_common_preprocessing(teacher: Teacher, samples: Samples) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Predict with each common preprocessing that fits the teacher's number of channels.

    Args:
        teacher: The teacher, whose own preprocessing is restored afterwards. One that does not use images yields
            nothing.
        samples: Samples to predict.

    Yields:
        (settings as text of a recipe, logits (n, outputs)), where all logits are finite.
    """
    if not teacher.uses_images:
        return
    adapter, channels = teacher.adapter, teacher.adapter.input_shape[2]
    section = adapter.section
    candidates = list(_COMMON)
    if is_distorted(teacher, samples):
        own = {key: getattr(section, key) for key in ("scale", "mean", "std", "channel_order")}
        candidates += [(f"{text}, resize = 'crop'", {**changes, "resize": "crop"}) for text, changes in _COMMON]
        candidates[:0] = [(f"resize = '{mode}'", {**own, "resize": mode}) for mode in ("crop", "pad")]
    if not section.is_identity and section.scale == 1:
        scaled = {"scale": 1 / 255, "mean": section.mean, "std": section.std}
        candidates.insert(0, ("scale = '1/255' beside what is set", scaled))
    try:
        for text, changes in candidates:
            settings = {"scale": 1.0, "mean": 0.0, "std": 1.0, "channel_order": "rgb", **changes}
            if any(isinstance(value, tuple) and len(value) not in (1, channels) for value in settings.values()):
                continue
            teacher.adapter = adapter.with_preprocessing(**settings)
            logits = teacher.predict(samples)
            if np.isfinite(logits).all():
                yield text, logits
    finally:
        teacher.adapter = adapter
