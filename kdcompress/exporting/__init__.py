"""One file per format, each defining FORMAT; parity, calibration and quantization in the underscored parts."""

from __future__ import annotations

from pathlib import Path

from kdcompress import registry
from kdcompress.errors import ModelError
from kdcompress.exporting._base import PRECISIONS, ExportedModel, Format, Options
from kdcompress.runs.integrity import check_integrity


def make_format(name: str) -> Format:
    """The format of that name; UsageError with the choices if there is none."""
    made: Format = registry.load("formats", name)()
    return made


def find_format(path: Path) -> Format | None:
    """The format that a file or folder is of, by its name, or None."""
    formats = [make_format(name) for name in registry.choices("formats")]
    named = next((one for one in formats if path.suffix.lower() == one.suffix), None)
    if named is None and (path / "saved_model.pb").is_file():
        return make_format("saved-model")
    return named


def open_exported(path: Path, threads: int = 1) -> ExportedModel:
    """Open a model file of any export format on the CPU; ModelError if it is none or cannot be opened."""
    if not path.exists():
        raise ModelError(f"model file {path} does not exist")
    kind = find_format(path)
    if kind is None:
        raise ModelError(f"{path} is of no export format ({', '.join(registry.choices('formats'))})")
    check_integrity(path)
    return kind.open(path, threads)


__all__ = ["PRECISIONS", "ExportedModel", "Format", "Options", "find_format", "make_format", "open_exported"]
