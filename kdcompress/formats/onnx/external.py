"""The files beside an ONNX file that hold its weights; needs the onnx package."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kdcompress.digests import content_digest, json_digest, sha256_of
from kdcompress.errors import ModelError, one_line
from kdcompress.paths import check_regular_file, safe_join


def external_files(path: Path) -> list[Path]:
    """The files beside an ONNX file that hold its weights, if it does not itself.

    Errors: ModelError if it is none, or if it names a file that is not below its folder.
    """
    names = [
        entry.value
        for tensor in external_tensors(load_onnx(path))
        for entry in tensor.external_data
        if entry.key == "location"
    ]
    return [safe_join(path.parent, name, str(path), ModelError) for name in dict.fromkeys(names)]


def load_onnx(path: Path) -> Any:
    """The model in an ONNX file without what lies in files beside it; ModelError if it is none."""
    import onnx

    check_regular_file(path, ModelError)
    try:
        return onnx.load(str(path), load_external_data=False)
    except Exception as exc:
        raise ModelError(f"{path} cannot be loaded as an ONNX model: {one_line(exc)}") from exc


def external_tensors(message: Any) -> Iterator[Any]:
    """All tensors of a model that lie in other files: weights, constants of nodes, in subgraphs and functions, too."""
    import onnx

    if isinstance(message, onnx.TensorProto):
        if message.data_location == onnx.TensorProto.EXTERNAL:
            yield message
        return
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        for item in value if isinstance(value, list) or hasattr(value, "__len__") else [value]:
            yield from external_tensors(item)


def digest_of_model_file(path: Path) -> str:
    """The SHA-256 of all bytes that decide what a model file or folder answers, those beside an ONNX file with it."""
    if path.suffix.lower() != ".onnx" or not path.is_file():
        return content_digest(path)
    beside = [file for file in external_files(path) if file.is_file()]
    return json_digest([sha256_of(file) for file in (path, *beside)]) if beside else sha256_of(path)
