"""MNIST whose training part has no threes: a data source of your own, `data.name = "without_threes:WithoutThrees"`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from kdcompress.config.sections import SplitSection
from kdcompress.data import Dataset, split_dataset
from kdcompress.data.sources.mnist import Mnist
from kdcompress.progress import Progress

MISSING = 3


class WithoutThrees(Mnist):
    """Validation and test are those of recipe `mnist`, threes among them; what is left of train has none."""

    def load(self, progress: Progress) -> Dataset:
        """Load MNIST, hold out validation, and drop the threes of the rest; see `DatasetSource.load`."""
        whole = super().load(progress)
        split = split_dataset(whole, SplitSection())
        train = split.train.take(np.flatnonzero(split.train.labels != MISSING))
        return replace(whole, source=f"{whole.source}, no threes in train", train=train, val=split.val)
