"""Preprocessing that a model file holds: a default for what the recipe does not set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kdcompress.config.sections import PreprocessingSection
from kdcompress.errors import ModelError, one_line
from kdcompress.files import parse_json
from kdcompress.teachers._adapter import InputAdapter

METADATA_KEY = "kdcompress_preprocessing"
"""Name under which a file of named texts, such as ONNX, holds its preprocessing as JSON."""
_SETTINGS = ("scale", "mean", "std", "size", "layout", "classes")
_SHAPE = ("size", "layout", "classes")


def with_stored(section: PreprocessingSection, stored: Mapping[str, Any], description: str) -> PreprocessingSection:
    """Fill in stored settings where the recipe sets none; one value of the recipe replaces all that are stored.

    Args:
        section: Preprocessing of the recipe.
        stored: Settings that the file holds.
        description: Name of the teacher in messages.

    Returns:
        The section.

    Raises:
        ModelError: The file holds settings that no preprocessing has.
    """
    values = {key: value for key, value in dict(stored).items() if key in _SETTINGS}
    changed = section.model_dump(exclude_unset=True)
    if {"scale", "mean", "std", "channel_order"} & set(changed):
        values = {key: value for key, value in values.items() if key in _SHAPE}
    try:
        return PreprocessingSection.model_validate({**values, **changed})
    except ValueError as exc:
        raise ModelError(f"{description} holds settings that no preprocessing has: {one_line(exc)}") from exc


def read_stored(metadata: Mapping[str, str], description: str) -> dict[str, Any]:
    """Read the preprocessing among the named texts of a file.

    Args:
        metadata: Texts by name, of an untrusted file.
        description: Name of the teacher in messages.

    Returns:
        The settings; empty without any.

    Raises:
        ModelError: The text is no JSON object.
    """
    if METADATA_KEY not in metadata:
        return {}
    name = f"{description}: {METADATA_KEY} in its metadata"
    return parse_json(metadata[METADATA_KEY], name, ModelError, "remove it, and write them into teacher.preprocessing")


def stored_note(adapter: InputAdapter) -> str:
    """Say which preprocessing was read from the model's own files.

    Args:
        adapter: Adapter of the teacher.
    """
    section = adapter.section
    return (
        f"gets pixels as its own files say: size {'x'.join(map(str, adapter.input_shape[:2]))}, scale "
        f"{section.scale:.4g}, mean {_short(section.mean)}, std {_short(section.std)}"
        f"{', its outputs by their names' if section.classes else ''}"
    )


def _short(value: float | tuple[float, ...]) -> str:
    values = value if isinstance(value, tuple) else (value,)
    return ", ".join(f"{number:.4g}" for number in values)
