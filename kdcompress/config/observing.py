"""The `observers` section of a recipe; observers watch a run and do not influence its result."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import PlainSerializer, PlainValidator, ValidationInfo

from kdcompress.config.choices import Choice, make_choice, withhold
from kdcompress.config.settings import format_name, format_value
from kdcompress.errors import RecipeError

if TYPE_CHECKING:
    from kdcompress.observers import Observer
else:  # loaded by the registry: packages above this one are not imported by name
    Observer = Choice


def _make_observers(sections: Any, info: ValidationInfo) -> dict[str, Any]:
    """Make the observers of a recipe's section `observers`.

    Args:
        sections: Settings of each observer, or the observer itself, by label; `name` is the label by default.
        info: Its context says whether the recipe comes from a run folder, whose observers are only kept, not made.

    Raises:
        RecipeError: A name is unknown, or a setting is invalid.
    """
    if not isinstance(sections, Mapping):
        raise RecipeError(
            f"observers is a section of sections, such as observers.tensorboard, got {format_value(sections)}"
        )
    from_run = bool(info.context and info.context["from_run"])
    observers = {}
    for label, section in sections.items():
        settings, key = _with_name(section, label), f"observers.{format_name(str(label))}"
        observers[label] = withhold(settings, key) if from_run else make_choice("observers", settings, key=key)
    return observers


def _with_name(section: Any, label: Any) -> Any:
    if isinstance(section, Choice):
        section = section.to_dict()
    return {"name": label, **section} if isinstance(section, Mapping) else section


Observers = Annotated[
    dict[str, Observer],
    PlainValidator(_make_observers),
    PlainSerializer(lambda observers: {label: observer.to_dict() for label, observer in observers.items()}),
]
"""The observers of a recipe by label."""


def observer_overrides(names: Iterable[str]) -> dict[str, str]:
    """Make the overrides that add observers to a recipe, with the settings that the recipe has for them.

    Args:
        names: Names, or references package.module:Class, whose label is the class.

    Returns:
        Values by dotted key.

    Raises:
        RecipeError: Two different references have the same class name.
    """
    overrides: dict[str, str] = {}
    for name in names:
        key = f"observers.{name.rpartition(':')[2]}.name"
        if overrides.setdefault(key, name) != name:
            raise RecipeError(f"observers {overrides[key]} and {name} have one name: give them labels in the recipe")
    return overrides
