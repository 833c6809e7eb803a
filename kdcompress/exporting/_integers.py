"""The network that rounds as an int8 runtime does, from which files with trained integers are written."""

from __future__ import annotations

import functools
from dataclasses import replace

from kdcompress.exporting._network import Network, freeze
from kdcompress.quantization import apply_rounding, check_fit, integer_pixels


@functools.lru_cache(maxsize=1)  # the formats of a network are exported one after the other
def round_network(network: Network) -> Network:
    """Rebuild a network with the roundings of its quantization.

    Args:
        network: Network with a quantization, of a plain float model whose kernels lie on the grid.

    Returns:
        A network with fake quantization of kernels and activations, whose integers at the input are the pixels; its
        quantization is that of its own kernels.

    Raises:
        RunError: The quantization belongs to another model.
    """
    assert network.quantization is not None
    check_fit(network.model, network.quantization)
    model, quantization = integer_pixels(network.model, network.quantization)
    rounded = freeze(apply_rounding(model, quantization), network.input_shape, digest=network.digest)
    return replace(rounded, quantization=quantization)
