"""SRRL: the teacher's last layer must find in the student's embedding what it finds in its own (Yang et al. 2021)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from kdcompress.methods._base import Method
from kdcompress.methods._distances import centred, mean_squared_distance


class SRRL(Method):
    """alpha * (|g(f_s) - f_t|^2 + |W g(f_s) - W f_t|^2) + (1 - alpha) * cross-entropy with the labels.

    f are embeddings, g is a Dense layer to the teacher's width, trained beside the student, and W the teacher's last
    layer. Yang et al., "Knowledge Distillation via Softmax Regression Representation Learning" (ICLR 2021), on
    pooled embeddings, with means over the width and over the classes, and equal weights. Logits are compared with mean
    0 in each sample, since those of a teacher that ends in a softmax are known up to a constant.
    """

    wants: ClassVar[tuple[str, ...]] = ("embedding", "logits")

    alpha: float = Field(0.5, ge=0, le=1, description="weight of the distillation loss; the labels weigh 1 - alpha")

    def projector(self, width: int) -> list[Any]:
        """One Dense layer without an activation."""
        from keras import layers

        return [layers.Dense(width, name="projector")]

    def targets_loss(self, targets: Mapping[str, Any], outputs: Any, labels: Any = None) -> Any:
        """Squared distance of the embeddings, and of what the teacher's last layer makes of them, shape (batch,)."""
        features = mean_squared_distance(targets["embedding"], outputs["embedding"])
        return features + mean_squared_distance(centred(targets["logits"]), centred(outputs["logits"]))


METHOD = SRRL
