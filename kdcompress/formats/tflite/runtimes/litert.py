"""LiteRT (TensorFlow Lite) on the CPU: TFLite files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from kdcompress.benchmarking._base import Images, Runtime, RuntimeSession, Shape, Signature
from kdcompress.errors import ModelError, one_line
from kdcompress.formats.tflite.model import read_metadata
from kdcompress.paths import check_regular_file


class LiteRT(Runtime):
    """An interpreter a model, with XNNPACK wherever LiteRT uses it of itself."""

    package, module = "ai-edge-litert", "ai_edge_litert.interpreter"
    suffixes = (".tflite",)

    def settings(self) -> dict[str, Any]:
        """See Runtime.settings."""
        return {"num_threads": "as `threads` of each model", "op_resolver": "AUTO", "delegates": "default (XNNPACK)"}

    def signature(self, path: Path) -> Signature:
        """See Runtime.signature."""
        given = _interpreter(path, 1).get_input_details()
        if len(given) != 1:
            names = ", ".join(f"{value['name']} {value['shape_signature'].tolist()}" for value in given)
            raise ModelError(f"{path} takes {len(given)} inputs ({names}); bench times models that take one image")
        sizes = tuple(int(size) if size > 0 else None for size in given[0]["shape_signature"])
        if len(sizes) < 2:
            raise ModelError(f"{path} takes {given[0]['name']} of unknown rank; bench needs a batch of images")
        return Signature(sizes, read_metadata(path).get("precision"))

    def open(self, path: Path, threads: int, shape: Shape) -> RuntimeSession:
        """See Runtime.open; a call sets the input, runs, and takes the output, as onnxruntime's does."""
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

        return RuntimeSession(_preparation(image), invoke)

    def operators(self, path: Path, threads: int, images: Images) -> None:
        """See Runtime.operators; LiteRT's interpreter has no profile in Python."""


def _interpreter(path: Path, threads: int) -> Any:
    from ai_edge_litert.interpreter import Interpreter

    check_regular_file(path, ModelError)
    try:
        return Interpreter(model_path=str(path), num_threads=threads)
    except Exception as exc:
        raise ModelError(f"{path} cannot be opened by LiteRT: {one_line(exc)}") from exc


def _preparation(image: dict[str, Any]) -> Callable[[Images], Any]:
    """Pixels as the type that the file takes; integers of the file's scale where it has one."""
    dtype, (scale, zero_point) = image["dtype"], image["quantization"]
    if not scale:
        return lambda images: images.astype(dtype)
    limits = np.iinfo(dtype)
    return lambda images: np.clip(np.round(images / scale) + zero_point, limits.min, limits.max).astype(dtype)


RUNTIME = LiteRT
