"""Operators of GELU, CELU, grouped convolutions and the like, which tf2onnx does not convert by itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import pytest
from keras import layers, ops

from kdcompress.exporting import Options, make_format
from kdcompress.exporting._network import freeze
from kdcompress.models import Forward

SHAPE = (16, 16, 3)
IMAGES = np.random.default_rng(0).integers(0, 256, (6, *SHAPE), np.uint8)


def convnext_block(x: Any) -> Any:
    y = layers.LayerNormalization()(layers.Conv2D(8, 7, padding="same", groups=8)(x))
    return x + layers.Dense(8)(layers.Dense(32, activation="gelu")(y))


def resnext_block(x: Any) -> Any:
    y = layers.BatchNormalization()(layers.Conv2D(16, 1)(x))
    y = layers.Conv2D(16, 3, padding="same", groups=4, strides=2)(layers.ReLU()(y))
    return layers.Conv2D(8, 1, strides=2)(x) + layers.Conv2D(8, 1)(layers.ReLU()(y))


def transformer_block(x: Any) -> Any:
    tokens = layers.Reshape((16, 8))(layers.Conv2D(8, 4, strides=4)(x))
    y = layers.LayerNormalization()(tokens)
    tokens = tokens + layers.MultiHeadAttention(2, 4)(y, y)
    y = layers.LayerNormalization()(tokens)
    tokens = tokens + layers.Dense(8)(layers.Dense(16, activation="gelu")(y))
    return layers.Reshape((4, 4, 8))(tokens)


BLOCKS: dict[str, Callable[[Any], Any]] = {
    "gelu": layers.Activation("gelu"),
    "gelu by tanh": lambda x: ops.gelu(x, approximate=True),
    "celu": layers.Activation("celu"),
    "expm1": ops.expm1,
    "log1p": lambda x: ops.log1p(ops.abs(x)),
    "erf": ops.erf,
    "grouped": layers.Conv2D(8, 3, groups=2),
    "grouped, strided": layers.Conv2D(12, 3, groups=4, strides=2, padding="same"),
    "grouped, dilated": layers.Conv2D(8, 3, groups=2, dilation_rate=2),
    "grouped, pointwise": layers.Conv2D(16, 1, groups=4),
    "a group for each channel": layers.Conv2D(16, 3, groups=8),
    "grouped, in one dimension": lambda x: layers.Reshape((16, 16, 8))(
        layers.Conv1D(8, 3, padding="same", groups=2)(layers.Reshape((256, 8))(x))
    ),
    "grouped, twice": lambda x: layers.Conv2D(8, 3, groups=4)(layers.Conv2D(8, 3, groups=2)(x)),
    "ConvNeXt": convnext_block,
    "ResNeXt": resnext_block,
    "ViT": transformer_block,
}


def with_block(block: Callable[[Any], Any]) -> Any:
    keras.utils.set_random_seed(0)
    image = keras.Input(SHAPE)
    x = layers.Conv2D(8, 3, padding="same")(layers.Rescaling(1 / 255)(image))
    return keras.Model(image, layers.Dense(4)(layers.GlobalAveragePooling2D()(block(x))))


@pytest.mark.parametrize("opset", [13, 17])
@pytest.mark.parametrize("block", BLOCKS)
def test_onnx_computes_what_the_keras_model_computes(block: str, opset: int, tmp_path: Path) -> None:
    model = with_block(BLOCKS[block])
    expected = Forward(model)(IMAGES)
    path = tmp_path / "model.onnx"
    writer = make_format("onnx")
    writer.write(
        freeze(model, SHAPE), path, "fp32", Options(opset=opset), None, {"kdcompress": "1", "classes": list("abcd")}
    )
    np.testing.assert_allclose(writer.open(path).run(IMAGES), expected, atol=1e-4 * np.abs(expected).max())


def test_a_grouped_convolution_stays_one_convolution(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    network = freeze(with_block(layers.Conv2D(8, 3, groups=4)), SHAPE)
    make_format("onnx").write(network, path, "fp32", Options(), None, {})
    convolutions = [node for node in onnx.load(path).graph.node if node.op_type == "Conv"]
    groups = [attribute.i for node in convolutions for attribute in node.attribute if attribute.name == "group"]
    assert groups == [1, 4]


def test_a_scalar_added_to_a_convolution_leaves_no_transposition(tmp_path: Path) -> None:
    """MobileNetV3 gates by relu6(conv + 3) / 6, on which tf2onnx's removal of transpositions fails."""
    path = tmp_path / "model.onnx"
    gate = layers.Conv2D(8, 1, use_bias=False)
    network = freeze(with_block(lambda x: x * layers.ReLU(6.0)(gate(x) + 3.0) * (1 / 6)), SHAPE)
    make_format("onnx").write(network, path, "fp32", Options(), None, {})
    operators = [node.op_type for node in onnx.load(path).graph.node]
    assert operators.count("Conv") == 2
    assert operators.count("Transpose") <= 1  # of the image
