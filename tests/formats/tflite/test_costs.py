"""TFLite files in float and integer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from kdcompress.errors import ModelError
from kdcompress.verification.costs import cost_of_file

BIASES = 4 + 4 + 3 + 5


def model(size: int | None = 8) -> Any:
    parts = [
        layers.Rescaling(1 / 255, name="scale"),
        layers.Conv2D(4, 3, padding="same"),
        layers.DepthwiseConv2D(3, padding="same"),
        layers.Conv2DTranspose(3, 2, strides=2),
    ]
    head = [] if size is None else [layers.MaxPool2D(), layers.Flatten(), layers.Dense(5)]
    made = keras.Sequential([keras.Input((size, size, 3)), *parts, *head])
    rng = np.random.default_rng(0)
    made.set_weights([rng.uniform(0.1, 1, w.shape) for w in made.get_weights()])
    return made


def images() -> Iterator[list[np.ndarray]]:
    for seed in range(3):
        yield [np.random.default_rng(seed).uniform(0, 255, (1, 8, 8, 3)).astype(np.float32)]


def convert(made: Any, path: Path, precision: str) -> Path:
    converter = tf.lite.TFLiteConverter.from_keras_model(made)
    if precision != "fp32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if precision == "fp16":
        converter.target_spec.supported_types = [tf.float16]
    if precision == "int8":
        converter.representative_dataset = images
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
    path.write_bytes(converter.convert())
    return path


@pytest.mark.parametrize(("precision", "kernel", "bias"), [("fp32", 4, 4), ("fp16", 2, 2), ("int8", 1, 4)])
def test_every_precision_has_the_same_numbers(precision: str, kernel: int, bias: int, tmp_path: Path) -> None:
    cost = cost_of_file(convert(model(), tmp_path / "m.tflite", precision), None)
    kernels = 4 * 27 + 4 * 9 + 4 * 3 * 4 + 192 * 5
    assert (cost.params, cost.input_shape) == (kernels + BIASES, (8, 8, 3))
    assert cost.macs == 64 * 4 * 27 + 64 * 4 * 9 + 64 * 4 * 3 * 4 + 192 * 5
    assert cost.weight_bytes == kernel * kernels + bias * BIASES
    assert (cost.flops, cost.trainable, cost.warnings) == (None, None, ())


def test_transposed_convolutions_of_volumes_are_counted(tmp_path: Path) -> None:
    volume = layers.Conv3DTranspose(2, 2, strides=2)
    made = keras.Sequential([keras.Input((8, 8, 3)), layers.Reshape((4, 4, 4, 3)), volume, layers.Flatten()])
    cost = cost_of_file(convert(made, tmp_path / "m.tflite", "fp32"), None)
    assert (cost.macs, cost.warnings) == (64 * 8 * 2 * 3, ())


def test_a_name_that_has_that_of_a_branch_in_it_is_no_branch(tmp_path: Path) -> None:
    """SQUARED_DIFFERENCE."""
    made = keras.Sequential([keras.Input((8, 8, 3)), layers.LayerNormalization(), layers.Flatten(), layers.Dense(5)])
    cost = cost_of_file(convert(made, tmp_path / "m.tflite", "fp32"), None)
    assert (cost.macs, cost.warnings) == (192 * 5, ())


def test_an_open_size_is_asked_for(tmp_path: Path) -> None:
    path = convert(model(None), tmp_path / "m.tflite", "fp32")
    with pytest.raises(ModelError, match="--input-shape"):
        cost_of_file(path, None)
    assert cost_of_file(path, (8, 8, 3)).macs == 64 * 4 * 27 + 64 * 4 * 9 + 64 * 4 * 3 * 4
    with pytest.raises(ModelError, match=r"--input-shape must fit .*, got 8x8x1"):
        cost_of_file(path, (8, 8, 1))


@pytest.mark.parametrize("kept", [0, 100, 2000])
def test_a_damaged_file_is_one_line(kept: int, tmp_path: Path) -> None:
    path = convert(model(), tmp_path / "m.tflite", "fp32")
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ModelError, match="TFLite model"):
        cost_of_file(path, None)
