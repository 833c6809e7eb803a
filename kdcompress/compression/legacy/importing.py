"""Imports of tf_keras and tensorflow-model-optimization that leave Keras 3 and the environment as they are."""

from __future__ import annotations

import os
from typing import Any

_SWITCH = "TF_USE_LEGACY_KERAS"


def import_tf_keras() -> Any:
    """Import tf_keras after TensorFlow, whose `tf.keras` stays Keras 3."""
    import tensorflow as tf

    _ = tf.keras.__version__  # tf.keras is resolved when it is first used, and then stays what it is
    import tf_keras

    return tf_keras


def import_tfmot() -> Any:
    """Import tensorflow-model-optimization, which sets TF_USE_LEGACY_KERAS, and restore the environment."""
    import_tf_keras()
    before = os.environ.get(_SWITCH)
    try:
        import tensorflow_model_optimization as tfmot
    finally:
        if before is None:
            os.environ.pop(_SWITCH, None)
        else:
            os.environ[_SWITCH] = before
    return tfmot
