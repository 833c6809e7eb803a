"""Training on several GPUs of this machine in one process: TensorFlow's MirroredStrategy around a plain `fit`."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from kdcompress.config.cluster import check_divisible
from kdcompress.data import Samples
from kdcompress.errors import RecipeError
from kdcompress.formatting import plural
from kdcompress.progress import Progress
from kdcompress.training.checkpoints import Row, TrainingState
from kdcompress.training.feed import Feed
from kdcompress.training.fitting import train_phase
from kdcompress.training.phase import Phase


class ReplicaTrainer:
    """Trains as `train_phase` does, on several devices, each of which gets its slice of every batch.

    Args:
        count: Number of devices.

    Raises:
        RecipeError: This machine has fewer.
    """

    def __init__(self, count: int) -> None:
        self._devices = local_devices(count)
        self._strategy = _strategy(self._devices)

    def scope(self) -> Any:
        """Return the context manager in which the model must be built."""
        return self._strategy.scope()

    def __call__(
        self,
        phase: Phase,
        model: Any,
        feed: Feed,
        val: Samples,
        progress: Progress,
        on_history: Callable[[list[Row]], None],
    ) -> TrainingState:
        """Train a model that was built in `scope`; see `train_phase`."""
        count = len(self._devices)
        check_divisible(feed.batch, count, phase.training_key)
        kind = "GPU" if "GPU" in self._devices[0] else "device"
        progress.note(f"{phase.name}: {plural(count, kind)} of this machine, each on 1/{count} of every batch")
        with self.scope(), _synchronized(model):
            return train_phase(phase, model, feed, val, progress, on_history)


def local_devices(count: int) -> tuple[str, ...]:
    """Name devices of this machine: GPUs, or the logical CPU devices of a process that has divided its CPU.

    Args:
        count: Number of devices, > 1.

    Raises:
        RecipeError: There are fewer.
    """
    import tensorflow as tf

    gpus, cpus = (tf.config.list_logical_devices(kind) for kind in ("GPU", "CPU"))
    found = next((devices for devices in (gpus, cpus) if len(devices) >= count), None)
    if found is None:
        raise RecipeError(
            f"cluster.train_workers is {count}: without a cluster that is a number of GPUs of this machine, "
            f"and TensorFlow sees {len(gpus)}; name a cluster (--cluster auto, or HOST:PORT), or take 1"
        )
    return tuple(device.name for device in found[:count])


@functools.cache
def _strategy(devices: tuple[str, ...]) -> Any:
    """The strategy of some devices: a second one would give its exchanges the same numbers, and mix them up."""
    import tensorflow as tf

    return tf.distribute.MirroredStrategy(list(devices))


@contextmanager
def _synchronized(model: Any) -> Iterator[None]:
    """Have Keras's BatchNormalization normalize by the mean and variance of the whole batch."""
    import keras

    kind = keras.layers.BatchNormalization
    layers = [layer for layer in model._flatten_layers(recursive=True) if isinstance(layer, kind)]
    before = [layer.synchronized for layer in layers]
    try:
        for layer in layers:
            layer.synchronized = True
        yield
    finally:
        for layer, value in zip(layers, before, strict=True):
            layer.synchronized = value
