"""Assessment of a teacher's accuracy on labelled images: against chance, by ranking, and in another class order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kdcompress.metrics.ranking import auc

# Fractions of the way from chance to accuracy 1: below them a teacher carries no, or little, information
UNINFORMATIVE, WEAK = 0.1, 0.5
_MIN_PER_CLASS = 5  # images of a class, below which its position is not assessed


@dataclass(frozen=True)
class Assessment:
    """Accuracy of a teacher on labelled images, all values in [0, 1].

    Attributes:
        n: Number of images.
        accuracy: Mean over classes of the accuracy on each (balanced accuracy).
        chance: Accuracy of random predictions.
        class_order: Output of each class, where another order than the data's clearly fits; otherwise None.
        reordered_accuracy: Balanced accuracy in that order.
        auc: AUC for two classes: a teacher may rank well before its decision threshold is right.
    """

    n: int
    accuracy: float
    chance: float
    class_order: tuple[int, ...] | None
    reordered_accuracy: float
    auc: float | None = None

    def exceeds(self, fraction: float, reordered: bool = False) -> bool:
        """Whether the accuracy lies beyond a fraction of the way from chance to 1.

        Args:
            fraction: In [0, 1].
            reordered: Whether the accuracy in the best class order counts.
        """
        return (self.reordered_accuracy if reordered else self.accuracy) >= self._threshold(fraction)

    @property
    def is_informative(self) -> bool:
        """Whether accuracy, or AUC for two classes, is better than chance."""
        return max(self.accuracy, self.auc or 0.0) >= self._threshold(UNINFORMATIVE)

    @property
    def is_sound(self) -> bool:
        """Whether the teacher is informative, in the data's order of classes."""
        return self.is_informative and self.class_order is None

    @property
    def is_weak(self) -> bool:
        """Whether the accuracy is low for data that the teacher was trained on."""
        return not self.exceeds(WEAK)

    @property
    def summary(self) -> str:
        """The accuracy and the AUC in words."""
        ranking = "" if self.auc is None else f"; its AUC is {100 * self.auc:.1f} %"
        return f"{100 * self.accuracy:.1f} % (mean over classes{ranking})"

    def _threshold(self, fraction: float) -> float:
        return self.chance + fraction * (1 - self.chance)


def assess_confusion(confusion: NDArray[np.int64], auc: float | None = None) -> Assessment:
    """Assess a confusion matrix.

    Args:
        confusion: Counts (classes, classes) by label and prediction; classes without images do not count.
        auc: AUC for two classes.

    Returns:
        The assessment.
    """
    from scipy.optimize import linear_sum_assignment

    counts = confusion.sum(axis=1)
    rates = confusion / np.maximum(counts, 1)[:, None]
    present = counts > 0
    accuracy = float(np.diag(rates)[present].mean())
    _, best = linear_sum_assignment(-rates)
    moved = np.flatnonzero(best != np.arange(len(best)))
    clear = len(moved) > 0 and all(rates[c, best[c]] > 0.5 and counts[c] >= _MIN_PER_CLASS for c in moved)
    order = tuple(int(output) for output in best) if clear else None
    reordered = float(rates[np.arange(len(best)), best][present].mean()) if clear else accuracy
    return Assessment(int(counts.sum()), accuracy, 1 / len(confusion), order, reordered, auc)


def assess_logits(logits: NDArray[np.float32], labels: NDArray[np.int64], classes: int) -> Assessment:
    """Assess class logits.

    Args:
        logits: Shape (n, classes).
        labels: Class indices (n,).
        classes: Number of classes.

    Returns:
        The assessment.
    """
    ranking = auc(logits, labels) if classes == 2 else None
    return assess_confusion(confusion_of(logits, labels, classes), ranking)


def confusion_of(logits: NDArray[np.float32], labels: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """Count predictions.

    Args:
        logits: Shape (n, classes).
        labels: Class indices (n,).
        classes: Number of classes.

    Returns:
        Counts (classes, classes) by label and prediction.
    """
    pairs = labels * classes + logits.argmax(axis=-1)
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)
