"""Building of Keras models on a blank image, and the check of their output shape."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from kdcompress.errors import ModelError
from kdcompress.models._functions import explain_error
from kdcompress.models._shapes import declared_shape, format_shape, shapes_match
from kdcompress.models._two_classes import with_both_classes

_PAIR = 2  # classes


def prepare_model(
    model: Any,
    input_shape: tuple[int, int, int],
    outputs: int,
    subject: str,
    why: str = "",
    note: Callable[[str], None] | None = None,
) -> Any:
    """Build a model and check its output shape on a blank image.

    Args:
        model: A Keras model.
        input_shape: (H, W, C).
        outputs: Expected number of outputs.
        subject: Name of the model for messages.
        why: Reason for the number of outputs, for messages; by default the number of classes.
        note: Is called with a message if one output becomes two.

    Returns:
        `model`, or the model of the pair of logits (0, z) of one with a single output z for two classes.

    Raises:
        ModelError: If it fails, or its output is not (1, outputs).
    """
    expected = declared_shape(model, subject)
    if expected and not shapes_match(expected, input_shape):
        raise ModelError(
            f"{subject} takes images of {format_shape(expected)}, the data has {format_shape(input_shape)}; "
            "own images are scaled by data.size, and made grey or RGB by data.colour"
        )
    output = _probe(model, input_shape, subject)
    shape = tuple(getattr(output, "shape", ()))
    if shape == (1, 1) and outputs == _PAIR:
        return _with_both_classes(model, input_shape, subject, note)
    if shape != (1, outputs):
        got = f"{shape[1]} classes" if len(shape) == 2 else f"an output of shape {shape or type(output).__name__}"
        reason = why or f"the data has {outputs} classes"
        raise ModelError(f"{subject} has {got}, {reason}; it must end in (batch, {outputs}) logits")
    return model


def prepare_classifier(
    model: Any, input_shape: tuple[int, int, int], subject: str, note: Callable[[str], None] | None = None
) -> Any:
    """Build a model of any number of classes on a blank image.

    Args:
        model: A Keras model.
        input_shape: (H, W, C).
        subject: Name of the model for messages.
        note: Is called with a message if one output becomes two.

    Returns:
        `model`, or the model of the pair of logits (0, z) of one with a single output z.

    Raises:
        ModelError: If it fails.
    """
    if tuple(getattr(_probe(model, input_shape, subject), "shape", ())) != (1, 1):
        return model
    return _with_both_classes(model, input_shape, subject, note)


def _with_both_classes(
    model: Any, input_shape: tuple[int, int, int], subject: str, note: Callable[[str], None] | None
) -> Any:
    both, message = with_both_classes(model, input_shape, subject)
    if note is not None:
        note(f"{subject} {message}")
    return both


def build_model(model: Any, input_shape: tuple[int, int, int], subject: str) -> Any:
    """Build a model on a blank image, whatever its output.

    Args:
        model: A Keras model.
        input_shape: (H, W, C).
        subject: Name of the model for messages.

    Returns:
        `model`.

    Raises:
        ModelError: If it fails.
    """
    _probe(model, input_shape, subject)
    return model


def _probe(model: Any, input_shape: tuple[int, int, int], subject: str) -> Any:
    import keras

    try:
        if isinstance(model, keras.Sequential) and not model.built:
            model.build((None, *input_shape))  # otherwise the probe's batch size of 1 would stay in its signature
        return model(np.zeros((1, *input_shape), np.float32), training=False)
    except Exception as exc:
        raise ModelError(f"{subject} fails on an image of {format_shape(input_shape)}: {explain_error(exc)}") from exc
