"""What a distillation method says: heads, the targets it needs, its losses and their weights, and what is saved."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress.config.settings import Section

Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Task:
    """What is learned: the number of classes, and of known subclasses of each, where the data have such."""

    classes: int
    subclasses: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Part:
    """One more loss of a training: loss(y, outputs) of each sample, shape (batch,), and its weight.

    y are the labels that `Method.further_labels` gives under the part's name.
    """

    loss: Callable[[Any, Any], Any]
    weight: float


class Method(Section, ABC):
    """A distillation method: settings as fields, checked at construction.

    The student is trained with `alpha * targets_loss + (1 - alpha) * cross-entropy with the labels`, the latter on the
    class logits that its outputs stand for.
    """

    def bind(self, task: Task) -> Method:
        """This method for a task; RecipeError if its settings do not fit it."""
        return self

    def head(self, task: Task) -> int:
        """How many outputs teacher and student have."""
        return task.classes

    def class_logits(self, outputs: Any) -> Any:
        """The class logits (batch, classes) that outputs (batch, head) stand for; also of NumPy arrays."""
        return outputs

    @property
    def plain(self) -> bool:
        """Whether outputs are class logits as they are."""
        return True

    @property
    def comparable(self) -> bool:
        """Whether an output means the same of every teacher, so that several may be averaged."""
        return True

    @property
    def identity(self) -> object:
        """What of the task decides the heads."""
        return None

    def for_teacher(self) -> Method:
        """How a teacher that we train for this method is trained."""
        return NoDistillation()

    def for_baseline(self) -> Method:
        """How the same student, with the same head, is trained without the teacher."""
        return self.for_teacher()

    @property
    def further(self) -> Mapping[str, Part]:
        """Losses beside those of labels and targets, by name."""
        return {}

    def further_labels(self, labels: Labels, subclasses: Labels | None) -> dict[str, Labels]:
        """What the further losses are given for each sample."""
        return dict.fromkeys(self.further, labels)

    @property
    def label_weight(self) -> float:
        """The weight of the cross-entropy with the labels."""
        return 1.0 - self.distillation_weight

    @property
    def needs_targets(self) -> bool:
        """Whether the teacher's outputs are needed at all."""
        return True

    @property
    @abstractmethod
    def distillation_weight(self) -> float:
        """The weight of the distillation loss in the sum, in [0, 1]; the labels weigh the rest."""

    def targets_loss(self, targets: Any, outputs: Any) -> Any:
        """The distillation loss of each sample, shape (batch,), from targets and student outputs (batch, head).

        Only for methods that need targets.
        """
        raise TypeError(f"{type(self).__name__} has no distillation loss")


class NoDistillation(Method):
    """Cross-entropy with the labels, nothing else: teacher inference is skipped."""

    @property
    def needs_targets(self) -> bool:
        """False: nothing is learned from the teacher."""
        return False

    @property
    def distillation_weight(self) -> float:
        """0: the labels weigh everything."""
        return 0.0
