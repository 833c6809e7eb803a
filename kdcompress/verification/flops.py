"""FLOPs of a model, from keras-flops' operation statistics and TensorFlow's profiler on the frozen graph."""

from __future__ import annotations

import importlib
import logging
import sys
from typing import Any

logger = logging.getLogger(__name__)

# Weightless layers at the entrance: they scale pixels, and are no part of the network whose FLOPs are compared.
_PREPROCESSING = ("Rescaling", "Normalization", "Resizing", "CenterCrop")


def count_flops(model: Any, input_shape: tuple[int, int, int]) -> int:
    """FLOPs of one forward pass on one image (H, W, C), behind the preprocessing, as the profiler counts them.

    About 2 * MACs plus bias, BatchNorm and pooling. Every size must be known: `input_shape` fixes them.
    """
    preprocessing = _preprocessing(model)
    return _profile(model, input_shape) - (_profile(preprocessing, input_shape) if preprocessing else 0)


def count_flops_or_none(model: Any, input_shape: tuple[int, int, int]) -> int | None:
    """As `count_flops`, or None for a model that TensorFlow cannot freeze or profile (the reason is logged)."""
    try:
        return count_flops(model, input_shape)
    except Exception as exc:
        logger.warning("FLOPs of %s cannot be counted: %s", getattr(model, "name", model), exc)
        return None


def _register_statistics() -> None:
    """Load keras-flops' statistics; it registers one that TensorFlow has by now, so TensorFlow's makes room first."""
    if "keras_flops.flops_registory" in sys.modules:
        return
    from tensorflow.python.framework import ops
    from tensorflow.python.profiler.internal import flops_registry  # noqa: F401

    ops._stats_registry._registry.pop("AddV2,flops", None)
    importlib.import_module("keras_flops.flops_registory")


def _profile(model: Any, input_shape: tuple[int, int, int]) -> int:
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2_as_graph

    _register_statistics()
    forward = tf.function(lambda image: model(image, training=False), jit_compile=False)
    concrete = forward.get_concrete_function(tf.TensorSpec((1, *input_shape), tf.float32))
    _, graph_def = convert_variables_to_constants_v2_as_graph(concrete)
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(graph_def, name="")
        builder = tf.compat.v1.profiler.ProfileOptionBuilder
        options = builder(builder.float_operation()).with_empty_output().build()
        profile = tf.compat.v1.profiler.profile(
            graph, run_meta=tf.compat.v1.RunMetadata(), cmd="scope", options=options
        )
    return int(profile.total_float_ops)


def _preprocessing(model: Any) -> Any:
    """The leading weightless scaling layers of a functional or Sequential model as a model, or None."""
    import keras

    leading = []
    for layer in getattr(model, "layers", []):
        if isinstance(layer, keras.layers.InputLayer):
            continue
        if type(layer).__name__ not in _PREPROCESSING or layer.trainable_weights:
            break
        leading.append(layer)
    return keras.Sequential(leading) if leading else None
