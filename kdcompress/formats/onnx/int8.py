"""Static int8 quantisation of ONNX models (QDQ), in which single layers may stay in float32."""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterator
from typing import Any

import numpy as np

from kdcompress.exporting._base import Images, MixedInt8
from kdcompress.exporting._layers import Operator, group_by_layer
from kdcompress.exporting._network import INPUT, OUTPUT, Network
from kdcompress.formats.onnx.tidy import tidy
from kdcompress.leftovers import temporary_folder

_PASS_NAMES = "Reshape Transpose Squeeze Unsqueeze Flatten MaxPool Relu Clip Pad Slice Split Gather Identity Expand"
_PASSES = frozenset(_PASS_NAMES.split())
_PRODUCTS = ("Conv", "ConvTranspose", "Gemm", "MatMul")


class OnnxInt8(MixedInt8):
    """A float32 model with the ranges of its tensors on calibration images.

    Args:
        model: ModelProto in float32, which is left as it is.
        network: The network that it was converted from.
        calibration: Images for the ranges of activations, (n, H, W, C).
    """

    def __init__(self, model: Any, network: Network, calibration: Images) -> None:
        self._network = network
        self._model, self._ranges = _measure_ranges(model, calibration)
        for index, node in enumerate(self._model.graph.node):
            node.name = node.name or f"unnamed-{index}"
        self._weights = {weight.name for weight in self._model.graph.initializer}
        self._groups = group_by_layer(map(self._operator, self._model.graph.node), network)
        self.layers = tuple(self._groups)

    def quantize(self, float_layers: Collection[str] = (), guarded: bool = True) -> Any:
        """Quantise all but some layers: int8 weights per channel, uint8 activations.

        Weights use 7 bits of their range: the AVX2 and AVX-512 kernels of CPUs without VNNI add pairs of products in 16
        bits, which 8-bit weights overflow, so that the same file would give other outputs on another machine.

        Args:
            float_layers: Names among `layers`.
            guarded: Whether onnxruntime is kept from quantising float layers itself.

        Returns:
            The quantised ModelProto.
        """
        from onnxruntime.quantization import QuantType
        from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

        excluded = [name for layer in float_layers for name in self._groups[layer]]
        if len(set(float_layers)) == len(self.layers):
            excluded = [node.name for node in self._model.graph.node]
        # The quantizer changes its model and the ranges
        model, ranges = copy.deepcopy((self._model, self._ranges))
        types = QuantType.QInt8, QuantType.QUInt8
        quantizer = QDQQuantizer(model, True, True, *types, ranges, [], excluded, _operators(), {})
        quantizer.quantize_model()
        result = quantizer.model.model
        _keep_logits_float(result.graph)
        if guarded:
            keep_weights_float(result.graph)
        return result

    def dense_layers(self) -> list[str]:
        """Return the names of the layers that are products with a constant matrix."""
        matrices = {weight.name for weight in self._model.graph.initializer if len(weight.dims) == 2}
        products = {node.name for node in self._model.graph.node if node.op_type in ("MatMul", "Gemm")}
        products &= {node.name for node in self._model.graph.node if set(node.input[1:2]) <= matrices}
        return [layer for layer, names in self._groups.items() if products & {*names}]

    def build(self, float_layers: Collection[str], float_ends: bool = False) -> bytes:
        """Quantise all but some layers, and name the nodes as in an exported file, whose ends are float32."""
        return bytes(tidy(self.quantize(float_layers), self._network.layer_name).SerializeToString())

    def _operator(self, node: Any) -> Operator:
        paths = (node.name, *node.output, *(name for name in node.input if name in self._weights))
        return Operator(node.name, paths, tuple(node.input), tuple(node.output), node.op_type in _PASSES)


def _operators() -> list[str]:
    """Return the types of the operators that are quantised."""
    from onnxruntime.quantization.registry import QDQRegistry, QLinearOpsRegistry

    return sorted({*QDQRegistry, *QLinearOpsRegistry})


def _measure_ranges(model: Any, calibration: Images) -> tuple[Any, Any]:
    """Prepare a model for quantisation, and measure the ranges of its tensors.

    Args:
        model: ModelProto in float32.
        calibration: (n, H, W, C).

    Returns:
        The prepared ModelProto, and the ranges.
    """
    import onnx
    from onnxruntime.quantization.calibrate import CalibrationMethod, create_calibrator
    from onnxruntime.quantization.quant_utils import load_model_with_shape_infer
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with temporary_folder() as folder:
        plain, prepared, augmented = (folder / f"{name}.onnx" for name in ("plain", "prepared", "augmented"))
        onnx.save(model, plain)
        quant_pre_process(str(plain), str(prepared), skip_symbolic_shape=True)
        method = CalibrationMethod.MinMax
        calibrator = create_calibrator(prepared, _operators(), str(augmented), calibrate_method=method)
        calibrator.collect_data(_Reader(calibration))
        ranges = calibrator.compute_data()
        del calibrator  # closes the file, which Windows does not delete otherwise
        return load_model_with_shape_infer(prepared), ranges


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
    if dequantize.op_type != "DequantizeLinear":
        return
    quantize_last = producers.get(dequantize.input[0])
    if quantize_last is None or quantize_last.op_type != "QuantizeLinear":
        return
    source = quantize_last.input[0]
    if source not in producers:
        return
    for node in (dequantize, quantize_last):
        graph.node.remove(node)
    for node in graph.node:
        for side in (node.input, node.output):
            side[:] = [OUTPUT if name == source else name for name in side]


def keep_weights_float(graph: Any) -> None:
    """Put an operator that changes nothing behind each product with float weights between quantised tensors.

    onnxruntime quantises the float weights of such nodes itself when it opens a file (its optimizer
    WeightBiasQuantization), with one scale for all channels, which ruins depthwise convolutions. It looks for a
    QuantizeLinear behind the node, and removes Relu, Clip and multiplications by 1 in between, but no Max.

    Args:
        graph: GraphProto with quantised activations, changed in place.
    """
    import onnx

    producers = {name: node for node in graph.node for name in node.output}
    weights, lowest = {weight.name for weight in graph.initializer}, "lowest_float"
    for node in [node for node in graph.node if node.op_type in _PRODUCTS]:
        source = producers.get(node.input[0])
        quantized = source is not None and source.op_type == "DequantizeLinear"
        if not quantized or node.input[1] not in weights or node.output[0] == OUTPUT:
            continue
        name, product = node.output[0], f"{node.output[0]}_product"
        node.output[0] = product
        unchanged = onnx.helper.make_node("Max", [product, lowest], [name], f"{node.name}/Max")
        graph.node.insert(list(graph.node).index(node) + 1, unchanged)
        if lowest not in weights:
            value = np.array(np.finfo(np.float32).min, np.float32)
            graph.initializer.append(onnx.numpy_helper.from_array(value, lowest))
            weights.add(lowest)
