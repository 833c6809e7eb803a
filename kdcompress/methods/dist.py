"""DIST: the student's probabilities correlate with the teacher's, within each sample and within each class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from kdcompress.methods._base import Classes, Method

_EPSILON = 1e-8


def correlation(left: Any, right: Any, axis: int) -> Any:
    """Pearson's correlation along an axis; 0 where one side is constant.

    Args:
        left: Shape (batch, classes).
        right: The same shape.
        axis: 0 over the batch, -1 over the classes.

    Returns:
        The shape without that axis, in [-1, 1].
    """
    from keras import ops

    left = left - ops.mean(left, axis=axis, keepdims=True)
    right = right - ops.mean(right, axis=axis, keepdims=True)
    # The root of a sum of squares has no gradient at 0, where rows are constant
    norms = ops.sqrt(ops.sum(left**2, axis=axis) * ops.sum(right**2, axis=axis) + _EPSILON**2)
    return ops.sum(left * right, axis=axis) / norms


def dist_loss(
    teacher_logits: Any, student_logits: Any, temperature: float, inter: float = 1.0, intra: float = 1.0
) -> Any:
    """T^2 * (inter * (1 - correlation over classes) + intra * mean over classes of (1 - correlation over the batch)).

    Huang et al., "Knowledge Distillation from A Stronger Teacher" (NeurIPS 2022). Both correlations are
    Pearson's, of the probabilities at temperature T.

    Args:
        teacher_logits: Shape (batch, classes).
        student_logits: Shape (batch, classes).
        temperature: T > 0.
        inter: Weight of the term within each sample, >= 0.
        intra: Weight of the term within each class, >= 0, which is the same for every sample.

    Returns:
        Shape (batch,).
    """
    from keras import ops

    teacher = ops.softmax(ops.cast(teacher_logits, "float32") / temperature)
    student = ops.softmax(ops.cast(student_logits, "float32") / temperature)
    within_classes = ops.mean(1 - correlation(teacher, student, axis=0))
    loss = intra * within_classes + ops.zeros_like(teacher[:, 0])
    if inter > 0:
        loss = loss + inter * (1 - correlation(teacher, student, axis=-1))
    return temperature**2 * loss


class Dist(Method):
    """alpha * T^2 * (inter (1 - correlation by sample) + intra (1 - correlation by class)) + (1 - alpha) * labels.

    It asks for the same order and proportions as the teacher's, not for the same probabilities, which suits teachers
    that are much stronger than the student. With two classes the correlation of a sample is 1 or -1 whatever the
    probabilities are, so that the term by class alone is used.
    """

    temperature: float = Field(4.0, gt=0, le=1_000_000, description="softens both distributions; > 0")
    alpha: float = Field(0.5, ge=0, le=1, description="weight of the distillation loss; the labels weigh 1 - alpha")
    inter: float = Field(1.0, ge=0, le=1000, description="weight of the correlation over the classes of a sample")
    intra: float = Field(1.0, ge=0, le=1000, description="weight of the correlation over a batch within each class")
    _two_outputs: bool = False

    def bind(self, classes: Classes) -> Method:
        """This method, whose term by sample is left out for two classes."""
        if self.head(classes) > 2:
            return self
        bound = self.model_copy()
        bound._two_outputs = True
        return bound

    @property
    def note(self) -> str | None:
        """That a term is left out for two classes."""
        if not self._two_outputs or not self.inter:
            return None
        return (
            "dist with two classes: a sample's two probabilities correlate by 1 or -1 whatever they are, so only the "
            "term within each class is used"
        )

    def targets_loss(self, targets: Mapping[str, Any], outputs: Any, labels: Any = None) -> Any:
        """Both terms, of each sample, shape (batch,)."""
        inter = 0.0 if self._two_outputs else self.inter
        return dist_loss(targets["logits"], outputs, self.temperature, inter, self.intra)


METHOD = Dist
