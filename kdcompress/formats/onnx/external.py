"""External weight files of ONNX models; listing those that there are requires the onnx package."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kdcompress.digests import content_digest, json_digest, sha256_of
from kdcompress.errors import MissingExtraError, ModelError, one_line
from kdcompress.missing import is_installed
from kdcompress.paths import check_regular_file, safe_join

_LOCATION = b"\x0a\x08location"  # the key of an entry of TensorProto.external_data, in protobuf's encoding


def external_files(path: Path) -> list[Path]:
    """List the external weight files of an ONNX model.

    Args:
        path: ONNX file.

    Returns:
        The files, whether or not they exist; empty if the model contains all its weights.

    Raises:
        ModelError: The file cannot be loaded, or names a file outside its folder.
        MissingExtraError: The onnx package is not installed, and the file seems to name others.
    """
    if not is_installed("onnx"):
        return _no_files(path)
    names = [
        entry.value
        for tensor in external_tensors(load_onnx(path))
        for entry in tensor.external_data
        if entry.key == "location"
    ]
    return [safe_join(path.parent, name, str(path), ModelError) for name in dict.fromkeys(names)]


def _no_files(path: Path) -> list[Path]:
    """Return no files for a model that names none, which its bytes tell where the onnx package is not installed."""
    check_regular_file(path, ModelError)
    with path.open("rb") as file:
        if path.stat().st_size and mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ).find(_LOCATION) >= 0:
            raise MissingExtraError(
                f"{path} seems to keep weights in files beside it, and listing them needs onnx, which is not "
                "installed: pip install onnx"
            )
    return []


def load_onnx(path: Path) -> Any:
    """Load an ONNX model without its external data.

    Args:
        path: ONNX file.

    Returns:
        The ModelProto.

    Raises:
        ModelError: The file cannot be loaded.
    """
    import onnx

    check_regular_file(path, ModelError)
    try:
        return onnx.load(str(path), load_external_data=False)
    except Exception as exc:
        raise ModelError(f"{path} cannot be loaded as an ONNX model: {one_line(exc)}") from exc


def save_onnx(model: Any, path: Path, name: str) -> None:
    """Save an ONNX model with all its weights in one file.

    Args:
        model: ModelProto with its weights.
        path: Destination.
        name: Name of the model in errors.

    Raises:
        ModelError: It is too large for one file.
    """
    import onnx

    try:
        onnx.save(model, str(path))
    except ValueError as exc:  # protobuf serializes no more than 2 GB
        raise ModelError(f"{name} cannot be written as one ONNX file: {one_line(exc)}") from exc


def external_tensors(message: Any) -> Iterator[Any]:
    """Iterate over the tensors of a model with external data, also constants in subgraphs and functions.

    Args:
        message: ModelProto or a part of it.

    Yields:
        TensorProto messages.
    """
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
    """Compute the digest of a model file or folder, with the external weight files of an ONNX model.

    Args:
        path: Model file or folder.

    Returns:
        SHA-256 in hexadecimal.
    """
    if path.suffix.lower() != ".onnx" or not path.is_file():
        return content_digest(path)
    external = [file for file in external_files(path) if file.is_file()]
    return json_digest([sha256_of(file) for file in (path, *external)]) if external else sha256_of(path)
