"""The network that rounds as an int8 runtime does, from which files with trained integers are written."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress.errors import ExportError
from kdcompress.exporting._network import Network, freeze
from kdcompress.quantization import apply_rounding, check_fit, integer_pixels, list_integers


@functools.lru_cache(maxsize=1)  # the formats of a network are exported one after the other
def round_network(network: Network, split_calls: bool = False) -> Network:
    """Rebuild a network with the roundings of its quantization.

    Args:
        network: Network with a quantization, of a plain float model whose kernels lie on the grid.
        split_calls: Give each call of a kernel a layer of its own; see `apply_rounding`.

    Returns:
        A network with fake quantization of kernels and activations, whose integers at the input are the pixels; its
        quantization is that of its own kernels.

    Raises:
        RunError: The quantization belongs to another model.
    """
    assert network.quantization is not None
    check_fit(network.model, network.quantization)
    model, quantization = integer_pixels(network.model, network.quantization)
    model = apply_rounding(model, quantization, split_calls=split_calls)
    rounded = freeze(model, network.input_shape, digest=network.digest)
    return replace(rounded, quantization=quantization)


def check_kernels(kernels: Iterable[NDArray[Any]], network: Network, title: str) -> None:
    """Check that a file holds the trained integers of every kernel, at each of its calls.

    Args:
        kernels: The constant int8 kernel of each operator of the file: (outputs, ...), where height, width and inputs
            follow.
        network: Network with a quantization.
        title: Title of the format, for the message.

    Raises:
        ExportError: A kernel is missing, or holds other integers; the message names its layer.
    """
    assert network.quantization is not None
    stored = Counter(_content(kernel) for kernel in kernels)
    expected = list_integers(network.model, network.quantization)
    for name, kernel in expected:
        content = _content(kernel)
        if stored[content] < sum(_content(other) == content for _, other in expected):
            raise ExportError(
                f"{title} int8: the converter did not keep the trained integers of layer {name}; replace the layer and "
                "compress the run again, or export another --format"
            )


def _content(kernel: NDArray[Any]) -> tuple[int, bytes]:
    return len(kernel), np.ascontiguousarray(kernel).tobytes()
