"""onnx's reference implementation: slow, in plain NumPy, and runs wherever Python does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kdcompress.benchmarking import Images, Runtime, RuntimeSession, Shape, Signature
from kdcompress.errors import ModelError

_NUMPY = {1: "float32", 2: "uint8", 3: "int8"}


class OnnxReference(Runtime):
    """One thread whatever is asked for, no options."""

    package = "onnx"
    module = "onnx.reference"
    suffixes = (".onnx",)

    def signature(self, path: Path) -> Signature:
        """The one input of the graph."""
        (image,) = _model(path).graph.input
        sizes = [axis.dim_value or None for axis in image.type.tensor_type.shape.dim]
        metadata = {entry.key: entry.value for entry in _model(path).metadata_props}
        return Signature(tuple(sizes), metadata.get("precision"))

    def open(self, path: Path, threads: int, shape: Shape) -> RuntimeSession:
        """The reference evaluator, in one thread."""
        from onnx.reference import ReferenceEvaluator

        model = _model(path)
        (image,) = model.graph.input
        dtype, evaluator = _NUMPY[image.type.tensor_type.elem_type], ReferenceEvaluator(model)
        return RuntimeSession(
            lambda images: {image.name: images.astype(dtype)},
            lambda feed: evaluator.run(None, feed),
        )

    def settings(self) -> dict[str, Any]:
        """There are none."""
        return {"threads": "always 1"}

    def operators(self, path: Path, threads: int, images: Images) -> dict[str, float] | None:
        """It keeps no profile."""
        return None


def _model(path: Path) -> Any:
    import onnx

    try:
        return onnx.load(path)
    except Exception as exc:
        raise ModelError(f"{path} is no ONNX file: {type(exc).__name__}") from exc
