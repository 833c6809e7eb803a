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
_PIXELS = ("scale", "mean", "std")
_SETTINGS = (*_PIXELS, "size", "layout")


def with_stored(
    section: PreprocessingSection, stored: Mapping[str, Any], description: str, classes: bool = False
) -> PreprocessingSection:
    """Fill in stored settings where the recipe has defaults; one setting of pixels replaces all that are stored.

    A run's own recipe has every default written out, so what is a default cannot mean to replace anything.

    Args:
        section: Preprocessing of the recipe.
        stored: Settings that the file holds.
        description: Name of the teacher in messages.
        classes: Whether the names of the outputs are among them.

    Returns:
        The section.

    Raises:
        ModelError: The file holds settings that no preprocessing has.
    """
    values = storable(stored) | ({"classes": stored["classes"]} if classes and "classes" in stored else {})
    changed = section.model_dump(exclude_defaults=True)
    if {*_PIXELS, "channel_order"} & set(changed):
        values = {key: value for key, value in values.items() if key not in _PIXELS}
    try:
        return PreprocessingSection.model_validate({**values, **changed})
    except ValueError as exc:
        raise ModelError(f"{description} holds settings that no preprocessing has: {one_line(exc)}") from exc


def storable(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Select the settings that a file with a head may hold: its outputs are in the data's order of classes.

    Args:
        stored: Settings that a file holds.
    """
    return {key: value for key, value in stored.items() if key in _SETTINGS}


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


def stored_note(adapter: InputAdapter, stored: Mapping[str, Any]) -> str:
    """Say which preprocessing was read from the model's own files, and whether the recipe replaced it.

    Args:
        adapter: Adapter of the teacher.
        stored: Settings that the files hold.
    """
    section, own = adapter.section, with_stored(PreprocessingSection(), stored, "")
    replaced = (own.scale, own.mean, own.std) != (section.scale, section.mean, section.std)
    return (
        f"gets pixels as {'the recipe says, not its own files' if replaced else 'its own files say'}: size "
        f"{'x'.join(map(str, adapter.input_shape[:2]))}, scale {section.scale:.4g}, mean {_short(section.mean)}, std "
        f"{_short(section.std)}{', its outputs by their names' if section.classes else ''}"
    )


def _short(value: float | tuple[float, ...]) -> str:
    values = value if isinstance(value, tuple) else (value,)
    return ", ".join(f"{number:.4g}" for number in values)
