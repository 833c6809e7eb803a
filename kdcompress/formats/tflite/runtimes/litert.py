"""LiteRT (TensorFlow Lite) on the CPU, for TFLite files."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from kdcompress.benchmarking._base import Images, Runtime, RuntimeSession, Shape, Signature
from kdcompress.errors import ModelError, one_line
from kdcompress.formats.tflite.model import quantize, read_metadata
from kdcompress.formats.tflite.profiler import operator_shares
from kdcompress.paths import check_regular_file


class LiteRT(Runtime):
    """LiteRT with one interpreter per model and its default delegate, XNNPACK."""

    package, module = "ai-edge-litert", "ai_edge_litert.interpreter"
    suffixes = (".tflite",)

    def settings(self) -> dict[str, Any]:
        """Return the options of the interpreters."""
        return {"num_threads": "as `threads` of each model", "op_resolver": "AUTO", "delegates": "default (XNNPACK)"}

    def signature(self, path: Path) -> Signature:
        """Read the input shape, and the precision from the metadata."""
        details = _interpreter(path, 1).get_input_details()
        inputs = [(value["name"], [_size(size) for size in value["shape_signature"]]) for value in details]
        return Signature.of_inputs(path, inputs, read_metadata(path).get("precision"))

    def open(self, path: Path, threads: int, shape: Shape) -> RuntimeSession:
        """Open an interpreter; a call sets the input, runs, and reads the output, as onnxruntime's does."""
        interpreter = _interpreter(path, threads)
        image, output = interpreter.get_input_details()[0], interpreter.get_output_details()[0]["index"]
        try:
            if tuple(image["shape"]) != shape:
                interpreter.resize_tensor_input(image["index"], shape)
            interpreter.allocate_tensors()
        except Exception as exc:
            raise ModelError(f"{path} cannot be run by LiteRT on images {shape}: {one_line(exc)}") from exc
        index = image["index"]

        def invoke(batch: Any) -> Any:
            interpreter.set_tensor(index, batch)
            interpreter.invoke()
            return interpreter.get_tensor(output)

        return RuntimeSession(functools.partial(_prepare, image), invoke)

    def operators(self, path: Path, threads: int, images: Images) -> dict[str, float] | None:
        """Measure the operators with the profiler of LiteRT's C library, which has one from version 2.2 on."""
        return operator_shares(path, threads, prepare_images(path, images))


def prepare_images(path: Path, images: Images) -> Images:
    """Convert pixels to the input type of a file, with its quantization if it has one.

    Args:
        path: TFLite file.
        images: Raw pixels, (batch, ...).

    Returns:
        The same shape.

    Raises:
        ModelError: The file cannot be opened.
    """
    return _prepare(_interpreter(path, 1).get_input_details()[0], images)


def _prepare(image: dict[str, Any], images: Images) -> Images:
    return quantize(images, image["dtype"], image["quantization"])


def _size(size: Any) -> int | None:
    """Return a dimension; None for one that is open, which is negative."""
    return int(size) if size > 0 else None


def _interpreter(path: Path, threads: int) -> Any:
    from ai_edge_litert.interpreter import Interpreter

    check_regular_file(path, ModelError)
    try:
        return Interpreter(model_path=str(path), num_threads=threads)
    except Exception as exc:
        raise ModelError(f"{path} cannot be opened by LiteRT: {one_line(exc)}") from exc


RUNTIME = LiteRT
