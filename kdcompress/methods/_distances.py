"""Distances between embeddings, and between logits that are known up to a constant."""

from __future__ import annotations

from typing import Any

_TINY = 1e-12  # under a root, which has no gradient at 0


def cosine_distance(teacher: Any, student: Any) -> Any:
    """1 - cos(teacher, student) of each sample, in [0, 2].

    Args:
        teacher: Shape (batch, width).
        student: Shape (batch, width).

    Returns:
        Shape (batch,); 1 where one of the two is 0.
    """
    from keras import ops

    teacher, student = ops.cast(teacher, "float32"), ops.cast(student, "float32")
    dot, sizes = ops.sum(teacher * student, axis=-1), [ops.sum(x**2, axis=-1) for x in (teacher, student)]
    return 1 - dot / ops.sqrt(sizes[0] * sizes[1] + _TINY)


def mean_squared_distance(teacher: Any, student: Any) -> Any:
    """The mean over the width of (teacher - student)^2, of each sample.

    Args:
        teacher: Shape (batch, width).
        student: Shape (batch, width).

    Returns:
        Shape (batch,).
    """
    from keras import ops

    return ops.mean((ops.cast(teacher, "float32") - ops.cast(student, "float32")) ** 2, axis=-1)


def centred(logits: Any) -> Any:
    """Each sample's logits with mean 0, which has the same softmax.

    Args:
        logits: Shape (batch, classes).

    Returns:
        The same shape.
    """
    from keras import ops

    logits = ops.cast(logits, "float32")
    return logits - ops.mean(logits, axis=-1, keepdims=True)
