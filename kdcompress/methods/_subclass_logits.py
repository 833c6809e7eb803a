"""Operations on subclass logits: class logits, and the losses of subclass distillation (Mueller et al. 2020)."""

from __future__ import annotations

import math
from typing import Any

from kdcompress.methods.hinton import distillation_loss


def class_logits(outputs: Any, sizes: tuple[int, ...], centred: bool = False) -> Any:
    """Convert subclass logits to class logits, by basic operations that every export format has.

    The probability of a class is the sum over its subclasses of the softmax over all subclasses, so its logit is the
    logsumexp of its subclasses' logits (Mueller, Kornblith, Hinton 2020, section 2).

    Args:
        outputs: Subclass logits (batch, sum(sizes)), grouped by class.
        sizes: Number of subclasses of each class.
        centred: Whether the mean of a class's subclass logits is subtracted first, and log(size) from the result. What
            remains measures how peaked the distribution over its subclasses is, 0 if it is uniform.

    Returns:
        Shape (batch, classes).
    """
    from keras import ops

    if set(sizes) == {1}:
        return outputs
    if len(set(sizes)) == 1:
        return _logsumexp(ops.reshape(outputs, (-1, len(sizes), sizes[0])), centred)
    columns, begin = [], 0
    for size in sizes:
        column = _logsumexp(outputs[:, begin : begin + size], centred)
        columns.append(ops.expand_dims(column, -1))
        begin += size
    return ops.concatenate(columns, axis=-1)


def _logsumexp(z: Any, centred: bool) -> Any:
    """Logsumexp over the last axis; that of Keras uses isfinite, for which TFLite has no operator."""
    from keras import ops

    if centred:
        z = z - ops.mean(z, axis=-1, keepdims=True)
    highest = ops.max(z, axis=-1, keepdims=True)
    total = ops.squeeze(highest, -1) + ops.log(ops.sum(ops.exp(z - highest), axis=-1))
    return total - math.log(z.shape[-1]) if centred else total


def auxiliary_loss(outputs: Any, temperature: float) -> Any:
    """The auxiliary loss L_aux of the teacher, which spreads a batch over the subclasses.

    mean_i(log sum_j exp(v_i . v_j / T_aux)) - 1 / T_aux - log n, v_i being a row normalised to mean 0 and variance 1
    (Mueller, Kornblith, Hinton 2020, eq. 3, as printed: a collapsed batch gives (d - 1) / T_aux).

    Args:
        outputs: Subclass logits (n, d).
        temperature: T_aux > 0.

    Returns:
        The loss of each row, shape (n,).
    """
    from keras import ops

    z = ops.cast(outputs, "float32")
    centred = z - ops.mean(z, axis=-1, keepdims=True)
    v = centred / ops.maximum(ops.sqrt(ops.mean(centred**2, axis=-1, keepdims=True)), 1e-6)
    similarity = ops.matmul(v, ops.transpose(v)) / temperature
    n = ops.cast(ops.shape(z)[0], "float32")
    return ops.logsumexp(similarity, axis=-1) - 1.0 / temperature - ops.log(n)


def intra_class_loss(targets: Any, outputs: Any, sizes: tuple[int, ...], temperature: float) -> Any:
    """T^2 times the sum over classes of KL(teacher || student), each over the subclasses of one class.

    Args:
        targets: The teacher's subclass logits (batch, sum(sizes)).
        outputs: The student's subclass logits (batch, sum(sizes)).
        sizes: Number of subclasses of each class.
        temperature: T > 0.

    Returns:
        Shape (batch,).
    """
    begin, total = 0, 0.0
    for size in sizes:
        part = slice(begin, begin + size)
        begin += size
        if size > 1:
            total = total + distillation_loss(targets[:, part], outputs[:, part], temperature)
    return total
