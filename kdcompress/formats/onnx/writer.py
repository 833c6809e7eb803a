"""ONNX: float32, float16 weights, int8 with calibrated ranges (QDQ), or int4 weights of dense layers."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import numpy as np

from kdcompress.config.images import read_image_settings
from kdcompress.errors import ExportError, ModelError
from kdcompress.exporting._base import FP16, FP32, INT4, INT8, ExportedModel, Format, Images, Logits, Options
from kdcompress.exporting._integers import check_kernels, round_network
from kdcompress.exporting._layers import select_layers
from kdcompress.exporting._network import INPUT, OUTPUT, Network
from kdcompress.formats.onnx.einsum import limited_search
from kdcompress.formats.onnx.handlers import custom_handlers, custom_rewriters
from kdcompress.formats.onnx.int4 import quantize_int4
from kdcompress.formats.onnx.int8 import OnnxInt8, keep_weights_float
from kdcompress.formats.onnx.integers import read_kernels, store_integers
from kdcompress.formats.onnx.model import open_session, run_with_timeout
from kdcompress.formats.onnx.quantize import halve_weights
from kdcompress.formats.onnx.resizing import set_sizes
from kdcompress.formats.onnx.tidy import tidy
from kdcompress.metadata import parse_metadata, read_classes


class Onnx(Format):
    """ONNX files with input `image`, float32 (batch, H, W, C), and output `logits`, float32 (batch, classes)."""

    suffix = ".onnx"
    precisions = (FP32, FP16, INT8, INT4)
    approximate = ("ResizeBicubic",)  # TensorFlow rounds positions to 1/1024 of a pixel

    def write(
        self,
        network: Network,
        path: Path,
        precision: str,
        options: Options,
        calibration: Images | None,
        metadata: dict[str, Any],
    ) -> None:
        """Write an ONNX file, and check it with the onnx package and onnxruntime."""
        import onnx

        trained = network if precision == INT8 and network.quantization is not None else None
        if trained is not None:
            network = round_network(network)
        model = onnx.load_from_string(_convert(network, options.opset))
        if trained is not None and network.quantization is not None:
            store_integers(model, network.quantization, network.layer_name)
            check_kernels(read_kernels(model), trained, "ONNX")
            keep_weights_float(model.graph)
        elif precision == FP16:
            halve_weights(model)
        elif precision == INT4:
            model = quantize_int4(model, network, calibration, options.int4_convolutions)
        elif precision == INT8 and calibration is not None:
            int8 = self.calibrate(network, options, calibration)
            model = int8.quantize(select_layers(options.float_layers, int8.layers, network))
        model = tidy(model, network.layer_name)
        for key, value in metadata.items():
            model.metadata_props.add(key=key, value=value if isinstance(value, str) else json.dumps(value))
        onnx.checker.check_model(model, full_check=True)
        onnx.save(model, path)
        try:
            self.open(path)
        except ModelError as exc:
            raise ExportError(f"onnxruntime cannot open the exported file: {exc}") from exc

    def calibrate(self, network: Network, options: Options, calibration: Images) -> OnnxInt8:
        """Measure the ranges of an int8 file once, with onnxruntime's calibrator."""
        import onnx

        return OnnxInt8(onnx.load_from_string(_convert(network, options.opset)), network, calibration)

    def open(self, path: Path, threads: int = 1) -> ExportedModel:
        """Open an ONNX file with onnxruntime's CPU provider."""
        session = open_session(path, threads)
        shape = _image_shape(session, path)
        name = session.get_inputs()[0].name

        def run(images: Images) -> Logits:
            return np.asarray(run_with_timeout(session, None, {name: images.astype(np.float32)}, str(path))[0])

        metadata = _metadata(session, path)
        return ExportedModel(run, shape, read_classes(metadata, path), read_image_settings(metadata, str(path)))


def _metadata(session: Any, path: Path) -> dict[str, Any]:
    """Read the metadata of an exported file; empty for files of other tools."""
    metadata = session.get_modelmeta().custom_metadata_map
    if "kdcompress" not in metadata or "classes" not in metadata:
        return {}
    parsed = (f'"{key}": {metadata[key]}' for key in ("classes", "images") if key in metadata)
    return {**metadata, **parse_metadata(f"{{{', '.join(parsed)}}}", path)}


def _image_shape(session: Any, path: Path) -> tuple[int, int, int]:
    inputs, outputs = session.get_inputs(), session.get_outputs()
    shape = inputs[0].shape
    fits = len(inputs) == len(outputs) == 1 and len(shape) == 4 and inputs[0].type == "tensor(float)"
    if not fits or not all(isinstance(size, int) for size in shape[1:]):
        signature = ", ".join(f"{value.name} {value.shape} {value.type}" for value in inputs)
        raise ModelError(f"{path} takes {signature}; it must take one float image (batch, H, W, C) and give one output")
    return shape[1], shape[2], shape[3]


@functools.lru_cache(maxsize=1)  # the precisions of a network are exported one after the other
def _convert(network: Network, opset: int) -> bytes:
    import onnx
    import tf2onnx

    with limited_search():
        model, _ = tf2onnx.convert.from_function(
            network.function,
            input_signature=[network.signature],
            opset=opset,
            custom_op_handlers=custom_handlers(),
            custom_rewriter=custom_rewriters(),
        )
    for node in model.graph.node:
        # tf2onnx only logs operators that it cannot convert, and leaves TensorFlow's in the file
        if not node.domain and not onnx.defs.has(node.op_type):
            layer = network.layer_name(node.name)
            location = f" of layer {layer}" if layer in network.layers else f" ({layer})"
            raise ExportError(
                f"ONNX cannot express operator {node.op_type}{location}; replace it, or export another --format"
            )
    assert [value.name for value in model.graph.output] == [OUTPUT] and model.graph.input[0].name == INPUT
    set_sizes(model)
    return bytes(model.SerializeToString())


FORMAT = Onnx
