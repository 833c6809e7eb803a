"""Int8 TFLite files, in which single layers may stay in float32."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress.errors import ExportError
from kdcompress.exporting._base import MixedInt8
from kdcompress.exporting._layers import Operator, group_by_layer
from kdcompress.exporting._network import Network
from kdcompress.formats.tflite.model import interpreter_of

_PASS_NAMES = "RESHAPE TRANSPOSE SQUEEZE EXPAND_DIMS MAX_POOL_2D RELU RELU6 PAD PADV2 SLICE STRIDED_SLICE SPLIT GATHER"
_PASSES = frozenset(_PASS_NAMES.split())
_KERNELS = ("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "FULLY_CONNECTED")
_CONVERSIONS = ("QUANTIZE", "DEQUANTIZE", "DELEGATE")


class TFLiteInt8(MixedInt8):
    """A float32 file with the ranges of its tensors on calibration images.

    Args:
        converter: TFLite converter for int8, with its calibration images.
        network: The network that it converts.
    """

    def __init__(self, converter: Any, network: Network) -> None:
        converter._experimental_calibrate_only = True
        self._content = converter.convert()
        self._type = converter.inference_input_type
        operators = read_operators(interpreter_of(self._content))
        self._groups = group_by_layer(operators, network)
        self._outputs = [operator.name for operator in operators]
        self.layers = tuple(self._groups)

    def build(self, float_layers: Collection[str], float_ends: bool = False) -> bytes:
        """Quantise all but some layers, with the converter's own quantizer."""
        import tensorflow as tf
        from tensorflow.lite.python.convert import mlir_quantize

        excluded = [name for layer in float_layers for name in self._groups[layer]]
        if len(set(float_layers)) == len(self.layers):
            excluded = self._outputs
        kind = tf.float32 if float_ends else self._type
        quantized = mlir_quantize(self._content, input_data_type=kind, output_data_type=kind, denylisted_nodes=excluded)
        return bytes(quantized)


def check_integers(content: bytes, network: Network, float_layers: Collection[str] = ()) -> None:
    """Check that a file computes in integers, but for the layers that are to stay in float.

    Args:
        content: TFLite file.
        network: The network.
        float_layers: Names of layers that may compute in float.

    Raises:
        ExportError: Another operator computes in float; the message names it and its layer.
    """
    interpreter = interpreter_of(content)
    operators = {operator.name: operator for operator in read_operators(interpreter)}
    groups = group_by_layer(operators.values(), network)
    layer_of = {name: layer for layer, names in groups.items() for name in names}
    tensors = {detail["index"]: detail for detail in interpreter.get_tensor_details()}
    floats = {index for index, detail in tensors.items() if np.issubdtype(detail["dtype"], np.floating)}
    for details in _operations(interpreter):
        layer = layer_of.get(tensors[details["outputs"][0]]["name"])
        if layer in float_layers or not floats & {*details["inputs"], *details["outputs"]}:
            continue
        location = f" of layer {layer}" if layer else ""
        raise ExportError(
            f"TFLite int8: operator {details['op_name']}{location} would compute in float; "
            "replace the layer, or export --precision dynamic"
        )


def read_kernels(content: bytes) -> Iterator[NDArray[np.int8]]:
    """Yield the constant int8 kernel of each operator of a file, with the axis of outputs first.

    Args:
        content: TFLite file.
    """
    interpreter = interpreter_of(content)
    int8 = {detail["index"] for detail in interpreter.get_tensor_details() if detail["dtype"] == np.int8}
    produced = {index for details in interpreter._get_ops_details() for index in details["outputs"]}
    for details in _operations(interpreter):
        if details["op_name"] in _KERNELS and (index := int(details["inputs"][1])) in int8 - produced:
            kernel = np.array(interpreter.get_tensor(index))
            yield np.moveaxis(kernel[0], -1, 0) if details["op_name"] == "DEPTHWISE_CONV_2D" else kernel


def read_operators(interpreter: Any) -> list[Operator]:
    """List the operators of a file, named by their first output, in their order.

    Args:
        interpreter: LiteRT interpreter.
    """
    names = {detail["index"]: detail["name"] for detail in interpreter.get_tensor_details()}
    produced = {index for details in interpreter._get_ops_details() for index in details["outputs"]}
    operators = []
    for details in _operations(interpreter):
        inputs = [index for index in details["inputs"] if index in names]
        constants = (names[index] for index in inputs if index not in produced)
        outputs = tuple(names[index] for index in details["outputs"])
        reads = tuple(names[index] for index in inputs)
        operators.append(Operator(outputs[0], (*outputs, *constants), reads, outputs, details["op_name"] in _PASSES))
    return operators


def _operations(interpreter: Any) -> Iterable[dict[str, Any]]:
    return (details for details in interpreter._get_ops_details() if details["op_name"] not in _CONVERSIONS)
