"""Soft targets: the student matches the teacher's softened class probabilities (Hinton et al. 2015)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from kdcompress.methods._base import Method


def distillation_loss(teacher_logits: Any, student_logits: Any, temperature: float) -> Any:
    """T^2 * KL(softmax(teacher / T) || softmax(student / T)) of each sample, in nats.

    T^2 keeps the gradient's size independent of the temperature (Hinton, Vinyals, Dean 2015, section 2.1); the gradient
    equals that of the cross-entropy form.

    Args:
        teacher_logits: Shape (batch, classes).
        student_logits: Shape (batch, classes).
        temperature: T > 0.

    Returns:
        Shape (batch,).
    """
    from keras import ops

    teacher = ops.log_softmax(ops.cast(teacher_logits, "float32") / temperature)
    student = ops.log_softmax(ops.cast(student_logits, "float32") / temperature)
    kl = ops.sum(ops.exp(teacher) * (teacher - student), axis=-1)
    return temperature**2 * kl


class Hinton(Method):
    """alpha * T^2 * KL(teacher || student at temperature T) + (1 - alpha) * cross-entropy with the labels."""

    temperature: float = Field(4.0, gt=0, le=1_000_000, description="softens both distributions; > 0")
    alpha: float = Field(0.5, ge=0, le=1, description="weight of the distillation loss; the labels weigh 1 - alpha")

    def targets_loss(self, targets: Mapping[str, Any], outputs: Any, labels: Any = None) -> Any:
        """T^2 * KL(teacher || student) of each sample at this method's temperature, shape (batch,)."""
        return distillation_loss(targets["logits"], outputs, self.temperature)


METHOD = Hinton
