"""SimKD: the student takes over the teacher's embedding, and its last layer as it is (Chen et al. 2022)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from kdcompress.methods._base import Method
from kdcompress.methods._distances import mean_squared_distance


class SimKD(Method):
    """|g(f_s) - f_t|^2 alone; the student is saved with g and the teacher's last layer in place of its own head.

    f are embeddings, and g two Dense layers, of width / `factor` and of the teacher's width. Chen et al., "Knowledge
    Distillation with the Reused Teacher Classifier" (CVPR 2022), on pooled embeddings. Labels are not used.
    """

    wants: ClassVar[tuple[str, ...]] = ("embedding",)
    replaces_head: ClassVar[bool] = True

    factor: int = Field(2, ge=1, le=64, description="the projector's inner layer has 1 / factor of the teacher's width")

    @property
    def note(self) -> str:
        """That the student grows."""
        return "the student ends in a projector and the teacher's last layer: it has more parameters than its model"

    def weight_at(self, epoch: int) -> float:
        """1: labels are not used."""
        return 1.0

    def projector(self, width: int) -> list[Any]:
        """Dense, BatchNormalization and ReLU of width / factor, and a Dense layer without an activation."""
        from keras import layers

        inner = max(1, width // self.factor)
        return [
            layers.Dense(inner, use_bias=False, name="projector_inner"),
            layers.BatchNormalization(name="projector_norm"),
            layers.ReLU(name="projector_relu"),
            layers.Dense(width, name="projector"),
        ]

    def targets_loss(self, targets: Mapping[str, Any], outputs: Any, labels: Any = None) -> Any:
        """Squared distance of the embeddings, mean over the width, of each sample, shape (batch,)."""
        return mean_squared_distance(targets["embedding"], outputs["embedding"])


METHOD = SimKD
