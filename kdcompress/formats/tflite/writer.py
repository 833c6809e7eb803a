"""TFLite (LiteRT): float32, float16 weights, dynamic range, int8, or int4 weights of dense layers."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from kdcompress.config.images import read_image_settings
from kdcompress.errors import ExportError, ModelError, one_line
from kdcompress.exporting._base import DYNAMIC, FP16, FP32, INT4, INT8, ExportedModel, Format, Images, Options
from kdcompress.exporting._failures import find_layer
from kdcompress.exporting._integers import check_kernels, round_network
from kdcompress.exporting._layers import select_layers
from kdcompress.exporting._network import Network
from kdcompress.formats.tflite.int4 import quantize_int4
from kdcompress.formats.tflite.int8 import TFLiteInt8, check_integers, read_kernels
from kdcompress.formats.tflite.model import METADATA, LiteRunner, open_interpreter, read_metadata
from kdcompress.metadata import read_classes

_T = TypeVar("_T")
_MIN_SCALE = 1e-8  # the converter gives a tensor that is always 0 the scale 2e-6 / 255
_MAX_TEXT = 20_000  # characters of a converter's message that are searched for data types
_MAX_TENSOR = 80  # characters of a tensor's name in a message


class TFLite(Format):
    """TFLite files with signature `serving_default`: image, float32 (batch, H, W, C), to logits, (batch, classes).

    An int8 file has int8 or uint8 inputs and outputs, whose scale and zero point it contains, or float32 on request.
    """

    suffix = ".tflite"
    precisions = (FP32, FP16, INT8, DYNAMIC, INT4)

    def write(
        self,
        network: Network,
        path: Path,
        precision: str,
        options: Options,
        calibration: Images | None,
        metadata: dict[str, Any],
    ) -> None:
        """Write a TFLite file of built-in operators only; an int8 file computes in integers, but for float layers."""
        floats: frozenset[str] = frozenset()
        trained = network if precision == INT8 and network.quantization is not None else None
        if trained is not None:
            network = round_network(network, split_calls=True)
        if precision == INT8 and calibration is not None and options.float_layers:
            int8 = self.calibrate(network, options, calibration)
            floats = select_layers(options.float_layers, int8.layers, network)
            content = int8.build(floats)
        else:
            kind = FP32 if precision == INT4 else precision
            content = _converted(_converter(network, kind, options.input_type, calibration).convert, network)
        if precision == INT4:
            content = quantize_int4(bytes(content), calibration, options.int4_convolutions)
        if trained is not None:
            check_kernels(read_kernels(content), trained, "TFLite")
        path.write_bytes(_with_metadata(content, metadata))
        if precision == INT8 and not (network.quantization and network.quantization.float_layers):
            check_integers(path.read_bytes(), network, floats)
        _check_prepares(path, network)

    def calibrate(self, network: Network, options: Options, calibration: Images) -> TFLiteInt8:
        """Measure the ranges of an int8 file once, with the converter's calibrator."""
        converter = _converter(network, INT8, options.input_type, calibration)
        return _converted(lambda: TFLiteInt8(converter, network), network)

    def open(self, path: Path, threads: int = 1) -> ExportedModel:
        """Open a TFLite file with LiteRT's interpreter."""
        interpreter = open_interpreter(path, threads)
        inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
        shape = tuple(int(size) for size in inputs[0]["shape_signature"])
        if len(inputs) != 1 or len(outputs) != 1 or len(shape) != 4 or min(shape[1:]) < 1:
            signature = ", ".join(f"{value['name']} {value['shape_signature'].tolist()}" for value in inputs)
            raise ModelError(f"{path} takes {signature}; it must take one image (batch, H, W, C) and give one output")
        metadata = read_metadata(path)
        runner, settings = LiteRunner(interpreter, inputs[0], outputs[0]), read_image_settings(metadata, str(path))
        return ExportedModel(runner, shape[1:], read_classes(metadata, path), settings)


def _converter(network: Network, precision: str, input_type: str, calibration: Images | None) -> Any:
    import tensorflow as tf

    holder = tf.Module()
    holder.function = network.function
    converter = tf.lite.TFLiteConverter.from_concrete_functions([network.function.get_concrete_function()], holder)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    if precision != FP32:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if precision == FP16:
        converter.target_spec.supported_types = [tf.float16]
    if precision == INT8 and calibration is not None:
        images = calibration
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.representative_dataset = lambda: ([images[i : i + 1].astype(np.float32)] for i in range(len(images)))
    if precision == INT8 and (calibration is not None or network.quantization is not None):
        converter.inference_input_type = converter.inference_output_type = tf.dtypes.as_dtype(input_type)
    return converter


def _converted(convert: Callable[[], _T], network: Network) -> _T:
    """Call a conversion; ExportError with the reason if it fails."""
    try:
        return convert()
    except Exception as exc:
        raise ExportError(_reason(exc, network)) from exc


def _reason(exc: Exception, network: Network) -> str:
    """Extract the unsupported operator from the converter's long message, and find its layer."""
    patterns = (r"'tf\.(\w+)' op is neither", r"(?:Custom|Flex) ops: (?:Flex)?(\w+)", r"for op: '?(\w+)'?")
    match = next(filter(None, (re.search(pattern, str(exc)) for pattern in patterns)), None)
    if not match:
        # The converter's own text is a dump of its internals, in which nodes are paths such as model/lstm/while
        layer = find_layer(str(exc), network)
        subject = f"layer {layer}" if layer else "the model"
        return f"TFLite cannot express {subject}; replace {'it' if layer else 'its layers'}, or export another --format"
    operator, dtype = match[1], None
    # The same operator may be fine in another data type
    if result := re.search(rf'"tf\.{operator}"\(.*?-> \(?tensor<(?:[^>]*x)?(f64|i64|i8|f16)>', str(exc)[:_MAX_TEXT]):
        dtype = {"f64": "float64", "i64": "int64", "i8": "int8", "f16": "float16"}[result[1]]
    location = network.locate_operator(operator, dtype)
    return (
        f"TFLite cannot express operator {operator}{f' of {dtype}' if dtype else ''}{location}; replace it, or export "
        "another --format"
    )


def _with_metadata(content: bytes, metadata: dict[str, Any]) -> bytes:
    """Add `metadata` to a model as the JSON of a metadata entry."""
    from tensorflow.lite.python import schema_py_generated as schema
    from tensorflow.lite.tools import flatbuffer_utils

    model = flatbuffer_utils.convert_bytearray_to_object(bytearray(content))
    for stored in model.buffers:  # ai-edge-quantizer puts large buffers behind the flatbuffer, where they would be lost
        if stored.offset > 1:
            stored.data = np.frombuffer(content[stored.offset : stored.offset + stored.size], np.uint8)
            stored.offset = stored.size = 0
    buffer, entry = schema.BufferT(), schema.MetadataT()
    buffer.data = np.frombuffer(json.dumps(metadata).encode(), np.uint8)
    entry.name, entry.buffer = METADATA, len(model.buffers)
    model.buffers.append(buffer)
    model.metadata = [*(model.metadata or []), entry]
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def _check_prepares(path: Path, network: Network) -> None:
    """Check that LiteRT's kernels accept the file; names the layer that they refuse, where it can be known."""
    interpreter = open_interpreter(path, None)
    try:
        interpreter.allocate_tensors()
    except Exception as exc:
        layer = _empty_layer(interpreter, network)
        if layer is not None:
            raise ExportError(
                f"TFLite int8: layer {layer} gives 0 on all calibration images, and LiteRT's XNNPACK refuses a tensor "
                "without a range; calibrate with other images, or export --precision dynamic"
            ) from exc
        raise ExportError(
            f"LiteRT cannot prepare the exported file{_location(exc, interpreter, network)} ({one_line(exc, 120)}); "
            "export another --precision or --format"
        ) from exc


def _empty_layer(interpreter: Any, network: Network) -> str | None:
    """Find the first layer of a quantised file whose outputs are 0 on all calibration images, or None."""
    tensors = {tensor["index"]: tensor for tensor in interpreter.get_tensor_details()}
    for operator in interpreter._get_ops_details():
        for tensor in (tensors[index] for index in operator["outputs"] if index in tensors):
            scales = tensor["quantization_parameters"]["scales"]
            if len(scales) == 1 and 0 <= scales[0] < _MIN_SCALE:
                return find_layer(tensor["name"], network) or tensor["name"][:_MAX_TENSOR]
    return None


def _location(exc: Exception, interpreter: Any, network: Network) -> str:
    """Return " at layer NAME" for a message about an operator by its number, or nothing."""
    operators = interpreter._get_ops_details()
    match = re.search(r"Node number (\d+) \((?!TfLiteXNNPackDelegate)", str(exc))
    if match is None or int(match[1]) >= len(operators):
        return ""
    names = {tensor["index"]: tensor["name"] for tensor in interpreter.get_tensor_details()}
    outputs = " ".join(names.get(index, "") for index in operators[int(match[1])]["outputs"])
    layer = find_layer(outputs, network)
    return f" at layer {layer}" if layer else ""


FORMAT = TFLite
