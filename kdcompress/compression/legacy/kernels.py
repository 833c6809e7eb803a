"""Which kernels of a model tensorflow-model-optimization works on, and what is in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress.compression.legacy.hybrid import walk

_DENSE_AND_CONVOLUTIONS = ("Dense", "Conv2D")


@dataclass(frozen=True)
class Selection:
    """The layers of a model that a step takes, and those with a kernel that it leaves.

    Attributes:
        layers: Dense and Conv2D layers in the order of the graph.
        left: Why a layer is left as it is, by name.
    """

    layers: tuple[Any, ...]
    left: dict[str, str]

    def without(self, layers: list[Any], reason: str) -> Selection:
        """Return the selection without some layers.

        Args:
            layers: The layers.
            reason: Why they are left as they are.
        """
        names = {id(layer): layer.name for layer in layers}
        kept = tuple(layer for layer in self.layers if id(layer) not in names)
        return Selection(kept, {**self.left, **dict.fromkeys(names.values(), reason)})


def select_layers(model: Any) -> Selection:
    """Select the Dense and Conv2D layers of a model.

    Args:
        model: Functional or Sequential Keras 3 model.

    Raises:
        ModelError: It is a subclassed model.
    """
    import keras

    layers, left = [], {}
    for layer, _ in walk(model):
        if any(type(layer) is getattr(keras.layers, name) for name in _DENSE_AND_CONVOLUTIONS):
            layers.append(layer)
        elif any(len(weight.shape) > 1 for weight in getattr(layer, "trainable_weights", [])):
            left[layer.name] = f"a {type(layer).__name__}, neither {' nor '.join(_DENSE_AND_CONVOLUTIONS)}"
    return Selection(tuple(layers), left)


def output_layer(model: Any) -> Any:
    """Return the last layer with a kernel, which makes the logits; None if there is none.

    Args:
        model: Functional or Sequential Keras 3 model.
    """
    layers = select_layers(model).layers
    return layers[-1] if layers else None


def read_kernel(layer: Any) -> NDArray[np.float32]:
    """Return the kernel of a layer.

    Args:
        layer: Keras 3 layer.
    """
    return np.asarray(layer.kernel, np.float32)


def describe_kernels(layers: tuple[Any, ...] | list[Any]) -> dict[str, dict[str, Any]]:
    """Describe the kernels of layers for compress.json.

    Args:
        layers: Keras 3 layers.

    Returns:
        `weights`, `zeros` (how many of them are 0), `zero_fraction` and `values` (how many different ones) by name of
        the layer.
    """
    described = {}
    for layer in layers:
        kernel = read_kernel(layer)
        zeros = int(np.count_nonzero(kernel == 0))
        described[layer.name] = {
            "weights": kernel.size,
            "zeros": zeros,
            "zero_fraction": round(zeros / kernel.size, 6),
            "values": len(np.unique(kernel)),
        }
    return described
