"""Soft targets: the student matches the teacher's softened class probabilities (Hinton et al. 2015)."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Any

from pydantic import Field

from kdcompress.errors import RecipeError
from kdcompress.methods._base import Classes, Method

_TINY = 1e-12  # under the root of a variance, which has no gradient at 0


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


def standardized(logits: Any) -> Any:
    """Each sample's logits with mean 0 and standard deviation 1: their ranks and spaces, without their size.

    Sun et al., "Logit Standardization in Knowledge Distillation" (CVPR 2024), with the population's standard deviation,
    as in the paper (the authors' code divides by n - 1).

    Args:
        logits: Shape (batch, classes).

    Returns:
        The same shape; 0 where all logits of a sample are equal.
    """
    from keras import ops

    logits = ops.cast(logits, "float32")
    centred = logits - ops.mean(logits, axis=-1, keepdims=True)
    return centred / ops.sqrt(ops.mean(centred**2, axis=-1, keepdims=True) + _TINY)


def check_standardizable(method: str, outputs: int) -> None:
    """Check that standardization leaves something to learn.

    Args:
        method: Name of the method.
        outputs: Number of outputs.

    Raises:
        RecipeError: There are two, which become (1, -1) or (-1, 1).
    """
    if outputs <= 2:
        raise RecipeError(
            f"method.standardize leaves nothing but the sign of two logits, got {outputs} classes: "
            f"take {method} without it"
        )


class Hinton(Method):
    """alpha * T^2 * KL(teacher || student at temperature T) + (1 - alpha) * cross-entropy with the labels."""

    temperature: float = Field(4.0, gt=0, le=1_000_000, description="softens both distributions; > 0")
    alpha: float = Field(0.5, ge=0, le=1, description="weight of the distillation loss; the labels weigh 1 - alpha")
    # Not written where it is off, so that recipes, and what is cached by them, are those of before it was there
    standardize: bool = Field(
        False, exclude_if=operator.not_, description="logits get mean 0 and deviation 1 in each sample; try T = 2"
    )

    def bind(self, classes: Classes) -> Method:
        """This method; `standardize` is refused for two classes."""
        if self.standardize:
            check_standardizable("hinton", self.head(classes))
        return self

    def targets_loss(self, targets: Mapping[str, Any], outputs: Any, labels: Any = None) -> Any:
        """T^2 * KL(teacher || student) of each sample at this method's temperature, shape (batch,)."""
        teacher, student = targets["logits"], outputs
        if self.standardize:
            teacher, student = standardized(teacher), standardized(student)
        return distillation_loss(teacher, student, self.temperature)


METHOD = Hinton
