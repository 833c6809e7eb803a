"""What a distillation method says: the targets it needs, its loss, and how much that loss weighs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from kdcompress.section import Section


class Method(Section, ABC):
    """A distillation method: settings as fields, checked at construction.

    The student is trained with `alpha * targets_loss + (1 - alpha) * cross-entropy with the labels`.
    """

    @property
    def needs_targets(self) -> bool:
        """Whether the teacher's outputs are needed at all."""
        return True

    @property
    @abstractmethod
    def distillation_weight(self) -> float:
        """The weight of the distillation loss in the sum, in [0, 1]; the labels weigh the rest."""

    def targets_loss(self, targets: Any, logits: Any) -> Any:
        """The distillation loss of each sample, shape (batch,), from targets and student logits (batch, classes).

        Only for methods that need targets.
        """
        raise TypeError(f"{type(self).__name__} has no distillation loss")
