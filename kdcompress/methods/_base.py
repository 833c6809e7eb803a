"""The interface of distillation methods: head, targets, losses and their weights."""

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
    """The classes of a data set.

    Attributes:
        count: Number of classes.
        subclasses: Number of known subclasses of each class, where the data have them.
    """

    count: int
    subclasses: tuple[int, ...] | None = None


@dataclass(frozen=True)
class ExtraLoss:
    """A loss in addition to those of labels and targets.

    Attributes:
        loss: Function loss(y, outputs) that returns shape (batch,); y are the labels that `Method.extra_labels` returns
            under the name of this loss.
        weight: Weight in the sum of losses.
    """

    loss: Callable[[Any, Any], Any]
    weight: float


class Method(Choice, ABC):
    """Base of distillation methods, whose settings are pydantic fields.

    The student is trained with w * targets_loss + (1 - w) * cross-entropy of the labels, where w is `weight_at` the
    epoch, alpha by default, and the cross-entropy is computed on the class logits of the student's outputs.
    A subclass implements `targets_loss`, and has a field `alpha` or overrides `weight_at`.
    """

    SECTION: ClassVar[str] = "method"

    wants: ClassVar[tuple[str, ...]] = ("logits",)
    """Names of the teacher's outputs that `targets_loss` needs; empty for a method without a teacher."""

    replaces_head: ClassVar[bool] = False
    """Whether the saved student ends in the projector and the teacher's last layer in place of its own head."""

    needs_labels: ClassVar[bool] = False
    """Whether `targets_loss` needs the labels, which excludes images without labels."""

    @property
    def needs_targets(self) -> bool:
        """Whether the method needs outputs of the teacher."""
        return bool(self.wants)

    def targets_loss(self, targets: Mapping[str, Any], outputs: Any, labels: Any = None) -> Any:
        """Compute the distillation loss of each sample from basic Keras operations.

        Args:
            targets: The teacher's outputs by the names in `wants`: targets["logits"] has shape (batch, head),
                targets["embedding"] (batch, width).
            outputs: The student's outputs (batch, head). With a `projector`, a dictionary by the names in `wants`: the
                projected embedding, and its logits by the teacher's last layer.
            labels: Class indices (batch,) or soft labels (batch, classes), if the method `needs_labels`.

        Returns:
            Shape (batch,).
        """
        raise TypeError(f"{type(self).__name__} has no distillation loss")

    @property
    def distillation_weight(self) -> float:
        """The weight of the distillation loss in the first epoch, alpha by default."""
        return float(getattr(self, "alpha", 0.0))

    def weight_at(self, epoch: int) -> float:
        """The weight of the distillation loss in an epoch, in [0, 1]; the loss of the labels has the rest.

        Args:
            epoch: Epoch, counted from 0 over all stages of the training.
        """
        return self.distillation_weight

    def weighs_targets(self, epochs: int) -> bool:
        """Whether the distillation loss has a weight above 0 in any epoch.

        Args:
            epochs: Number of epochs of the training.
        """
        return self.needs_targets and any(self.weight_at(epoch) for epoch in range(epochs))

    def label_weight_at(self, epoch: int) -> float:
        """The weight of the cross-entropy of the labels in an epoch.

        Args:
            epoch: Epoch, counted from 0 over all stages of the training.
        """
        return 1.0 - self.weight_at(epoch)

    def projector(self, width: int) -> list[Any]:
        """Make the layers from the student's embedding to one of the teacher's width, trained beside the student.

        They are in its checkpoint and not in the saved student, unless it `replaces_head`.

        Args:
            width: Width of the teacher's embedding.

        Returns:
            Keras layers to be called one after another; none for a method that compares outputs.
        """
        return []

    @property
    def extra_losses(self) -> Mapping[str, ExtraLoss]:
        """Losses in addition to those of labels and targets, by name."""
        return {}

    def extra_labels(self, labels: Labels, subclasses: Labels | None) -> dict[str, Labels]:
        """Return the labels of each extra loss.

        Args:
            labels: Class indices (n,).
            subclasses: Subclass indices (n,), where the data have them.

        Returns:
            Labels (n,) by the names of `extra_losses`.
        """
        return dict.fromkeys(self.extra_losses, labels)

    def bind(self, classes: Classes) -> Method:
        """Return this method for the classes of a data set.

        Args:
            classes: The classes.

        Raises:
            RecipeError: The settings do not match the classes.
        """
        return self

    @property
    def note(self) -> str | None:
        """What the user should know of the method on these classes, in one line."""
        return None

    def head(self, classes: Classes) -> int:
        """The number of outputs of teacher and student.

        Args:
            classes: The classes.
        """
        return classes.count

    def class_logits(self, outputs: Any) -> Any:
        """Convert outputs to class logits.

        Args:
            outputs: Outputs (batch, head) of teacher or student, a tensor or an array.

        Returns:
            Shape (batch, classes).
        """
        return outputs

    @property
    def plain(self) -> bool:
        """Whether outputs are class logits without conversion."""
        return True

    @property
    def comparable(self) -> bool:
        """Whether outputs of different teachers have the same meaning, so that they may be averaged."""
        return True

    @property
    def identity(self) -> object:
        """What the head depends on in addition to the settings, as JSON values; part of the keys of caches."""
        return None

    def for_teacher(self) -> Method:
        """The method by which a zoo model is trained as a teacher for this method."""
        return NoDistillation()

    def for_baseline(self) -> Method:
        """The method by which the student, with the same head, is trained without the teacher."""
        return self.for_teacher()


class NoDistillation(Method):
    """Cross-entropy of the labels and nothing else: teacher inference is skipped."""

    wants: ClassVar[tuple[str, ...]] = ()
