"""DKD: what the teacher says of the label's class, and how it ranks the others, weighed apart."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from kdcompress.errors import RecipeError
from kdcompress.methods._base import Classes, Method
from kdcompress.methods.hinton import standardized

_MASKED = -1e9  # added to a logit, so that its probability is 0


def decoupled_losses(teacher_logits: Any, student_logits: Any, labels: Any, temperature: float) -> tuple[Any, Any]:
    """T^2 times the divergences on the label's class against the rest, and among the rest.

    Zhao et al., "Decoupled Knowledge Distillation" (CVPR 2022): with p the teacher's probability of the label, the loss
    of `hinton` is TCKD + (1 - p) * NCKD.

    Args:
        teacher_logits: Shape (batch, classes).
        student_logits: Shape (batch, classes).
        labels: Class indices (batch,), or soft labels (batch, classes), of which the largest counts.
        temperature: T > 0.

    Returns:
        (TCKD, NCKD), shapes (batch,).
    """
    from keras import ops

    teacher = ops.cast(teacher_logits, "float32") / temperature
    student = ops.cast(student_logits, "float32") / temperature
    indices = ops.argmax(labels, axis=-1) if len(labels.shape) > 1 else labels
    is_label = ops.one_hot(ops.cast(indices, "int32"), teacher.shape[-1], dtype="float32")

    def log_binary(logits: Any) -> Any:
        rest = ops.logsumexp(logits + _MASKED * is_label, axis=-1)
        both = ops.stack([ops.sum(logits * is_label, axis=-1), rest], axis=-1)
        return ops.log_softmax(both)

    def divergence(left: Any, right: Any) -> Any:
        return temperature**2 * ops.sum(ops.exp(left) * (left - right), axis=-1)

    target = divergence(log_binary(teacher), log_binary(student))
    masked_teacher, masked_student = (ops.log_softmax(logits + _MASKED * is_label) for logits in (teacher, student))
    return target, divergence(masked_teacher, masked_student)


class Dkd(Method):
    """cross-entropy of the labels + w * (target * TCKD + non_target * NCKD), where w grows to 1 over the warm-up.

    With two classes there is no second of the rest to rank, and DKD is `hinton`: it is refused.
    """

    needs_labels: ClassVar[bool] = True

    temperature: float = Field(4.0, gt=0, le=1_000_000, description="softens both distributions; > 0")
    target: float = Field(1.0, ge=0, le=1000, description="weight of the label's class against the rest")
    non_target: float = Field(8.0, ge=0, le=1000, description="weight of the distribution among the other classes")
    standardize: bool = Field(
        False, exclude_if=operator.not_, description="logits get mean 0 and deviation 1 in each sample; try T = 2"
    )
    warmup: int = Field(20, ge=0, le=100_000, description="epochs over which the distillation loss grows to its weight")

    def bind(self, classes: Classes) -> Method:
        """This method; refused for two classes."""
        if self.head(classes) <= 2:
            raise RecipeError(
                "method dkd is hinton with two classes: beside the label there is one other class, and nothing to "
                "rank; take hinton"
            )
        return self

    def targets_loss(self, targets: Mapping[str, Any], outputs: Any, labels: Any = None) -> Any:
        """target * TCKD + non_target * NCKD of each sample, shape (batch,)."""
        teacher, student = targets["logits"], outputs
        if self.standardize:
            teacher, student = standardized(teacher), standardized(student)
        target, non_target = decoupled_losses(teacher, student, labels, self.temperature)
        return self.target * target + self.non_target * non_target

    @property
    def distillation_weight(self) -> float:
        """The weight of the distillation loss behind the warm-up."""
        return 1.0

    def weight_at(self, epoch: int) -> float:
        """(epoch + 1) / warmup, at most 1."""
        return min(1.0, (epoch + 1) / self.warmup) if self.warmup else 1.0

    def label_weight_at(self, epoch: int) -> float:
        """1 in every epoch: the labels lose nothing."""
        return 1.0


METHOD = Dkd
