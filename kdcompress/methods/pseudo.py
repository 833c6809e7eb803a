"""Pseudo-labels: the class that the teacher holds likeliest is learned as a label (Lee 2013)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from kdcompress.methods._base import Method


def pseudo_label_loss(teacher_logits: Any, student_logits: Any, threshold: float = 0.0) -> Any:
    """-log softmax(student)[argmax teacher] where max softmax(teacher) >= threshold, else 0.

    Lee, "Pseudo-Label" (ICML 2013 workshop); the threshold is that of FixMatch (Sohn et al. 2020, equation 4).

    Args:
        teacher_logits: Shape (batch, classes).
        student_logits: Shape (batch, classes).
        threshold: Probability below which a pseudo-label is not used, in [0, 1].

    Returns:
        Shape (batch,), in nats.
    """
    from keras import ops

    teacher = ops.softmax(ops.cast(teacher_logits, "float32"))
    student = ops.log_softmax(ops.cast(student_logits, "float32"))
    label = ops.one_hot(ops.argmax(teacher, axis=-1), teacher.shape[-1], dtype="float32")
    certain = ops.cast(ops.max(teacher, axis=-1) >= threshold, "float32")
    return -certain * ops.sum(label * student, axis=-1)


class Pseudo(Method):
    """alpha * cross-entropy of the teacher's likeliest class + (1 - alpha) * cross-entropy of the labels.

    What remains of distillation without soft targets: a measure of what these add, above all on images without labels.
    """

    alpha: float = Field(0.5, ge=0, le=1, description="weight of the pseudo-labels; the labels weigh 1 - alpha")
    threshold: float = Field(
        0.0, ge=0, le=1, description="probability of the teacher below which a pseudo-label is not used; 0 uses all"
    )

    def targets_loss(self, targets: Mapping[str, Any], outputs: Any, labels: Any = None) -> Any:
        """Cross-entropy of the teacher's likeliest class where the teacher is certain of it, shape (batch,)."""
        return pseudo_label_loss(targets["logits"], outputs, self.threshold)


METHOD = Pseudo
