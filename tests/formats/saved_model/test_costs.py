"""SavedModel folders: the same figures as the Keras model they come from."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import keras
import pytest
import tensorflow as tf
from keras import layers

from kdcompress.errors import ModelError
from kdcompress.verification.costs import cost_of_file, cost_of_model


def model(size: int | None = 16) -> Any:
    block = keras.Sequential([layers.DepthwiseConv2D(3), layers.BatchNormalization()], name="block")
    return keras.Sequential(
        [
            keras.Input((size, size, 4)),
            layers.Rescaling(1 / 127.5, -1),
            layers.Conv2D(8, 3, groups=2),
            layers.Dropout(0.5),
            block,
            layers.GlobalAveragePooling2D(),
            layers.Dense(3),
        ]
    )


def test_a_folder_costs_what_its_model_costs(tmp_path: Path) -> None:
    made = model()
    made.export(tmp_path / "m", verbose=False)
    cost, original = cost_of_file(tmp_path / "m", None), cost_of_model(made, None)
    for figure in ("params", "trainable", "non_trainable", "macs", "flops", "preprocessing_flops", "weight_bytes"):
        assert getattr(cost, figure) == getattr(original, figure), figure
    assert cost.macs == 196 * 8 * 18 + 144 * 8 * 9 + 24
    assert cost.warnings == ()
    rows = [(layer.params, layer.macs, layer.flops) for layer in cost.layers]
    assert rows == [(layer.params, layer.macs, layer.flops) for layer in original.layers]
    assert "block" in cost.layers[1].name


def test_an_open_size_is_asked_for(tmp_path: Path) -> None:
    made = model(None)
    made.export(tmp_path / "m", verbose=False)
    with pytest.raises(ModelError, match="--input-shape"):
        cost_of_file(tmp_path / "m", None)
    assert cost_of_file(tmp_path / "m", (16, 16, 4)).flops == cost_of_model(made, (16, 16, 4)).flops


def test_a_loop_is_named_since_its_steps_are_not_counted(tmp_path: Path) -> None:
    made = keras.Sequential([keras.Input((8, 8, 4)), layers.Reshape((8, 32)), layers.LSTM(5, name="steps")])
    made.export(tmp_path / "m", verbose=False)
    cost = cost_of_file(tmp_path / "m", None)
    assert cost.params == made.count_params()
    (warning,) = cost.warnings
    assert warning.startswith("not counted: While in ")
    assert "steps" in warning


class Served(tf.Module):
    def __init__(self) -> None:
        self.weight = tf.Variable(tf.ones((192, 5)))

    @tf.function(input_signature=[tf.TensorSpec((None, 8, 8, 3), name="image")])
    def serve(self, image: Any) -> Any:
        return tf.reshape(image, (-1, 192)) @ self.weight

    @tf.function(input_signature=[tf.TensorSpec((None, 8, 8, 3), name="a"), tf.TensorSpec((), name="b")])
    def two(self, a: Any, b: Any) -> Any:
        return a * b


def test_the_serving_signature_takes_one_image(tmp_path: Path) -> None:
    served = Served()
    tf.saved_model.save(served, str(tmp_path / "named"), signatures={"other": served.serve})
    assert cost_of_file(tmp_path / "named", None).params == 960  # the only one will do
    tf.saved_model.save(served, str(tmp_path / "many"), signatures={"a": served.serve, "b": served.serve})
    with pytest.raises(ModelError, match=r"signature serving_default .* it has [ab]\(.*\); [ab]\("):
        cost_of_file(tmp_path / "many", None)
    tf.saved_model.save(served, str(tmp_path / "two"), signatures=served.two)
    with pytest.raises(ModelError, match="one input, a batch of images, got a, b"):
        cost_of_file(tmp_path / "two", None)
    tf.saved_model.save(served, str(tmp_path / "one"), signatures=served.serve)
    cost = cost_of_file(tmp_path / "one", None)
    assert (cost.params, cost.trainable, cost.macs, cost.flops) == (960, 960, 960, 1920)


def test_constants_in_place_of_variables_are_said(tmp_path: Path) -> None:
    served = Served()
    served.weight = tf.constant(1.0, shape=(192, 5))
    tf.saved_model.save(served, str(tmp_path / "m"), signatures=served.serve)
    (warning,) = cost_of_file(tmp_path / "m", None).warnings
    assert warning.startswith("the weights are constants, not variables: params are given as 0")


def test_a_damaged_folder_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").write_bytes(b"damaged")
    with pytest.raises(ModelError, match="cannot be loaded as a SavedModel"):
        cost_of_file(tmp_path, None)


@pytest.mark.parametrize(
    "layer",
    [
        lambda: layers.RandomHue(0.2),
        lambda: layers.RandomGrayscale(0.5),
        lambda: layers.MixUp(),
        lambda: layers.Resizing(16, 12, pad_to_aspect_ratio=True),
        lambda: layers.Resizing(12, 12, crop_to_aspect_ratio=True),
        lambda: layers.CenterCrop(20, 20),
        lambda: layers.Normalization(mean=[120.0, 110.0, 100.0], variance=[3600.0, 3500.0, 3700.0]),
        lambda: layers.Normalization(),
    ],
)
def test_what_is_ahead_of_a_network_costs_the_same(layer: Any, tmp_path: Path) -> None:
    """Seeds that a file assigns, branches by an image's size, and statistics are no part of the network."""
    parts = [layers.Conv2D(4, 3), layers.BatchNormalization(), layers.Flatten(), layers.Dense(3)]
    made = keras.Sequential([keras.Input((16, 20, 3)), layers.Rescaling(1 / 255), layer(), *parts])
    archive = keras.export.ExportArchive()
    archive.track(made)
    specification = [tf.TensorSpec((None, 16, 20, 3), tf.float32)]
    archive.add_endpoint("serve", lambda images: made(images, training=False), input_signature=specification)
    archive.write_out(tmp_path / "m", verbose=False)
    cost, original = cost_of_file(tmp_path / "m", None), cost_of_model(made, None)
    for figure in ("trainable", "macs", "flops", "preprocessing_flops"):
        assert getattr(cost, figure) == getattr(original, figure), figure
    statistics = sum(math.prod(weight.shape) for weight in made.layers[1].weights)  # kept as constants by the file
    assert cost.params == original.params - statistics
    height, width = made.layers[2].output.shape[1:3]
    assert cost.macs == height * width * 4 * 27 + height * width * 4 * 3
    assert cost.warnings == original.warnings == ()
