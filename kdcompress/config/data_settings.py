"""The data of a recipe alone: their source, and classes that are merged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from kdcompress import registry
from kdcompress.config.choices import choice_class
from kdcompress.config.limits import MAX_CLASSES
from kdcompress.config.overrides import apply_override
from kdcompress.config.reading import naming_file, read_values
from kdcompress.config.sections import ClassNames
from kdcompress.config.settings import MissingKeyError, Section, build_section, describe_misspelt, format_value
from kdcompress.errors import RecipeError

_SECTIONS = ("data", "superclasses")


class DataSettings(Section):
    """What a recipe says about its data.

    Attributes:
        data: Settings of the data set source, with its `name`.
        superclasses: Names of the classes that are merged into each new class.
    """

    data: dict[str, Any]
    superclasses: dict[str, ClassNames] = Field(default_factory=dict, max_length=MAX_CLASSES)


def resolve_data_settings(source: str, overrides: Mapping[str, Any]) -> DataSettings:
    """Resolve the data of a recipe alone; its models need not exist.

    Args:
        source: Name of a data set, name of a built-in recipe, or recipe file.
        overrides: Values by dotted key, such as data.size.

    Returns:
        The settings.

    Raises:
        RecipeError: The recipe cannot be read, or a key is not one of the data.
    """
    values = {"data": {"name": source}} if source in registry.choices("datasets") else read_values(source)
    for key, value in overrides.items():
        if key.partition(".")[0] not in _SECTIONS or "." not in key:
            raise RecipeError(
                "only the data are checked: --set takes data.KEY=VALUE and superclasses.NAME=CLASSES here, got "
                f"{format_value(key)}"
            )
        apply_override(values, key, value)
    settings = values.get("data", {})
    if not isinstance(settings, dict):
        raise RecipeError(f"data is a section, name one of its keys, got {format_value(settings)}")
    with naming_file(source):
        if misspelt := describe_misspelt("data", [] if "data" in values else values):
            raise MissingKeyError("data", misspelt)
        choice_class("data", settings)
        return build_section(
            DataSettings, {"data": settings} | {key: values[key] for key in values if key in _SECTIONS}
        )
