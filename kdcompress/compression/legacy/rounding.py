"""Rounding by tensorflow-model-optimization in a network of quantization-aware training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from kdcompress.compression.legacy.importing import import_tfmot
from kdcompress.compression.legacy.twins import has_twin, wrap_layer
from kdcompress.quantization import Rounded

_KERNEL_BITS = 7  # -63 to 63: see KERNEL_LIMIT of kdcompress.quantization
_ACTIVATION_BITS = 8


@dataclass
class Wrapped:
    """The roundings of a network that tensorflow-model-optimization does.

    Attributes:
        replacements: Layers of tf_keras by the id of the layer that they stand for.
        kernels: Names of the layers whose kernels are rounded by it.
        weights: Kernel and bias of each of them.
        ranges: Smallest and largest value of each activation whose range it moves, by name.
    """

    replacements: dict[int, Any] = field(default_factory=dict)
    weights: dict[str, list[Any]] = field(default_factory=dict)
    ranges: dict[str, tuple[Any, Any]] = field(default_factory=dict)


def wrap_for_rounding(rounded: Rounded) -> Wrapped:
    """Let tensorflow-model-optimization round what it rounds as int8 runtimes do.

    The rest stays with the layers of `kdcompress.quantization`: depthwise kernels, which it would round per tensor;
    clustered convolutions, whose clusters it would make one by one for each channel; activations whose scale is fixed
    or shared, as at additions.

    Args:
        rounded: The network that rounds.

    Returns:
        The roundings that are replaced.
    """
    wrapped = Wrapped()
    for name, rounding in rounded.kernels.items():
        kind = type(rounding.layer).__name__
        if has_twin(rounding.layer) and (kind == "Dense" or (kind == "Conv2D" and not rounding.keeps_clusters)):
            wrapper = wrap_layer(rounding.layer, _rounds_kernel(rounding))
            wrapped.replacements[id(rounding)] = wrapper
            wrapped.weights[name] = list(wrapper.layer.weights)  # once it is traced, its kernel is a tensor
    for name, activation in rounded.activations.items():
        if activation.moves and not rounded.placement.places[name].peers:
            layer = _activation_layer(activation)
            wrapped.replacements[id(activation)] = layer
            wrapped.ranges[name] = (layer.quantizer_vars["min_var"], layer.quantizer_vars["max_var"])
    return wrapped


def unwrap(rounded: Rounded, wrapped: Wrapped) -> None:
    """Give the trained weights and ranges to the layers of the network.

    Args:
        rounded: The network that rounds.
        wrapped: The trained roundings.
    """
    for name, weights in wrapped.weights.items():
        rounded.kernels[name].assign_weights(*weights)
    for name, (low, high) in wrapped.ranges.items():
        rounded.activations[name].low.assign(low)
        rounded.activations[name].high.assign(high)


class _KernelConfig:
    """QuantizeConfig of tensorflow-model-optimization that rounds the kernel and nothing else.

    Args:
        quantizer: Rounds the kernel.
    """

    def __init__(self, quantizer: Any) -> None:
        self.quantizer = quantizer

    def get_weights_and_quantizers(self, layer: Any) -> list[Any]:
        """Return the kernel and its quantizer."""
        return [(layer.kernel, self.quantizer)]

    def set_quantize_weights(self, layer: Any, quantize_weights: list[Any]) -> None:
        """Let the layer compute with the rounded kernel."""
        (layer.kernel,) = quantize_weights

    def get_activations_and_quantizers(self, layer: Any) -> list[Any]:
        """Return nothing: outputs are rounded by layers of their own."""
        return []

    def set_quantize_activations(self, layer: Any, quantize_activations: list[Any]) -> None:
        """Change nothing, since there are none."""
        assert not quantize_activations

    def get_output_quantizers(self, layer: Any) -> list[Any]:
        """Return nothing: outputs are rounded by layers of their own."""
        return []


def _kernel_quantizer(rounding: Any) -> Any:
    """The quantizer of a kernel, which keeps its zeros (PQAT), its clusters (CQAT), or both (PCQAT)."""
    quantizers = import_tfmot().quantization.keras.quantizers
    settings = {
        "num_bits": _KERNEL_BITS, "per_axis": not rounding.per_tensor, "symmetric": True, "narrow_range": True
    }  # fmt: skip
    from tensorflow_model_optimization.python.core.quantization.keras.collab_opts import (
        cluster_preserve,
        prune_preserve,
    )

    if rounding.keeps_clusters:
        registry = cluster_preserve.cluster_preserve_quantize_registry
        keeping = {"preserve_sparsity": rounding.keeps_zeros}
        return registry.ClusterPreserveDefaultWeightsQuantizer(**settings, **keeping)
    if rounding.keeps_zeros:
        return prune_preserve.prune_preserve_quantize_registry.PrunePreserveDefaultWeightsQuantizer(**settings)
    return quantizers.LastValueQuantizer(**settings)


def _rounds_kernel(rounding: Any) -> Callable[[Any], Any]:
    """Makes the wrapper of a layer whose kernel is rounded."""
    config = _KernelConfig(_kernel_quantizer(rounding))
    from tensorflow_model_optimization.python.core.quantization.keras import quantize_wrapper

    return lambda twin: quantize_wrapper.QuantizeWrapperV2(twin, config)


def _activation_layer(rounding: Any) -> Any:
    """A layer that rounds over a moving range, which starts where that of the network does."""
    quantizers = import_tfmot().quantization.keras.quantizers
    from tensorflow_model_optimization.python.core.quantization.keras import quantize_layer

    settings = {"num_bits": _ACTIVATION_BITS, "per_axis": False, "symmetric": False, "narrow_range": False}
    layer = quantize_layer.QuantizeLayer(quantizers.MovingAverageQuantizer(**settings), name=rounding.name)
    layer.build(())
    layer.built = True  # it does not say so itself, and would be built again, with other ranges
    layer.quantizer_vars["min_var"].assign(rounding.low)
    layer.quantizer_vars["max_var"].assign(rounding.high)
    return layer
