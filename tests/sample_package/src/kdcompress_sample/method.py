"""Distillation by the squared difference of logits (Ba and Caruana 2014)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from kdcompress.methods import Method


class LogitsMSE(Method):
    """The student matches the teacher's logits, shifted to mean 0, by their mean squared difference."""

    alpha: float = Field(0.9, ge=0, le=1, description="weight of the distillation loss; the labels weigh 1 - alpha")

    def targets_loss(self, targets: Mapping[str, Any], outputs: Any, labels: Any = None) -> Any:
        """The mean squared difference of each sample, shape (batch,)."""
        from keras import ops

        difference = targets["logits"] - outputs
        return ops.mean((difference - ops.mean(difference, axis=-1, keepdims=True)) ** 2, axis=-1)
