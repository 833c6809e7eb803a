"""What teachers from elsewhere expect most often of an image, tried on one that does not say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress.data import Samples
from kdcompress.teachers._base import Teacher

_IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
# (what a recipe says, what it does)
_USUAL: tuple[tuple[str, dict[str, Any]], ...] = (
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


def predict_with_common_preprocessing(teacher: Teacher, probe: Samples) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """(what a recipe says, the finite answers) with each of the usual preprocessings that fit the teacher.

    Nothing of logits that were computed elsewhere. The teacher is left as it was.
    """
    if not teacher.uses_images:
        return
    adapter, channels = teacher.adapter, teacher.adapter.input_shape[2]
    theirs = {"scale": 1 / 255, "mean": adapter.section.mean, "std": adapter.section.std}
    beside = (
        []
        if adapter.section.is_identity or adapter.section.scale != 1
        else [("scale = '1/255' beside what is set", theirs)]
    )
    try:
        for said, changes in (*beside, *_USUAL):
            plain = {"scale": 1.0, "mean": 0.0, "std": 1.0, "channel_order": "rgb", **changes}
            if any(isinstance(value, tuple) and len(value) not in (1, channels) for value in plain.values()):
                continue
            teacher.adapter = adapter.with_preprocessing(**plain)
            answers = teacher.predict(probe)
            if np.isfinite(answers).all():
                yield said, answers
    finally:
        teacher.adapter = adapter
