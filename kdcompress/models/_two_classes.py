"""Keras models of two classes with one output, as models with a logit for each class."""

from __future__ import annotations

from typing import Any

import numpy as np

from kdcompress.errors import ModelError

_PROBES, _SEED = 32, 0


def with_both_classes(model: Any, input_shape: tuple[int, int, int], name: str) -> tuple[Any, str]:
    """Make a model of the logits (0, z) from one of the logit z of the second class, or of its sigmoid.

    The softmax of (0, z) is (1 - sigmoid(z), sigmoid(z)).

    Args:
        model: Keras model with one output; it stays as it is.
        input_shape: (H, W, C).
        name: Name of the model in errors.

    Returns:
        The model of both logits with the same weights, and a message on the conversion, to follow the model's name.

    Raises:
        ModelError: The outputs are probabilities, and no sigmoid is found that could be left out.
    """
    import keras

    without = _without_sigmoid(model)
    logits = without or model
    if without is None and not _ends_in_weights(model):
        _check_logits(model, input_shape, name)
    if getattr(logits, "inputs", None):
        inputs, z = logits.inputs, logits.outputs[0]
    else:
        inputs = keras.Input(input_shape, name="image")
        z = logits(inputs)
    both = keras.Model(inputs, keras.ops.pad(z, ((0, 0), (1, 0))), name=model.name)
    taken = "without its sigmoid, it is taken" if without else "it is taken"
    return both, f"has one output for two classes: {taken} as the logit z of the second, in the pair (0, z)"


def _without_sigmoid(model: Any) -> Any:
    """Return the model up to the sigmoid that it ends in, with a copy of its last layer; None if it ends in no sigmoid.

    The sigmoid may be a layer, an operation, the activation of a layer, or the end of a model inside the model.
    """
    import keras

    if not getattr(model, "outputs", None):
        return None
    operation, node_index, _ = model.outputs[0]._keras_history
    node = operation._inbound_nodes[node_index]
    is_sigmoid = getattr(operation, "activation", None) is keras.activations.sigmoid
    if type(operation).__name__ == "Sigmoid" or (is_sigmoid and isinstance(operation, keras.layers.Activation)):
        return keras.Model(model.inputs, node.input_tensors[0], name=model.name)
    if isinstance(operation, keras.Model):
        linear = _without_sigmoid(operation)
    else:
        linear = _linear_copy(operation) if is_sigmoid else None
    if linear is None:
        return None
    outputs = linear(*node.arguments.args, **node.arguments.kwargs)
    if not isinstance(operation, keras.Model):
        linear.set_weights(operation.get_weights())
    return keras.Model(model.inputs, outputs, name=model.name)


def _linear_copy(layer: Any) -> Any:
    """Return a copy of a layer without its activation and weights; None if its configuration has no activation."""
    config = layer.get_config()
    return type(layer).from_config({**config, "activation": "linear"}) if "activation" in config else None


def _ends_in_weights(model: Any) -> bool:
    """Return whether a model ends in a layer with weights, behind which there is no sigmoid."""
    outputs = getattr(model, "outputs", None)
    if not outputs:
        return False
    layer = outputs[0]._keras_history[0]
    return _ends_in_weights(layer) if getattr(layer, "outputs", None) else bool(getattr(layer, "weights", ()))


def _check_logits(model: Any, input_shape: tuple[int, int, int], name: str) -> None:
    """Check on random images that the outputs are no probabilities."""
    images = np.random.default_rng(_SEED).integers(0, 256, (_PROBES, *input_shape)).astype(np.float32)
    outputs = np.asarray(model(images, training=False), np.float32)
    if outputs.min() >= 0 and outputs.max() <= 1 and outputs.min() < outputs.max():
        raise ModelError(
            f"{name} ends in one number of 0 to 1 for two classes, and it is not known where its sigmoid is; it "
            "must end in a logit for each class, or in the logit of the second: remove the sigmoid"
        )
