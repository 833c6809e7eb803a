"""The part of a Keras model that one output needs, with constants for its other inputs."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from kdcompress.config.sections import SingleTeacherSection
from kdcompress.models import check_image_size
from kdcompress.teachers import check_constants, select_name


def select_part(model: Any, section: SingleTeacherSection, description: str) -> Any:
    """Reduce a model to what computes the selected output from the image.

    Args:
        model: Keras model, which stays as it is.
        section: Section of the recipe, which names input and output, and has the values of the other inputs.
        description: Name of the model in messages.

    Returns:
        A model of one input and one output that shares its layers; `model` itself if it has no others.

    Raises:
        ModelError: There is no such input or output, or an input has no value.
    """
    import keras

    if not getattr(model, "inputs", None) or not getattr(model, "outputs", None):
        return model  # a subclassed model, whose inputs and outputs have no names
    inputs, outputs = {tensor.name: tensor for tensor in model.inputs}, _outputs(model)
    image = select_name(list(inputs), section.input, description, "teacher.input")
    output = select_name(list(outputs), section.output, description, "teacher.output")
    others = {name: tensor.dtype for name, tensor in inputs.items() if name != image}
    check_constants(others, section.constants, image, description)
    if len(outputs) > 1:
        model = keras.Model(model.inputs, outputs[output], name=model.name)
    if len(inputs) == 1:
        return model
    pixels = keras.Input(inputs[image].shape[1:], dtype=inputs[image].dtype, name=image)
    values = [
        pixels if name == image else _constant(pixels, tensor, section.constants[name], description)
        for name, tensor in inputs.items()
    ]
    # All inputs as a list, whatever structure the model takes them in
    flat = keras.Model(model.inputs, model.outputs[0], name=model.name)
    return keras.Model(pixels, flat(values), name=model.name)


def _outputs(model: Any) -> dict[str, Any]:
    """Return the outputs by the keys of a dictionary, or the names of their layers."""
    structure = getattr(model, "_outputs_struct", None)
    if isinstance(structure, dict):
        return dict(structure)
    return dict(zip(getattr(model, "output_names", ("output",)), model.outputs, strict=False))


def _constant(pixels: Any, tensor: Any, value: float, description: str) -> Any:
    """Return a tensor of a constant, as many times as there are images."""
    import keras

    shape = [size or 1 for size in tensor.shape[1:]]
    check_image_size(shape, f"input {tensor.name} of {description}")
    first = keras.ops.reshape(pixels[(slice(None), *(slice(1) for _ in pixels.shape[1:]))], (-1, *(1 for _ in shape)))
    zeros = keras.ops.cast(keras.ops.zeros_like(first), tensor.dtype)
    if math.prod(shape) > 1:
        zeros = keras.ops.tile(zeros, (1, *shape))
    return zeros + np.asarray(value, tensor.dtype)
