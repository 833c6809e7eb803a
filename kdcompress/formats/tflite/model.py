"""Opening and running of TFLite files on the CPU; requires LiteRT only."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress.batches import run_in_batches
from kdcompress.errors import ModelError, one_line
from kdcompress.metadata import parse_metadata
from kdcompress.paths import check_regular_file

METADATA = "kdcompress"  # name of the metadata entry that `export` writes


def open_interpreter(path: Path, threads: int | None) -> Any:
    """Open a TFLite file with LiteRT.

    Args:
        path: TFLite file.
        threads: Number of threads; None leaves the choice to LiteRT.

    Returns:
        The interpreter.

    Raises:
        ModelError: The file cannot be opened.
    """
    from ai_edge_litert.interpreter import Interpreter

    check_regular_file(path, ModelError)
    try:
        return Interpreter(model_path=str(path), num_threads=threads)
    except Exception as exc:
        raise ModelError(f"{path} is damaged or no model that LiteRT runs: {one_line(exc)}") from exc


def interpreter_of(content: bytes) -> Any:
    """Open the content of a TFLite file that was just made, to look at its operators.

    Args:
        content: The content.

    Returns:
        The interpreter.
    """
    from ai_edge_litert.interpreter import Interpreter

    return Interpreter(model_content=content)


class LiteRunner:
    """Runs an interpreter on real numbers, which are quantised and dequantised for an integer model.

    Args:
        interpreter: LiteRT interpreter.
        image: Details of the input tensor, as the interpreter reports them.
        output: Details of the output tensor.
        constants: Values of the other inputs, with the details of their tensors.
    """

    def __init__(
        self,
        interpreter: Any,
        image: dict[str, Any],
        output: dict[str, Any],
        constants: Sequence[tuple[dict[str, Any], float]] = (),
    ) -> None:
        self._interpreter, self._image, self._output = interpreter, image, output
        self._constants = [(details["index"], _constant(details, value)) for details, value in constants]
        batch = int(image["shape_signature"][0])
        self._batch, self._allocated = None if batch < 1 else batch, 0

    @property
    def step(self) -> float:
        """Quantisation step of the outputs; 0 for a float model."""
        return 0.0 if self._output["dtype"] == np.float32 else float(self._output["quantization"][0])

    def __call__(self, images: NDArray[Any]) -> NDArray[np.float32]:
        """Compute the outputs for images in the layout of the file, (n, ...) for any n."""
        return run_in_batches(self._invoke, images, self._batch)

    def _invoke(self, images: NDArray[Any]) -> NDArray[np.float32]:
        try:
            if len(images) != self._allocated:
                self._interpreter.resize_tensor_input(self._image["index"], images.shape)
                self._interpreter.allocate_tensors()
                for index, value in self._constants:
                    self._interpreter.set_tensor(index, value)
                self._allocated = len(images)
            self._interpreter.set_tensor(self._image["index"], self._quantized(images.astype(np.float32)))
            self._interpreter.invoke()
        except (RuntimeError, ValueError) as exc:
            raise ModelError(f"LiteRT cannot run the file on images {images.shape}: {one_line(exc)}") from exc
        return self._real(self._interpreter.get_tensor(self._output["index"]))

    def _quantized(self, images: NDArray[np.float32]) -> NDArray[Any]:
        return quantize(images, self._image["dtype"], self._image["quantization"])

    def _real(self, outputs: NDArray[Any]) -> NDArray[np.float32]:
        scale, zero_point = self._output["quantization"]
        if self._output["dtype"] == np.float32:
            return outputs.astype(np.float32)
        return np.asarray((outputs.astype(np.float32) - zero_point) * scale, np.float32)


def quantize(values: NDArray[Any], dtype: Any, quantization: tuple[float, int]) -> NDArray[Any]:
    """Convert real numbers to the type of a tensor.

    Args:
        values: The numbers.
        dtype: Type of the tensor.
        quantization: Its scale, which is 0 for numbers that are stored as they are, and its zero point.

    Returns:
        The same shape.
    """
    scale, zero_point = quantization
    if np.dtype(dtype).kind not in "iu":
        return np.asarray(values, dtype)
    limits = np.iinfo(dtype)
    if not scale:  # such as pixels that the model scales itself
        return np.asarray(np.clip(np.round(values), limits.min, limits.max), dtype)
    return np.asarray(np.clip(np.round(values / scale) + zero_point, limits.min, limits.max), dtype)


def _constant(details: dict[str, Any], value: float) -> NDArray[Any]:
    return quantize(np.full(details["shape"], value), details["dtype"], details["quantization"])


def read_metadata(path: Path) -> dict[str, Any]:
    """Read the metadata that `export` wrote into a TFLite file.

    Args:
        path: TFLite file.

    Returns:
        The metadata; empty for files of other tools.

    Raises:
        ModelError: The file is damaged.
    """
    from ai_edge_litert import schema_py_generated as schema

    try:
        model = schema.Model.GetRootAs(path.read_bytes())
        entries = [model.Metadata(index) for index in range(model.MetadataLength())]
        match = next((entry for entry in entries if entry.Name() == METADATA.encode()), None)
        content = None if match is None else model.Buffers(match.Buffer()).DataAsNumpy().tobytes()
    except Exception as exc:  # a damaged flatbuffer can raise anything
        raise ModelError(f"{path} is damaged or no TFLite file: {one_line(exc)}") from exc
    return {} if content is None else parse_metadata(content, path)
