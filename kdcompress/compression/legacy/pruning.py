"""Magnitude pruning: wrappers of tensorflow-model-optimization around the layers of a model, and their schedule."""

from __future__ import annotations

from typing import Any

from kdcompress.compression.legacy.fitting import Schedule
from kdcompress.compression.legacy.importing import import_tfmot
from kdcompress.compression.legacy.twins import wrap_layer

_RAMP = 0.5  # fraction of the training in which the zeros grow to their number; the rest tunes what is left
_UPDATES = 20  # of the masks in that time, at most
_INITIAL = 0.5  # of the final fraction of zeros


def wrap_for_pruning(
    layers: tuple[Any, ...], fraction: float, epochs: int, steps: int
) -> tuple[dict[int, Any], Schedule]:
    """Wrap layers so that a fraction of each kernel becomes 0 in the course of a training.

    The zeros grow from half of their final number by the polynomial of third degree of Zhu and Gupta
    (arXiv:1710.01878) until half of the training is over, and are at their final places from then on.

    Args:
        layers: Keras 3 layers.
        fraction: Fraction of the weights of each kernel that become 0.
        epochs: Number of epochs.
        steps: Number of steps per epoch.

    Returns:
        (wrapped layers of tf_keras by the id of the layer, schedule of the training).
    """
    ramp = max(1, round(_RAMP * epochs * steps))
    frequency = max(1, ramp // _UPDATES)
    end = ramp // frequency * frequency  # the last update has to fall on the end, where the fraction is reached
    tfmot = import_tfmot()
    decay = tfmot.sparsity.keras.PolynomialDecay(_INITIAL * fraction, fraction, 0, end, frequency=frequency)

    def wrap(twin: Any) -> Any:
        return tfmot.sparsity.keras.prune_low_magnitude(twin, pruning_schedule=decay)

    wrappers = {id(layer): wrap_layer(layer, wrap) for layer in layers}

    def before_step(step: int) -> None:
        for wrapper in wrappers.values():
            wrapper.pruning_step.assign(step)  # a layer that is called twice in a step would count two

    def after_epoch() -> None:
        for wrapper in wrappers.values():
            wrapper.pruning_obj.weight_mask_op()

    return wrappers, Schedule(before_step, after_epoch, first_epoch=-(-end // steps))
