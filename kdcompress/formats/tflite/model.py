"""Opening and running a TFLite file on the CPU; needs LiteRT alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress.batches import run_in_batches
from kdcompress.errors import ModelError, one_line
from kdcompress.metadata import parse_metadata
from kdcompress.paths import check_regular_file

METADATA = "kdcompress"  # the name of the entry that `export` writes


def open_interpreter(path: Path, threads: int | None) -> Any:
    """LiteRT's interpreter of a file, in `threads` threads (None: LiteRT's choice); ModelError if it is none."""
    from ai_edge_litert.interpreter import Interpreter

    check_regular_file(path, ModelError)
    try:
        return Interpreter(model_path=str(path), num_threads=threads)
    except Exception as exc:
        raise ModelError(f"{path} is damaged or no model that LiteRT runs: {one_line(exc)}") from exc


class LiteRunner:
    """Calls an interpreter with real numbers; integers of the file's scale go in and out where it asks for them.

    `image` and `output` are the details that the interpreter gives of its tensors.
    """

    def __init__(self, interpreter: Any, image: dict[str, Any], output: dict[str, Any]) -> None:
        self._interpreter, self._image, self._output = interpreter, image, output
        batch = int(image["shape_signature"][0])
        self._batch, self._allocated = None if batch < 1 else batch, 0

    @property
    def step(self) -> float:
        """The distance of two neighbouring outputs of a quantized file, else 0."""
        return 0.0 if self._output["dtype"] == np.float32 else float(self._output["quantization"][0])

    def __call__(self, images: NDArray[Any]) -> NDArray[np.float32]:
        """The outputs for images in the file's own shape, however many."""
        return run_in_batches(self._invoke, images, self._batch)

    def _invoke(self, images: NDArray[Any]) -> NDArray[np.float32]:
        try:
            if len(images) != self._allocated:
                self._interpreter.resize_tensor_input(self._image["index"], images.shape)
                self._interpreter.allocate_tensors()
                self._allocated = len(images)
            self._interpreter.set_tensor(self._image["index"], self._quantized(images.astype(np.float32)))
            self._interpreter.invoke()
        except (RuntimeError, ValueError) as exc:
            raise ModelError(f"LiteRT cannot run the file on images {images.shape}: {one_line(exc)}") from exc
        return self._real(self._interpreter.get_tensor(self._output["index"]))

    def _quantized(self, images: NDArray[np.float32]) -> NDArray[Any]:
        dtype, (scale, zero_point) = self._image["dtype"], self._image["quantization"]
        if dtype == np.float32:
            return images
        limits = np.iinfo(dtype)
        if not scale:  # whole numbers as they are, such as the pixels of a file that scales them itself
            return np.asarray(np.clip(np.round(images), limits.min, limits.max), dtype)
        return np.asarray(np.clip(np.round(images / scale) + zero_point, limits.min, limits.max), dtype)

    def _real(self, outputs: NDArray[Any]) -> NDArray[np.float32]:
        scale, zero_point = self._output["quantization"]
        if self._output["dtype"] == np.float32:
            return outputs.astype(np.float32)
        return np.asarray((outputs.astype(np.float32) - zero_point) * scale, np.float32)


def read_metadata(path: Path) -> dict[str, Any]:
    """The metadata that `export` put into a file, or nothing in a file that it did not write; ModelError."""
    from ai_edge_litert import schema_py_generated as schema

    try:
        model = schema.Model.GetRootAs(path.read_bytes())
        entries = [model.Metadata(index) for index in range(model.MetadataLength())]
        found = next((entry for entry in entries if entry.Name() == METADATA.encode()), None)
        content = None if found is None else model.Buffers(found.Buffer()).DataAsNumpy().tobytes()
    except Exception as exc:  # whatever a flatbuffer that points anywhere raises
        raise ModelError(f"{path} is damaged or no TFLite file: {one_line(exc)}") from exc
    return {} if content is None else parse_metadata(content, path)
