"""Quantisation of ONNX models: float16 weights, or int8 with calibrated activations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from kdcompress.exporting._base import Images
from kdcompress.exporting._network import INPUT, OUTPUT
from kdcompress.leftovers import temporary_folder


def halve_weights(model: Any) -> None:
    """Store float32 weights as float16 and cast them back before use, in place.

    Arithmetic remains in float32, which every CPU supports; runtimes fold the casts when they open the file. Biases and
    scales, which are small, and tensors with values beyond float16's range remain float32.

    Args:
        model: ModelProto.
    """
    import onnx

    casts = []
    for weight in model.graph.initializer:
        if weight.data_type != onnx.TensorProto.FLOAT or len(weight.dims) < 2:
            continue
        values = onnx.numpy_helper.to_array(weight)
        if np.abs(values).max() > np.finfo(np.float16).max:
            continue
        name = weight.name
        weight.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float16), f"{name}_half"))
        casts.append(onnx.helper.make_node("Cast", [f"{name}_half"], [name], f"{name}_cast", to=onnx.TensorProto.FLOAT))
    nodes = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*casts, *nodes])


def quantize(model: Any, calibration: Images) -> Any:
    """Quantise a float32 model to int8: static QDQ with int8 weights per channel.

    Weights use 7 bits of their range: the AVX2 and AVX-512 kernels of CPUs without VNNI add pairs of products in 16
    bits, which 8-bit weights overflow, so that the same file would give other outputs on another machine.

    Args:
        model: ModelProto.
        calibration: Images for the ranges of activations, (n, H, W, C).

    Returns:
        The quantised ModelProto.
    """
    import onnx
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with temporary_folder() as folder:
        plain, prepared, quantized = (folder / f"{name}.onnx" for name in ("plain", "prepared", "quantized"))
        onnx.save(model, plain)
        quant_pre_process(str(plain), str(prepared), skip_symbolic_shape=True)
        quantize_static(
            str(prepared),
            str(quantized),
            _Reader(calibration),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
        result = onnx.load(str(quantized))
    _keep_logits_float(result.graph)
    return result


class _Reader:
    """Feeds the calibration images one at a time; has the interface of onnxruntime's CalibrationDataReader."""

    def __init__(self, images: Images) -> None:
        self._feed: Iterator[Any] = ({INPUT: images[i : i + 1].astype(np.float32)} for i in range(len(images)))

    def get_next(self) -> dict[str, Any] | None:
        return next(self._feed, None)


def _keep_logits_float(graph: Any) -> None:
    """Remove the last quantization, which clips logits at the calibration maximum and saves nothing."""
    producers = {name: node for node in graph.node for name in node.output}
    dequantize = producers[OUTPUT]
    quantize_last = producers.get(dequantize.input[0])
    if dequantize.op_type != "DequantizeLinear" or quantize_last is None or quantize_last.op_type != "QuantizeLinear":
        return
    source = quantize_last.input[0]
    if source not in producers:
        return
    for node in (dequantize, quantize_last):
        graph.node.remove(node)
    for node in graph.node:
        for side in (node.input, node.output):
            side[:] = [OUTPUT if name == source else name for name in side]
