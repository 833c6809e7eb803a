"""Four-bit weights of ONNX files, by onnxruntime's operator MatMulNBits."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np

from kdcompress.errors import ExportError
from kdcompress.exporting._base import Images
from kdcompress.exporting._network import Network
from kdcompress.formats.onnx.int8 import OnnxInt8

# Of block sizes 16 to 256, symmetric or not, 64 symmetric is the smallest (0.151 of float32 for the MNIST student; 32:
# 0.161) and level 4, which quantises activations to int8 at run time, twice as fast as level 0 and faster than float32
_BLOCK, _LEVEL = 64, 4
_CONVOLUTIONS = ("Conv", "ConvTranspose")
_SEED = 0


def quantize_int4(model: Any, network: Network, calibration: Images | None, convolutions: bool) -> Any:
    """Store the weights of dense layers in 4 bits, in blocks of 64; beside convolutions, other layers become int8.

    Args:
        model: ModelProto in float32, which is left as it is.
        network: The network that it was converted from.
        calibration: Images for the ranges of activations, (n, H, W, C); None leaves convolutions in float32.
        convolutions: Whether convolutions are to have weights of 4 bits, too.

    Returns:
        The quantised ModelProto.

    Raises:
        ExportError: A package is not installed, there is no dense layer, the file is no smaller than int8, or
            convolutions are to have 4 bits, for which onnxruntime has no fast operator.
    """
    if convolutions:
        raise ExportError(
            "ONNX int4: onnxruntime computes convolutions of 4 bits by unpacking their weights at every run; "
            "leave --int4-convolutions out, or export --format tflite"
        )
    images = calibration if calibration is not None else _random_images(network)
    int8 = OnnxInt8(model, network, images)
    dense = int8.dense_layers()
    if not dense:
        raise ExportError("ONNX int4: the model has no dense layer, and only these get 4 bits; export --precision int8")
    mixed = calibration is not None and any(node.op_type in _CONVOLUTIONS for node in model.graph.node)
    result = int8.quantize(dense if mixed else int8.layers, guarded=False)
    _split_gemms(result.graph)
    result = _pack(result)
    size, limit = result.ByteSize(), int8.quantize().ByteSize()
    if size >= limit:
        raise ExportError(
            f"ONNX int4: with {size / 1e6:.3f} MB it is not smaller than int8 with {limit / 1e6:.3f} MB, since too few "
            "weights are those of dense layers; export --precision int8"
        )
    return result


def _pack(model: Any) -> Any:
    """Replace products with constant matrices by MatMulNBits."""
    logging.getLogger("onnxruntime").setLevel(logging.WARNING)
    try:
        from onnxruntime.quantization.matmul_nbits_quantizer import DefaultWeightOnlyQuantConfig, MatMulNBitsQuantizer
    except ImportError as exc:
        package = exc.name or "a newer onnxruntime"
        raise ExportError(f"ONNX int4 needs {package}, which is not installed: pip install 'kdcompress[int4]'") from exc
    config = DefaultWeightOnlyQuantConfig(block_size=_BLOCK, is_symmetric=True, accuracy_level=_LEVEL, bits=4)
    quantizer = MatMulNBitsQuantizer(model, algo_config=config)
    quantizer.process()
    return quantizer.model.model


def _random_images(network: Network) -> Images:
    """Images for an int8 file of which only the size is of interest."""
    return np.random.default_rng(_SEED).integers(0, 256, (2, *network.input_shape), np.uint8)


def _split_gemms(graph: Any) -> None:
    """Replace Gemm nodes with constant weights by MatMul and Add, the only form that MatMulNBits is made of."""
    import onnx

    weights = {weight.name: weight for weight in graph.initializer}
    for index in reversed(range(len(graph.node))):
        node = graph.node[index]
        attributes = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}
        plain = all(attributes.get(name, default) == default for name, default in _PLAIN.items())
        if node.op_type != "Gemm" or not plain or node.input[1] not in weights:
            continue
        matrix, bias = node.input[1], node.input[2:3]
        if attributes.get("transB"):
            values = onnx.numpy_helper.to_array(weights[matrix]).T
            matrix = f"{matrix}_transposed"
            graph.initializer.append(onnx.numpy_helper.from_array(np.ascontiguousarray(values), matrix))
        product = f"{node.output[0]}_product" if bias else node.output[0]
        nodes = [onnx.helper.make_node("MatMul", [node.input[0], matrix], [product], node.name)]
        if bias:
            nodes.append(onnx.helper.make_node("Add", [product, *bias], [node.output[0]], f"{node.name}_bias"))
        graph.node.remove(node)
        for offset, made in enumerate(nodes):
            graph.node.insert(index + offset, made)


_PLAIN = {"alpha": 1.0, "beta": 1.0, "transA": 0}
