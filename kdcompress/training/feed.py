"""Batches of (image, label, target): which sample and view comes when is a function of seed and epoch alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress.data import UNLABELLED, Samples, apply_transforms, chosen_transforms
from kdcompress.sections import ViewsSection
from kdcompress.teachers import TargetRows


@dataclass(frozen=True)
class Feed:
    """Training data in shuffled batches, the last partial batch of an epoch dropped.

    `targets` is (samples, views, classes), row i for sample i, or None when the teacher is not asked. Nothing is
    carried from epoch to epoch, so that a run may go on at any epoch as if it had never stopped. Images that are not in
    memory are read batch by batch, while the one before is trained on. `draws` is how many samples an epoch has: all of
    them, or more, going through them several times. `unlabelled_weight` is what the distillation loss of an image
    without label weighs beside that of one with a label. `further` are the labels of a method's own losses, by name.
    """

    samples: Samples
    views: ViewsSection
    targets: TargetRows | None
    batch_size: int
    seed: int
    draws: int | None = None
    unlabelled_weight: float = 1.0
    further: Mapping[str, NDArray[np.int64]] = field(default_factory=dict)

    @property
    def batch(self) -> int:
        """The batch size, or the number of samples if that is less."""
        return min(self.batch_size, len(self.samples))

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches in an epoch."""
        return (self.draws or len(self.samples)) // self.batch

    @property
    def has_unlabelled(self) -> bool:
        """Whether some samples have no label: batches then say what each sample weighs in each loss."""
        return bool((self.samples.labels == UNLABELLED).any())

    def order(self, epoch: int) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """The (sample indices, view numbers) of each batch of `epoch`, counted from 0."""
        rng = np.random.default_rng([self.seed, epoch])
        n = self.draws or len(self.samples)
        order = np.concatenate([rng.permutation(len(self.samples)) for _ in range(-(-n // len(self.samples)))])
        drawn = rng.integers(0, self.views.count, len(order))
        for step in range(self.steps_per_epoch):
            rows = slice(step * self.batch, (step + 1) * self.batch)
            yield order[rows], drawn[rows]

    def dataset(self, first_epoch: int, epochs: int) -> Any:
        """A tf.data.Dataset of all batches of the epochs from `first_epoch` up to, not including, `epochs`.

        Elements are (images float32 0 to 255, {"label": int64, "targets": float32}), "targets" only if there are some,
        and with unlabelled samples a third: {"label", "targets"}, the weight of each sample in each loss.
        """
        import tensorflow as tf

        height, width, channels = self.samples.images.shape[1:]
        signature = {
            "image": tf.TensorSpec((self.batch, height, width, channels), tf.uint8),
            "label": tf.TensorSpec((self.batch,), tf.int64),
        }
        if self.targets is not None:
            signature["targets"] = tf.TensorSpec((self.batch, self.targets.shape[-1]), tf.float32)
        signature |= {name: tf.TensorSpec((self.batch,), tf.int64) for name in self.further}
        if self.views.count > 1:
            signature["transform"] = tf.TensorSpec((self.batch, 8), tf.float32)
        batches = tf.data.Dataset.from_generator(lambda: self._batches(first_epoch, epochs), output_signature=signature)
        return batches.map(self._weighted if self.has_unlabelled else _to_inputs).prefetch(2)

    def _batches(self, first_epoch: int, epochs: int) -> Iterator[dict[str, NDArray[Any]]]:
        height, width = self.samples.images.shape[1:3]
        for epoch in range(first_epoch, epochs):
            for index, view in self.order(epoch):
                batch: dict[str, NDArray[Any]] = {
                    "image": self.samples.images[index],
                    "label": self.samples.labels[index],
                }
                if self.targets is not None:
                    batch["targets"] = self.targets[index, view]
                batch |= {name: labels[index] for name, labels in self.further.items()}
                if self.views.count > 1:
                    batch["transform"] = chosen_transforms(self.views, self.samples.ids[index], view, height, width)
                yield batch

    def _weighted(self, batch: dict[str, Any]) -> tuple[Any, dict[str, Any], dict[str, Any]]:
        import tensorflow as tf

        image, truth = _to_inputs(batch)
        known = tf.cast(truth["label"] != UNLABELLED, tf.float32)
        weights = {"label": known, "targets": known + (1 - known) * self.unlabelled_weight}
        # Any class will do where the weight is 0, but one that is none gives NaN
        return image, {**truth, "label": tf.maximum(truth["label"], 0)}, weights


def _to_inputs(batch: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    import tensorflow as tf

    image = tf.cast(batch.pop("image"), tf.float32)
    transform = batch.pop("transform", None)
    return (image if transform is None else apply_transforms(image, transform)), batch
