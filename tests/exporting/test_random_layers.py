"""Layers that augment in training pass images on at inference, in every format; a batch size built in is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import Input, Sequential, layers
from layer_zoo.random_layers import AUGMENTATIONS

from kdcompress import registry
from kdcompress.errors import ModelError
from kdcompress.exporting import Options, make_format
from kdcompress.exporting._network import freeze
from kdcompress.formats.saved_model.model import open_signature
from kdcompress.models import Forward

FORMATS = [name for name in registry.choices("formats") if not make_format(name).extra]
SHAPE = (16, 16, 3)
IMAGES = np.random.default_rng(0).integers(0, 256, (6, *SHAPE), np.uint8)
ARGUMENTS = AUGMENTATIONS | dict.fromkeys(("AlphaDropout", "GaussianDropout", "SpatialDropout2D"), (0.2,))
# Keras has had more of them with every version
KNOWN = [
    name if number % 3 == 0 else pytest.param(name, marks=pytest.mark.exhaustive)
    for number, name in enumerate(name for name in ARGUMENTS if hasattr(layers, name))
]


def model_with(*augmentation: Any) -> Any:
    keras.utils.set_random_seed(0)
    stem = [layers.Rescaling(1 / 255), layers.Conv2D(4, 3, strides=2, activation="relu")]
    return Sequential([Input(SHAPE), *augmentation, *stem, layers.Flatten(), layers.Dense(4)])


def exported(name: str, network: Any, folder: Path) -> np.ndarray:
    path = folder / f"model{make_format(name).suffix}"
    make_format(name).write(network, path, "fp32", Options(), None, {"kdcompress": "1", "classes": list("abcd")})
    return make_format(name).open(path).run(IMAGES)


@pytest.mark.parametrize("layer", KNOWN)
def test_random_layers_pass_the_image_on_in_every_format(layer: str, tmp_path: Path) -> None:
    model = model_with(getattr(layers, layer)(*ARGUMENTS[layer]))
    plain = model_with()
    plain.set_weights(model.get_weights())
    expected = Forward(plain)(IMAGES)
    network = freeze(model, SHAPE)
    operators = {node.op for node in network.function.get_concrete_function().graph.as_graph_def().node}
    assert not [operator for operator in operators if "Random" in operator or "Assign" in operator]
    for name in FORMATS:
        np.testing.assert_allclose(exported(name, network, tmp_path), expected, atol=1e-4 * np.abs(expected).max())


def test_branches_in_a_model_are_kept(tmp_path: Path) -> None:
    model = model_with(layers.Resizing(16, 12, pad_to_aspect_ratio=True), layers.RandomHue(0.2))
    network = freeze(model, SHAPE)
    for name in FORMATS:
        np.testing.assert_allclose(exported(name, network, tmp_path), Forward(model)(IMAGES), atol=1e-4)


def test_tracing_a_model_leaves_its_seeds_as_they_are() -> None:
    model = model_with(layers.RandomHue(0.2))
    states = [np.array(variable) for variable in model.variables]
    freeze(model, SHAPE)
    for variable, state in zip(model.variables, states, strict=True):
        np.testing.assert_array_equal(variable, state)


@pytest.mark.parametrize("name", ["onnx", "tflite"])
def test_a_saved_model_that_advances_seeds_is_exported_without_them(name: str, tmp_path: Path) -> None:
    model = model_with(layers.RandomHue(0.2), layers.RandomGrayscale(0.5))
    archive = keras.export.ExportArchive()
    archive.track(model)
    specification = [tf.TensorSpec((None, *SHAPE), tf.float32)]
    archive.add_endpoint("serve", lambda images: model(images, training=False), input_signature=specification)
    archive.write_out(tmp_path / "teacher", verbose=False)
    signature = open_signature(tmp_path / "teacher")
    (image,) = signature.structured_input_signature[1]

    def teacher(images: Any, training: bool = False) -> Any:
        return next(iter(signature(**{image: images}).values()))

    network = freeze(teacher, SHAPE, "teacher", "digest")
    np.testing.assert_allclose(exported(name, network, tmp_path), Forward(model)(IMAGES), atol=1e-4)


def test_a_batch_size_built_into_a_model_is_named_with_its_layer() -> None:
    @keras.saving.register_keras_serializable("tests")
    class OneImage(layers.Layer):  # type: ignore[misc]
        def call(self, inputs: Any) -> Any:
            return keras.ops.reshape(inputs, (1, -1))

        def compute_output_shape(self, shape: Any) -> Any:
            return (1, int(np.prod(shape[1:])))

    image = Input(batch_shape=(1, *SHAPE))
    model = keras.Model(image, layers.Dense(4)(OneImage(name="one_image")(image)))
    with pytest.raises(ModelError, match="any number of images, and has a batch size of 1 built in at one_image"):
        freeze(model, SHAPE)


@pytest.mark.parametrize("batch", [1, 4])
def test_a_batch_size_that_only_the_input_declares_does_not_matter(batch: int, tmp_path: Path) -> None:
    keras.utils.set_random_seed(0)
    declared = Sequential([Input(batch_shape=(batch, *SHAPE)), layers.Flatten(), layers.Dense(4)])
    opened = Sequential([Input(SHAPE), layers.Flatten(), layers.Dense(4)])
    opened.set_weights(declared.get_weights())
    expected = Forward(opened)(IMAGES)
    network = freeze(declared, SHAPE)
    for name in FORMATS:
        np.testing.assert_allclose(exported(name, network, tmp_path), expected, atol=1e-4 * np.abs(expected).max())
