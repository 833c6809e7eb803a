"""Embeddings: the student's, projected, points where the teacher's does; labels are not needed for that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from kdcompress.methods._base import Method
from kdcompress.methods._distances import cosine_distance


class Embedding(Method):
    """alpha * (1 - cos(g(student's embedding), teacher's embedding)) + (1 - alpha) * cross-entropy with the labels.

    g is a Dense layer to the teacher's width, trained beside the student. With `label_free_epochs`, the first epochs
    learn from the embedding alone, and the labels may be few: a head on them is trained in the epochs that follow.
    """

    wants: ClassVar[tuple[str, ...]] = ("embedding",)

    alpha: float = Field(0.5, ge=0, le=1, description="weight of the embedding; the labels weigh 1 - alpha")
    label_free_epochs: int = Field(0, ge=0, le=1_000_000, description="first epochs, without labels: alpha is 1")

    def weight_at(self, epoch: int) -> float:
        """1 in the first epochs, without labels, and alpha from then on."""
        return 1.0 if epoch < self.label_free_epochs else self.alpha

    def projector(self, width: int) -> list[Any]:
        """One Dense layer without an activation."""
        from keras import layers

        return [layers.Dense(width, name="projector")]

    def targets_loss(self, targets: Mapping[str, Any], outputs: Any, labels: Any = None) -> Any:
        """1 - cos of the two embeddings of each sample, shape (batch,)."""
        return cosine_distance(targets["embedding"], outputs["embedding"])


METHOD = Embedding
