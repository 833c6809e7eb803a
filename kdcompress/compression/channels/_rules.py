"""How channels pass through each kind of layer and operation of Keras."""

from __future__ import annotations

from collections.abc import Callable

from kdcompress.compression.channels import _elementwise, _shaping, _weighted
from kdcompress.compression.channels._channels import LayerChannels, NotUnderstoodError, Visit
from kdcompress.compression.channels._units import Ids

Rule = Callable[[Visit], tuple[Ids, LayerChannels | None]]
_DIMENSIONS = ("1D", "2D", "3D")


def _in_all_dimensions(*names: str) -> tuple[str, ...]:
    return tuple(name + dimension for name in names for dimension in _DIMENSIONS)


_SAME_LAYERS = (
    *_in_all_dimensions("MaxPooling", "AveragePooling", "GlobalAveragePooling", "GlobalMaxPooling"),
    *_in_all_dimensions("AdaptiveAveragePooling", "AdaptiveMaxPooling", "ZeroPadding", "Cropping", "UpSampling"),
    *_in_all_dimensions("SpatialDropout"),
    *("Activation", "ReLU", "LeakyReLU", "ELU", "Identity", "GaussianNoise", "GaussianDropout", "AlphaDropout"),
    *("ActivityRegularization", "Resizing", "CenterCrop"),
)
_SAME_FUNCTIONS = (
    *("ReLU", "Relu", "Relu6", "Sigmoid", "Softplus", "Softsign", "SoftShrink", "SparsePlus", "Silu", "Squareplus"),
    *("LogSigmoid", "LeakyRelu", "HardSigmoid", "HardSilu", "Elu", "Selu", "Gelu", "Celu", "TanhShrink", "HardTanh"),
    *("HardShrink", "Threshold", "Tanh", "Exp", "Expm1", "Log1p", "Square", "Sqrt", "Abs", "Absolute", "Negative"),
    *("Cast", "SparseSigmoid"),
)
_COMBINING = (
    *("LayerNormalization", "GroupNormalization", "UnitNormalization", "RMSNormalization", "Softmax", "LogSoftmax"),
    *("EinsumDense", "MultiHeadAttention", "GroupedQueryAttention", "Attention", "AdditiveAttention", "Matmul", "Dot"),
)

_LAYERS: dict[str, Rule] = {
    **dict.fromkeys(_in_all_dimensions("Conv"), _weighted.convolution),
    **dict.fromkeys((f"Conv{dimension}Transpose" for dimension in _DIMENSIONS), _weighted.transposed),
    **dict.fromkeys(("SeparableConv1D", "SeparableConv2D"), _weighted.separable),
    **dict.fromkeys(("DepthwiseConv1D", "DepthwiseConv2D"), _weighted.depthwise),
    **dict.fromkeys(_SAME_LAYERS, _elementwise.same),
    **dict.fromkeys(("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum"), _elementwise.joined),
    "Dense": _weighted.dense,
    "BatchNormalization": _weighted.batch_normalization,
    "PReLU": _weighted.prelu,
    "Dropout": _elementwise.dropout,
    **dict.fromkeys(("Rescaling", "Normalization"), _elementwise.scaling),
    "Flatten": _shaping.flatten,
    "Reshape": _shaping.reshape,
    "Permute": _shaping.permute,
    "Concatenate": _shaping.concatenate,
}
_FUNCTIONS: dict[str, Rule] = {
    **dict.fromkeys(_SAME_FUNCTIONS, _elementwise.same),
    **dict.fromkeys(("Mean", "Sum", "Max", "Min", "Amax", "Amin"), _elementwise.reduction),
    **dict.fromkeys(("Add", "Subtract", "Multiply", "Divide", "TrueDivide", "Maximum", "Minimum"), _elementwise.joined),
    "ExpandDims": _shaping.expand_dims,
    "Reshape": _shaping.reshape,
    "Concatenate": _shaping.concatenate,
}


def apply_rule(visit: Visit) -> tuple[Ids, LayerChannels | None]:
    """Follow channels through a call.

    Args:
        visit: The call.

    Returns:
        The units of its output, and the channels of the layer, if it has any.

    Raises:
        NotUnderstoodError: Channels cannot be followed through it.
    """
    kind = type(visit.operation)
    rules = _LAYERS if kind.__module__.startswith("keras.src.layers.") else _FUNCTIONS
    rule = rules.get(kind.__name__) if kind.__module__.startswith("keras.") else None
    if rule is None:
        raise NotUnderstoodError("combines channels" if kind.__name__ in _COMBINING else "is not known here")
    if getattr(visit.operation, "quantization_mode", None) or getattr(visit.operation, "lora_enabled", False):
        raise NotUnderstoodError("is quantized, or has LoRA")
    if any(shape[-1:] in ((), (None,)) for shape in visit.node.input_shapes):
        raise NotUnderstoodError("gets any number of channels")
    return rule(visit)
