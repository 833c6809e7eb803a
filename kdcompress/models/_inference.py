"""Running a model in inference mode, the one way for teachers, validation, test and predictions."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_BATCH = 256


class Forward:
    """A Keras model as a function from raw pixels (n, H, W, C), 0 to 255, to its outputs (n, classes).

    Inference mode: weights, BatchNorm statistics and the seeds of random layers stay as they are. Images arrive in the
    model as float32, as in training. Whatever n is, they go through in batches of 256, so results do not depend on it.
    """

    def __init__(self, model: Any) -> None:
        import tensorflow as tf

        # Batches of all sizes share a trace.
        self._run = tf.function(lambda images: model(images, training=False), jit_compile=False, reduce_retracing=True)

    def __call__(self, images: NDArray[np.generic]) -> NDArray[np.float32]:
        """The outputs of all images."""
        import tensorflow as tf

        blocks = [images[begin : begin + _BATCH] for begin in range(0, len(images), _BATCH)]
        outputs = [self._run(tf.cast(tf.convert_to_tensor(block), tf.float32)) for block in blocks]
        return np.concatenate([np.asarray(output, dtype=np.float32) for output in outputs])
