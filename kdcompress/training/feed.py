"""Batches of (image, label, target): which sample and view comes when is a function of seed and epoch alone."""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from kdcompress.config.sections import ViewsSection
from kdcompress.data import UNLABELLED, Samples, apply_transforms, select_transforms
from kdcompress.teachers import TargetRows
from kdcompress.training.features import Features
from kdcompress.training.packing import Packing

Rows: TypeAlias = NDArray[np.int64]
_MOST_TRANSFORMS = 256 << 20  # bytes of transforms that are kept from one epoch to the next


@dataclass(frozen=True)
class Feed:
    """Training data in shuffled batches, the last partial batch of an epoch dropped.

    `targets` are the teacher's outputs by name, each (samples, views, ...), row i for sample i, or None when teacher
    inference is skipped; `labels_with_targets` says that the loss of targets needs the labels, too. Nothing is
    carried from epoch to epoch, so that a run may go on at any epoch as if it had never stopped. Images that are not in
    memory are read batch by batch, while the one before is trained on. `draws` is how many samples an epoch has: all of
    them, or more, going through them several times. `unlabelled_weight` is what the distillation loss of an image
    without label weighs in an epoch beside that of one with a label, `weigh` whether classes weigh the same however
    many samples they have, `balanced` whether batches hold as many of each. `extra_labels` are the labels of a method's
    own losses, by name. `features` stand in the images' place where frozen layers have been run already.
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

    @property
    def batch(self) -> int:
        """The batch size, or the number of samples if that is less."""
        return min(self.batch_size, len(self.samples))

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches in an epoch."""
        return (self.draws or len(self.samples)) // self.batch

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of what one sample brings into the model."""
        return tuple(self.features.shape) if self.features else tuple(self.samples.images.shape[1:])

    @property
    def soft(self) -> bool:
        """Whether labels are soft_labels (batch, classes), not numbers of classes."""
        return self.samples.soft_labels is not None

    @cached_property
    def packing(self) -> Packing:
        """How the targets of a batch stand in one array."""
        shapes = {name: tuple(rows.shape[2:]) for name, rows in (self.targets or {}).items()}
        if not self.labels_with_targets:
            return Packing(shapes)
        soft_labels = self.samples.soft_labels
        return Packing(shapes, () if soft_labels is None else tuple(soft_labels.shape[1:]))

    @property
    def weighs(self) -> bool:
        """Whether batches say what each sample weighs in each loss."""
        return self.weigh or bool((self.samples.labels == UNLABELLED).any())

    def order(self, epoch: int) -> Iterator[tuple[Rows, Rows]]:
        """The (sample indices, view numbers) of each batch of `epoch`, counted from 0."""
        rng = np.random.default_rng([self.seed, epoch])
        n = self.draws or len(self.samples)
        order = balanced_order(rng, self.samples.labels, n, self.batch) if self.balanced else self._shuffled(rng, n)
        drawn = rng.integers(0, self.views.count, len(order))
        for step in range(self.steps_per_epoch):
            rows = slice(step * self.batch, (step + 1) * self.batch)
            yield order[rows], drawn[rows]

    def dataset(self, first_epoch: int, epochs: int) -> Any:
        """A tf.data.Dataset of all batches of the epochs from `first_epoch` up to, not including, `epochs`.

        Elements are (images float32 0 to 255, {"label": int64, "targets": float32}), "targets" only if there are some,
        and where samples weigh differently a third: the weight of each sample in each loss, by the same names.
        """
        import tensorflow as tf

        pixels = tf.float32 if self.features else tf.uint8
        signature = {"image": tf.TensorSpec((self.batch, *self.input_shape), pixels), "label": self._label_spec()}
        if self.targets is not None:
            signature["targets"] = tf.TensorSpec((self.batch, *self.packing.shape), tf.float32)
        signature |= {name: tf.TensorSpec((self.batch,), tf.int64) for name in self.extra_labels}
        if self._turns:
            signature["transform"] = tf.TensorSpec((self.batch, 8), tf.float32)
        spec: Any = signature
        if self.weighs:
            losses = [name for name in signature if name not in ("image", "transform")]
            spec = signature, {name: tf.TensorSpec((self.batch,), tf.float32) for name in losses}
        # TensorFlow keeps the function for as long as the process lives: it must not keep targets and mapped files.
        # An iterator keeps its data set, and that the feed
        begin = weakref.WeakMethod(self._batches)
        batches = tf.data.Dataset.from_generator(lambda: begin()(first_epoch, epochs), output_signature=spec)  # type: ignore[misc]
        dataset = batches.map(self._to_inputs).prefetch(2)
        dataset._feed = self
        return dataset

    @property
    def _turns(self) -> bool:
        return self.views.count > 1 and self.features is None

    def _label_spec(self) -> Any:
        import tensorflow as tf

        if self.samples.soft_labels is None:
            return tf.TensorSpec((self.batch,), tf.int64)
        return tf.TensorSpec((self.batch, self.samples.soft_labels.shape[-1]), tf.float32)

    def _shuffled(self, rng: np.random.Generator, n: int) -> Rows:
        return np.concatenate([rng.permutation(len(self.samples)) for _ in range(-(-n // len(self.samples)))])

    def _batches(self, first_epoch: int, epochs: int) -> Iterator[Any]:
        for epoch in range(first_epoch, epochs):
            for index, view in self.order(epoch):
                batch = self._batch(index, view)
                yield (batch, self._weights(index, epoch)) if self.weighs else batch

    def _batch(self, index: Rows, view: Rows) -> dict[str, NDArray[Any]]:
        samples, soft_labels = self.samples, self.samples.soft_labels
        # Any class will do where the weight is 0, but one that is none gives NaN
        label = np.maximum(samples.labels[index], 0) if soft_labels is None else soft_labels[index]
        inputs = samples.images[index] if self.features is None else self.features.rows(index, view)
        batch: dict[str, NDArray[Any]] = {"image": inputs, "label": label}
        if self.targets is not None:
            arrays = {name: rows[index, view] for name, rows in self.targets.items()}
            batch["targets"] = self.packing.pack(arrays, label)
        batch |= {name: labels[index] for name, labels in self.extra_labels.items()}
        if self._turns:
            batch["transform"] = self._transforms(index, view)
        return batch

    def _transforms(self, index: Rows, view: Rows) -> NDArray[np.float32]:
        """The transforms (batch, 8) of these views, each drawn once in a training."""
        known = self._drawn_transforms
        if known is None:
            return self._draw(index, view)
        missing = np.isnan(known[index, view, 0])
        if missing.any():
            known[index[missing], view[missing]] = self._draw(index[missing], view[missing])
        return np.asarray(known[index, view])

    def _draw(self, index: Rows, view: Rows) -> NDArray[np.float32]:
        height, width = self.samples.images.shape[1:3]
        return select_transforms(self.views, self.samples.ids[index], view, height, width)

    @cached_property
    def _drawn_transforms(self) -> NDArray[np.float32] | None:
        """A place (n, views, 8) for transforms, NaN until they are drawn; None where it would take too much memory."""
        shape = (len(self.samples), self.views.count, 8)
        return np.full(shape, np.nan, np.float32) if 4 * math.prod(shape) <= _MOST_TRANSFORMS else None

    def _weights(self, index: Rows, epoch: int) -> dict[str, NDArray[np.float32]]:
        labels = self.samples.labels[index]
        known = (labels != UNLABELLED).astype(np.float32)
        of_class = self._class_weights[labels] if self.weigh else np.ones(len(index), np.float32)
        weights = {"label": known * of_class}
        if self.targets is not None:
            weights["targets"] = np.where(known > 0, of_class, np.float32(self.unlabelled_weight(epoch)))
        return {**weights, **dict.fromkeys(self.extra_labels, of_class)}

    @cached_property
    def _class_weights(self) -> NDArray[np.float32]:
        """n / (classes * n of the class), by class: 1 on average over the labelled samples."""
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


def balanced_order(rng: np.random.Generator, labels: Rows, n: int, batch: int) -> Rows:
    """`n` or more sample indices in batches of `batch`, each with as many of every class, but for a remainder of one.

    Each class is gone through in a shuffled order, again and again.
    """
    classes = np.unique(labels)
    steps = -(-n // batch)
    turn = np.resize(rng.permutation(classes), steps * batch)
    found = np.empty(len(turn), np.int64)
    for one in classes:
        places, own = np.flatnonzero(turn == one), np.flatnonzero(labels == one)
        rounds = [rng.permutation(own) for _ in range(-(-len(places) // len(own)))]
        found[places] = np.concatenate(rounds)[: len(places)] if rounds else []
    return found
