"""MACs of one model: worked out by hand, counted in Keras, and counted in its ONNX, TFLite and SavedModel files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from kdcompress.exporting import Options, make_format
from kdcompress.exporting._network import freeze
from kdcompress.verification.costs import cost_of_file, cost_of_model

SIZE, CHANNELS = 14, 3
FULL = SIZE * SIZE
# (layer, its MACs): output positions * size of the kernel that each of them sees
CASES: dict[str, tuple[Callable[[], Any], int]] = {
    "plain": (lambda: layers.Conv2D(8, 3, padding="same"), FULL * 9 * CHANNELS * 8),
    "dilated 2": (lambda: layers.Conv2D(8, 3, padding="same", dilation_rate=2), FULL * 9 * CHANNELS * 8),
    "dilated 3": (lambda: layers.Conv2D(8, 3, padding="same", dilation_rate=3), FULL * 9 * CHANNELS * 8),
    "dilated 4, 5 wide": (lambda: layers.Conv2D(4, 5, padding="same", dilation_rate=4), FULL * 25 * CHANNELS * 4),
    "dilated, valid": (lambda: layers.Conv2D(8, 3, dilation_rate=3), 8 * 8 * 9 * CHANNELS * 8),
    "dilated, two rates": (
        lambda: layers.Conv2D(8, (3, 5), padding="same", dilation_rate=(2, 3)),
        FULL * 15 * CHANNELS * 8,
    ),
    "depthwise": (lambda: layers.DepthwiseConv2D(3, padding="same"), FULL * 9 * CHANNELS),
    "depthwise, dilated": (lambda: layers.DepthwiseConv2D(3, padding="same", dilation_rate=2), FULL * 9 * CHANNELS),
    "separable, dilated": (
        lambda: layers.SeparableConv2D(8, 3, padding="same", dilation_rate=2),
        FULL * (9 * CHANNELS + CHANNELS * 8),
    ),
    "strided": (lambda: layers.Conv2D(8, 3, strides=2, padding="same"), 7 * 7 * 9 * CHANNELS * 8),
    "transposed": (lambda: layers.Conv2DTranspose(5, 3, strides=2, padding="same"), FULL * 9 * CHANNELS * 5),
    "one by one": (lambda: layers.Conv2D(16, 1), FULL * CHANNELS * 16),
}


def model(layer: Any) -> Any:
    """The layer between a scaling and a head of 3 outputs on its mean channels."""
    parts = [keras.Input((SIZE, SIZE, CHANNELS), name="image"), layers.Rescaling(1 / 255), layer]
    return keras.Sequential([*parts, layers.GlobalAveragePooling2D(), layers.Dense(3, name="logits")])


def head(made: Any) -> int:
    return 3 * int(made.layers[-1].kernel.shape[0])


@pytest.mark.parametrize("case", CASES)
def test_a_layer_costs_what_the_hand_counts_in_keras(case: str) -> None:
    make, macs = CASES[case]
    made = model(make())
    cost = cost_of_model(made, None)
    assert cost.macs == macs + head(made)
    assert cost.warnings == ()
    assert cost.flops is not None
    assert 2 * cost.macs <= cost.flops < 2 * cost.macs + 3 * FULL * 40  # bias and pooling beside them


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", ["onnx", "tflite", "saved-model"])
def test_its_files_cost_the_same(name: str, case: str, tmp_path: Path) -> None:
    make, macs = CASES[case]
    made = model(make())
    kind = make_format(name)
    path = tmp_path / f"model{kind.suffix}"
    network = freeze(made, (SIZE, SIZE, CHANNELS))
    kind.write(network, path, "fp32", Options(), None, {"kdcompress": "0", "classes": ["a", "b", "c"]})
    cost = cost_of_file(path, None)
    assert cost.macs == macs + head(made), cost.warnings
    assert cost.warnings == ()


@pytest.mark.parametrize("rank", [1, 4, 8])
def test_low_rank_adapters_cost_nothing_once_they_are_folded(rank: int) -> None:
    """Their product is one of weights with weights: a deployed model holds the sum."""
    adapted = keras.Sequential([keras.Input((8, 8, 3)), layers.Flatten(), layers.Dense(32), layers.Dense(5)])
    plain = cost_of_model(adapted, None)
    adapted.layers[1].enable_lora(rank)
    cost = cost_of_model(adapted, None)
    assert (cost.macs, cost.flops) == (plain.macs, plain.flops)
    assert cost.warnings == ()
    assert cost.params == plain.params + rank * (192 + 32)


def test_products_of_images_with_images_still_count() -> None:
    image = keras.Input((8, 8, 3))
    rows = layers.Reshape((64, 3))(image)
    likeness = keras.ops.matmul(rows, keras.ops.transpose(rows, (0, 2, 1)))
    made = keras.Model(image, layers.Dense(2)(layers.Flatten()(likeness)))
    assert cost_of_model(made, None).macs == 64 * 64 * 3 + 64 * 64 * 2
    assert np.isfinite(np.asarray(made(np.ones((1, 8, 8, 3), np.float32)))).all()
