"""Training data in batches whose samples and views are a function of seed and epoch alone."""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress.config.sections import ViewsSection
from kdcompress.data import UNLABELLED, Samples, apply_transforms, select_transforms
from kdcompress.teachers import TargetRows
from kdcompress.training.features import Features
from kdcompress.training.packing import Packing
from kdcompress.training.sampling import Indices, balanced_order, shuffled_order

_MAX_TRANSFORM_BYTES = 256 << 20  # of transforms that are kept from one epoch to the next


@dataclass(frozen=True)
class Feed:
    """Training data in shuffled batches; the last partial batch of an epoch is dropped.

    No state is carried from epoch to epoch, so that a training resumed at any epoch gives the same result. Images that
    are not in memory are read batch by batch while the previous batch is trained on.

    Attributes:
        samples: Training samples.
        views: The views of each sample.
        targets: The teacher's outputs (samples, views, ...) by name, row i for sample i; None without a teacher.
        batch_size: Number of samples per batch.
        seed: Seed of the order.
        draws: Number of samples per epoch: all by default, or more for several passes.
        unlabelled_weight: Weight of the distillation loss of an image without a label in an epoch, relative to one with
            a label.
        extra_labels: Labels (n,) of the method's extra losses by name.
        labels_with_targets: Whether the loss of targets needs the labels.
        weigh: Whether losses are weighted so that all classes have the same total weight.
        balanced: Whether batches have equally many samples of every class.
        features: Outputs of frozen layers, which replace the images.
        rank: Number of the worker that trains on its slice of each batch, from 0.
        world: Number of workers among which each batch is divided.
    """

    samples: Samples
    views: ViewsSection
    targets: Mapping[str, TargetRows] | None
    batch_size: int
    seed: int
    draws: int | None = None
    unlabelled_weight: Callable[[int], float] = lambda epoch: 1.0
    extra_labels: Mapping[str, NDArray[np.int64]] = field(default_factory=dict)
    labels_with_targets: bool = False
    weigh: bool = False
    balanced: bool = False
    features: Features | None = None
    rank: int = 0
    world: int = 1

    @property
    def batch(self) -> int:
        """The batch size of all workers together, at most the number of samples."""
        return min(self.batch_size, len(self.samples))

    @property
    def share(self) -> int:
        """The number of samples of each batch that this worker trains on."""
        return self.batch // self.world

    @property
    def steps_per_epoch(self) -> int:
        """The number of batches per epoch."""
        return (self.draws or len(self.samples)) // self.batch

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one input of the model: an image, or features."""
        return tuple(self.features.shape) if self.features else tuple(self.samples.images.shape[1:])

    @property
    def has_soft_labels(self) -> bool:
        """Whether labels are soft labels (batch, classes) instead of class indices."""
        return self.samples.soft_labels is not None

    @cached_property
    def packing(self) -> Packing:
        """The layout of the targets of a batch in one array."""
        shapes = {name: tuple(rows.shape[2:]) for name, rows in (self.targets or {}).items()}
        if not self.labels_with_targets:
            return Packing(shapes)
        soft_labels = self.samples.soft_labels
        return Packing(shapes, () if soft_labels is None else tuple(soft_labels.shape[1:]))

    @property
    def has_sample_weights(self) -> bool:
        """Whether batches have a weight for each sample and loss."""
        return self.weigh or bool((self.samples.labels == UNLABELLED).any())

    def batch_indices(self, epoch: int) -> Iterator[tuple[Indices, Indices]]:
        """Draw the samples and views of an epoch, for all workers together.

        Args:
            epoch: Epoch, counted from 0.

        Yields:
            (sample indices, view numbers) of each batch.
        """
        rng = np.random.default_rng([self.seed, epoch])
        n = self.draws or len(self.samples)
        if self.balanced:
            order = balanced_order(rng, self.samples.labels, n, self.batch)
        else:
            order = shuffled_order(rng, len(self.samples), n)
        views = rng.integers(0, self.views.count, len(order))
        for step in range(self.steps_per_epoch):
            rows = slice(step * self.batch, (step + 1) * self.batch)
            yield order[rows], views[rows]

    def dataset(self, first_epoch: int, epochs: int) -> Any:
        """Make a tf.data.Dataset of the batches of several epochs, or of this worker's slices of them.

        Args:
            first_epoch: First epoch, counted from 0.
            epochs: Epoch after the last one.

        Returns:
            Elements (inputs float32, {"label": int64, "targets": float32}), inputs being pixels of 0 to 255 or
            features, and targets present only with a teacher. With sample weights, a third part has the weight of each
            sample by the same names.
        """
        import tensorflow as tf

        pixels = tf.float32 if self.features else tf.uint8
        signature = {"image": tf.TensorSpec((self.share, *self.input_shape), pixels), "label": self._label_spec()}
        if self.targets is not None:
            signature["targets"] = tf.TensorSpec((self.share, *self.packing.shape), tf.float32)
        signature |= {name: tf.TensorSpec((self.share,), tf.int64) for name in self.extra_labels}
        if self._has_transforms:
            signature["transform"] = tf.TensorSpec((self.share, 8), tf.float32)
        spec: Any = signature
        if self.has_sample_weights:
            losses = [name for name in signature if name not in ("image", "transform")]
            spec = signature, {name: tf.TensorSpec((self.share,), tf.float32) for name in losses}
        # TensorFlow keeps the generator function for the life of the process: it must not hold targets and mapped
        # files, so it refers to the feed weakly. An iterator holds its data set, and that the feed
        begin = weakref.WeakMethod(self._batches)
        batches = tf.data.Dataset.from_generator(lambda: begin()(first_epoch, epochs), output_signature=spec)  # type: ignore[misc]
        dataset = batches.map(self._to_inputs).prefetch(2)
        dataset._feed = self
        return dataset

    def probe(self, count: int) -> tuple[Any, ...]:
        """Make one batch of the first samples of the first epoch, as `dataset` makes them.

        Args:
            count: Number of samples, at most the batch size.
        """
        index, view = next(self.batch_indices(0))
        index, view = index[:count], view[:count]
        batch = self._batch(index, view)
        return self._to_inputs(batch, self._weights(index, 0)) if self.has_sample_weights else self._to_inputs(batch)

    @property
    def _has_transforms(self) -> bool:
        return self.views.count > 1 and self.features is None

    def _label_spec(self) -> Any:
        import tensorflow as tf

        if self.samples.soft_labels is None:
            return tf.TensorSpec((self.share,), tf.int64)
        return tf.TensorSpec((self.share, self.samples.soft_labels.shape[-1]), tf.float32)

    def _batches(self, first_epoch: int, epochs: int) -> Iterator[Any]:
        own = slice(self.rank * self.share, (self.rank + 1) * self.share)
        for epoch in range(first_epoch, epochs):
            for whole_index, whole_view in self.batch_indices(epoch):
                index, view = whole_index[own], whole_view[own]
                batch = self._batch(index, view)
                yield (batch, self._weights(index, epoch)) if self.has_sample_weights else batch

    def _batch(self, index: Indices, view: Indices) -> dict[str, NDArray[Any]]:
        samples, soft_labels = self.samples, self.samples.soft_labels
        # Where the weight is 0, any valid class does; UNLABELLED would give NaN
        label = np.maximum(samples.labels[index], 0) if soft_labels is None else soft_labels[index]
        inputs = samples.images[index] if self.features is None else self.features.rows(index, view)
        batch: dict[str, NDArray[Any]] = {"image": inputs, "label": label}
        if self.targets is not None:
            arrays = {name: rows[index, view] for name, rows in self.targets.items()}
            batch["targets"] = self.packing.pack(arrays, label)
        batch |= {name: labels[index] for name, labels in self.extra_labels.items()}
        if self._has_transforms:
            batch["transform"] = self._transforms(index, view)
        return batch

    def _transforms(self, index: Indices, view: Indices) -> NDArray[np.float32]:
        """The transforms (batch, 8) of some views, each drawn once in a training."""
        cached = self._cached_transforms
        if cached is None:
            return self._draw(index, view)
        missing = np.isnan(cached[index, view, 0])
        if missing.any():
            cached[index[missing], view[missing]] = self._draw(index[missing], view[missing])
        return np.asarray(cached[index, view])

    def _draw(self, index: Indices, view: Indices) -> NDArray[np.float32]:
        height, width = self.samples.images.shape[1:3]
        return select_transforms(self.views, self.samples.ids[index], view, height, width)

    @cached_property
    def _cached_transforms(self) -> NDArray[np.float32] | None:
        """An array (n, views, 8) for transforms, NaN until they are drawn; None where it would be too large."""
        shape = (len(self.samples), self.views.count, 8)
        return np.full(shape, np.nan, np.float32) if 4 * math.prod(shape) <= _MAX_TRANSFORM_BYTES else None

    def _weights(self, index: Indices, epoch: int) -> dict[str, NDArray[np.float32]]:
        labels = self.samples.labels[index]
        labelled = (labels != UNLABELLED).astype(np.float32)
        class_weights = self._class_weights[labels] if self.weigh else np.ones(len(index), np.float32)
        weights = {"label": labelled * class_weights}
        if self.targets is not None:
            weights["targets"] = np.where(labelled > 0, class_weights, np.float32(self.unlabelled_weight(epoch)))
        return {**weights, **dict.fromkeys(self.extra_labels, class_weights)}

    @cached_property
    def _class_weights(self) -> NDArray[np.float32]:
        """The weight n / (classes * n of the class) of each class, 1 on average over the labelled samples."""
        labels = self.samples.labels[self.samples.labels != UNLABELLED]
        counts = np.bincount(labels)
        return (len(labels) / (np.count_nonzero(counts) * np.maximum(counts, 1))).astype(np.float32)

    def _to_inputs(self, batch: dict[str, Any], *weights: dict[str, Any]) -> tuple[Any, ...]:
        import tensorflow as tf

        image = tf.cast(batch.pop("image"), tf.float32)
        transform = batch.pop("transform", None)
        if transform is not None:
            image = apply_transforms(image, transform, self.views.fill)
        return image, batch, *weights
