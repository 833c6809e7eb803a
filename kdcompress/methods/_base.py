"""What a distillation method decides: heads, the targets it wants, its losses and their weights, and what is saved."""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from kdcompress.config.choices import Choice

Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Classes:
    """What is learned.

    Attributes:
        count: The number of classes.
        subclasses: The number of known subclasses of each class, where the data have such.
    """

    count: int
    subclasses: tuple[int, ...] | None = None


@dataclass(frozen=True)
class ExtraLoss:
    """A loss beside those of labels and targets.

    Attributes:
        loss: loss(y, outputs) of each sample, shape (batch,); y are the labels that `Method.extra_labels` gives under
            this loss's name.
        weight: Its weight in the sum.
    """

    loss: Callable[[Any, Any], Any]
    weight: float


class Method(Choice, ABC):
    """A distillation method: settings as pydantic fields, checked at construction.

    The student is trained with w * targets_loss + (1 - w) * cross-entropy of the labels, where w is `weight_at` the
    epoch, alpha by default, and the cross-entropy is taken on the class logits that the student's outputs stand for.
    A subclass that is one choice among others implements `targets_loss`, and has a field `alpha` or overrides
    `weight_at`.
    """

    SECTION: ClassVar[str] = "method"

    wants: ClassVar[tuple[str, ...]] = ("logits",)
    """The names of the teacher's outputs that `targets_loss` is given; empty for a method that needs no teacher."""

    needs_labels: ClassVar[bool] = False
    """Whether `targets_loss` is given the labels, which images without labels have not."""

    @property
    def needs_targets(self) -> bool:
        """Whether the teacher's outputs are needed at all."""
        return bool(self.wants)

    def targets_loss(self, targets: Mapping[str, Any], outputs: Any, labels: Any = None) -> Any:
        """The distillation loss of each sample, from plain Keras operations.

        Args:
            targets: The teacher's outputs by the names in `wants`; targets["logits"] has shape (batch, head).
            outputs: The student's outputs (batch, head).
            labels: Of a method that `needs_labels`: numbers of classes (batch,), or soft labels (batch, classes).

        Returns:
            Shape (batch,).
        """
        raise TypeError(f"{type(self).__name__} has no distillation loss")

    @property
    def distillation_weight(self) -> float:
        """The weight of the distillation loss in the first epoch, alpha by default."""
        return float(getattr(self, "alpha", 0.0))

    def weight_at(self, epoch: int) -> float:
        """The weight of the distillation loss in an epoch, in [0, 1]; the labels weigh the rest.

        Args:
            epoch: Counted from 0 over all stages of the training.
        """
        return self.distillation_weight

    def weighs_targets(self, epochs: int) -> bool:
        """Whether the teacher's outputs weigh anything in a training of so many epochs."""
        return self.needs_targets and any(self.weight_at(epoch) for epoch in range(epochs))

    def label_weight_at(self, epoch: int) -> float:
        """The weight of the cross-entropy of the labels in an epoch counted from 0."""
        return 1.0 - self.weight_at(epoch)

    @property
    def extra_losses(self) -> Mapping[str, ExtraLoss]:
        """Losses beside those of labels and targets, by name."""
        return {}

    def extra_labels(self, labels: Labels, subclasses: Labels | None) -> dict[str, Labels]:
        """The labels (n,) of each extra loss, from those of classes and, where the data have them, of subclasses."""
        return dict.fromkeys(self.extra_losses, labels)

    def bind(self, classes: Classes) -> Method:
        """This method for the classes of a data set.

        Raises:
            RecipeError: Its settings do not fit them.
        """
        return self

    def head(self, classes: Classes) -> int:
        """The number of outputs of teacher and student."""
        return classes.count

    def class_logits(self, outputs: Any) -> Any:
        """The class logits (batch, classes) that outputs (batch, head) stand for, of tensors or NumPy arrays."""
        return outputs

    @property
    def plain(self) -> bool:
        """Whether outputs are class logits as they are."""
        return True

    @property
    def comparable(self) -> bool:
        """Whether an output means the same in every teacher, so that the outputs of several may be averaged."""
        return True

    @property
    def identity(self) -> object:
        """What the heads depend on beside the settings, as JSON values; part of the keys of caches."""
        return None

    def for_teacher(self) -> Method:
        """How a zoo model is trained that is to be the teacher for this method."""
        return NoDistillation()

    def for_baseline(self) -> Method:
        """How the same student, with the same head, is trained without the teacher."""
        return self.for_teacher()


class NoDistillation(Method):
    """Cross-entropy of the labels and nothing else: teacher inference is skipped."""

    wants: ClassVar[tuple[str, ...]] = ()
