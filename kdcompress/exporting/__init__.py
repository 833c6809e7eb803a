"""Export of models to the formats in `formats/`, with calibration and parity checks."""

from __future__ import annotations

from pathlib import Path

from kdcompress import registry
from kdcompress.errors import ModelError
from kdcompress.exporting._base import PRECISIONS, ExportedModel, Format, Options
from kdcompress.runs.integrity import check_integrity


def make_format(name: str) -> Format:
    """Create a format by its name.

    Args:
        name: Name such as "onnx".

    Returns:
        The format.

    Raises:
        UsageError: There is no such format; the message lists the choices.
    """
    made: Format = registry.load("formats", name)()
    return made


def find_format(path: Path) -> Format | None:
    """Find the format of a file or folder by its name.

    Args:
        path: Model file or folder.

    Returns:
        The format; None if it is of no export format.
    """
    formats = [make_format(name) for name in registry.choices("formats")]
    match = next((candidate for candidate in formats if path.suffix.lower() == candidate.suffix), None)
    if match is None and (path / "saved_model.pb").is_file():
        return make_format("saved-model")
    return match


def open_exported(path: Path, threads: int = 1) -> ExportedModel:
    """Open a model file of any export format on the CPU.

    Args:
        path: Model file or folder.
        threads: Threads of the runtime.

    Returns:
        The model.

    Raises:
        ModelError: It does not exist, is of no export format, or cannot be opened.
    """
    if not path.exists():
        raise ModelError(f"model file {path} does not exist")
    file_format = find_format(path)
    if file_format is None:
        raise ModelError(f"{path} is of no export format ({', '.join(registry.choices('formats'))})")
    check_integrity(path)
    return file_format.open(path, threads)


__all__ = ["PRECISIONS", "ExportedModel", "Format", "Options", "find_format", "make_format", "open_exported"]
