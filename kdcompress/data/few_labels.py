"""Few labels: of each class, some training images keep their label, and the others are images without one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kdcompress.data.samples import UNLABELLED, Samples
from kdcompress.errors import DataError

Index = NDArray[np.int64]


def draw_per_class(samples: Samples, counts: Sequence[int], seed: int) -> Index:
    """Draw images of each class; those of smaller counts are among those of larger ones from the same seed.

    Args:
        samples: Labelled samples.
        counts: Number of images of each class, at most as many as there are.
        seed: Seed.

    Returns:
        Row indices, sorted.
    """
    rows = np.random.default_rng(seed).permutation(len(samples))
    labels = samples.labels[rows]
    return np.sort(np.concatenate([rows[labels == label][:count] for label, count in enumerate(counts)]))


def check_labels(samples: Samples, count: int, classes: tuple[str, ...]) -> None:
    """Check that as many images of each class can keep their label.

    Args:
        samples: Training samples.
        count: Number of images of each class.
        classes: Class names.

    Raises:
        DataError: If a class has fewer images.
    """
    present = np.bincount(samples.labels, minlength=len(classes))
    if present.min() < count:
        raise DataError(
            f"split.labels_per_class is {count:,}, and class {classes[int(present.argmin())]} has {present.min():,} "
            "images to train on; take fewer labels"
        )


def counts_in_proportion(val: Samples, share: float, n_classes: int) -> list[int]:
    """The number of validation images of each class that keep their label: one or more.

    Args:
        val: Validation samples.
        share: Share of the training images that keep theirs, in (0, 1].
        n_classes: Number of classes.
    """
    return [max(1, round(count * share)) for count in np.bincount(val.labels, minlength=n_classes).tolist()]


def without_labels(samples: Samples) -> Samples:
    """The same images without labels and what else annotators said of them.

    Args:
        samples: The samples.
    """
    return Samples(samples.images, np.full_like(samples.labels, UNLABELLED), samples.ids)
