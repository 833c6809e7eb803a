"""A Keras model as teacher: from the zoo, a .keras file or module:function."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress.models import Forward, model_digest
from kdcompress.teachers._base import Teacher


class KerasTeacher(Teacher):
    """Runs a Keras model in inference mode; its weights and BatchNorm statistics are never touched."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.digest = model_digest(model)
        self._forward = Forward(model)

    def raw(self, images: NDArray[np.generic]) -> NDArray[np.float32]:
        """The model's outputs (n, classes) for raw pixels (n, H, W, C)."""
        return self._forward(images)
