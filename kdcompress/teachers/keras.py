"""A Keras model as teacher: from the zoo, a .keras file or module:function."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress.models import model_digest
from kdcompress.teachers._base import Teacher


class KerasTeacher(Teacher):
    """Runs a Keras model in inference mode; its weights and BatchNorm statistics are never touched."""

    def __init__(self, model: Any) -> None:
        import tensorflow as tf

        self.model = model
        self.digest = model_digest(model)
        # Batches of all sizes share a trace.
        self._forward = tf.function(
            lambda images: model(images, training=False), jit_compile=False, reduce_retracing=True
        )

    def raw(self, images: NDArray[np.generic]) -> NDArray[np.float32]:
        """The model's outputs (n, classes) for raw pixels (n, H, W, C)."""
        import tensorflow as tf

        outputs = self._forward(tf.cast(tf.convert_to_tensor(images), tf.float32))
        return np.asarray(outputs, dtype=np.float32)
