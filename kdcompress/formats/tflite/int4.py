"""Four-bit weights of TFLite files, by ai-edge-quantizer."""

from __future__ import annotations

import contextlib
import io
from typing import Any

import numpy as np

from kdcompress.errors import ExportError
from kdcompress.exporting._base import Images
from kdcompress.exporting._network import INPUT
from kdcompress.formats.tflite.model import interpreter_of
from kdcompress.leftovers import temporary_folder

_DENSE = "FULLY_CONNECTED"
_CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV")


def quantize_int4(content: bytes, calibration: Images | None, convolutions: bool) -> bytes:
    """Store the weights of dense layers in 4 bits, per channel; activations are quantised at run time.

    Convolutions and the other operators become int8, statically, which XNNPACK runs as fast as an int8 file. Input and
    output stay float32.

    Args:
        content: TFLite file in float32.
        calibration: Images for the ranges of activations, (n, H, W, C); None leaves convolutions in float32.
        convolutions: Whether convolutions have weights of 4 bits, too, and activations quantised at run time.

    Returns:
        The file.

    Raises:
        ExportError: ai-edge-quantizer is not installed, or there is no layer for 4 bits.
    """
    present = {details["op_name"] for details in interpreter_of(content)._get_ops_details()}
    if not present & {_DENSE, *(_CONVOLUTIONS if convolutions else ())}:
        raise ExportError(
            "TFLite int4: the model has no dense layer, and only these get 4 bits; export --precision int8"
        )
    with temporary_folder() as folder, _silence():
        (folder / "float32.tflite").write_bytes(content)
        quantizer = _quantizer(str(folder / "float32.tflite"))
        ranges = None
        if calibration is not None and present & {*_CONVOLUTIONS} and not convolutions:
            ranges = _add_int8(quantizer, calibration)
        quantizer.add_dynamic_config(".*", "*" if convolutions else _DENSE, num_bits=4)
        return bytes(quantizer.quantize(ranges).quantized_model)


def _quantizer(path: str) -> Any:
    try:
        from ai_edge_quantizer.quantizer import Quantizer
    except ImportError as exc:
        raise ExportError(
            "TFLite int4 is written by ai-edge-quantizer, which is not installed: pip install 'kdcompress[int4]'"
        ) from exc
    return Quantizer(path)


def _add_int8(quantizer: Any, calibration: Images) -> Any:
    """Quantise all operators but input and output to int8, and return the ranges of activations."""
    from ai_edge_quantizer.algorithm_manager import AlgorithmName

    quantizer.add_static_config(".*", "*", activation_num_bits=8, weight_num_bits=8)
    images = [{INPUT: calibration[i : i + 1].astype(np.float32)} for i in range(len(calibration))]
    ranges = quantizer.calibrate({"serving_default": images})
    for end in ("INPUT", "OUTPUT"):
        quantizer.update_quantization_recipe(".*", end, algorithm_key=AlgorithmName.NO_QUANTIZE)
    return ranges


@contextlib.contextmanager
def _silence() -> Any:
    """Context manager that drops the summary and the progress bars that the quantizer prints."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield
