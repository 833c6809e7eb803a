"""One network in every form that a teacher can have, and image folders to ask it about; all genuine digits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from PIL import Image

from kdcompress.data import Dataset, Samples

MEAN, STD = 0.1307, 0.3081  # of MNIST's pixels in [0, 1], as PyTorch's users write them


def trained(digits: Dataset) -> Any:
    """A small CNN on pixels in [0, 1], trained in a second: plainly better than chance."""
    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(8, 5, strides=2, activation="relu"),
            layers.Conv2D(16, 5, strides=2, activation="relu"),
            layers.Flatten(),
            layers.Dense(10),
        ]
    )
    model.compile(keras.optimizers.Adam(3e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(digits.train.images / 255.0, digits.train.labels, batch_size=100, epochs=3, verbose=0)
    return model


def with_scaling(network: Any) -> Any:
    """The network on raw pixels."""
    return keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Rescaling(1 / 255), *network.layers])


def onnx_file(network: Any, path: Path, **how: Any) -> Path:
    """The network as an ONNX file, made node by node; see `onnx_model`."""
    import onnx

    onnx.save(onnx_model(network, **how), path)
    return path


def onnx_model(
    network: Any,
    *,
    nchw: bool = True,
    normalised: bool = False,
    softmax: bool = False,
    order: Sequence[int] = range(10),
    batch: int | str = "n",
    size: int | str = 28,
    opset: int = 17,
    dark: bool = False,
    more: Sequence[str] = (),
) -> Any:
    """Convolutions in NCHW as PyTorch writes them.

    `normalised`: for (pixels / 255 - MEAN) / STD instead of pixels / 255; `order`: which digit each output is; `dark`:
    sees nothing of what is above 1, so that another scale leaves it nothing to go by (most networks hardly mind);
    `more`: outputs beside `scores`.
    """
    from onnx import TensorProto, helper, numpy_helper

    first, second, _, last = network.layers
    kernels = [first.get_weights(), second.get_weights()]
    dense, bias = last.get_weights()
    # Keras flattens H, W, C; PyTorch C, H, W
    dense = dense.reshape(4, 4, 16, 10).transpose(2, 0, 1, 3).reshape(256, 10)[:, list(order)]
    names = {"k1": kernels[0][0].transpose(3, 2, 0, 1), "b1": kernels[0][1]}
    names |= {"k2": kernels[1][0].transpose(3, 2, 0, 1), "b2": kernels[1][1], "d": dense, "b": bias[list(order)]}
    names |= {"std": np.float32(STD), "mean": np.float32(MEAN)}
    node, nodes, image = helper.make_node, [], "image"
    if not nchw:
        nodes.append(node("Transpose", [image], ["t"], perm=[0, 3, 1, 2]))
        image = "t"
    if dark:
        nodes += [node("Greater", [image, "one"], ["too bright"]), node("Where", ["too bright", "zero", image], ["w"])]
        names |= {"one": np.float32(1.001), "zero": np.float32(0)}
        image = "w"
    if normalised:
        nodes += [node("Mul", [image, "std"], ["m"]), node("Add", ["m", "mean"], ["a"])]
        image = "a"
    nodes += [
        node("Conv", [image, "k1", "b1"], ["c1"], strides=[2, 2]), node("Relu", ["c1"], ["r1"]),
        node("Conv", ["r1", "k2", "b2"], ["c2"], strides=[2, 2]), node("Relu", ["c2"], ["r2"]),
        node("Flatten", ["r2"], ["f"]), node("Gemm", ["f", "d", "b"], ["z"]),
        node("Softmax" if softmax else "Identity", ["z"], ["scores"]),
    ]  # fmt: skip
    nodes += [node("Identity", ["z"], [name]) for name in more]
    shape = [batch, 1, size, size] if nchw else [batch, size, size, 1]
    made = helper.make_graph(
        nodes, "digits", [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [batch, 10]) for name in ("scores", *more)],
        [numpy_helper.from_array(np.ascontiguousarray(value, np.float32), name) for name, value in names.items()],
    )  # fmt: skip
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)


def saved_model(network: Any, path: Path) -> Path:
    """The network as a SavedModel folder, as Keras exports it."""
    network.export(str(path), verbose=False)
    return path


def tflite_file(network: Any, path: Path) -> Path:
    """The network as a TFLite file in float32."""
    import tensorflow as tf

    path.write_bytes(tf.lite.TFLiteConverter.from_keras_model(network).convert())
    return path


def save_images(samples: Samples, root: Path, names: Sequence[str] = tuple("0123456789"), suffix: str = ".png") -> Path:
    """Samples as files root/CLASS/NUMBER.png."""
    for number, (image, label) in enumerate(zip(samples.images[:], samples.labels, strict=True)):
        folder = root / names[label]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(folder / f"{number:04d}{suffix}")
    return root
