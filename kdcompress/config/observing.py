"""The observers of a recipe: sections that say who watches a run, and decide nothing in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import PlainSerializer, PlainValidator, ValidationInfo

from kdcompress.config.choices import Choice, make_choice, withhold
from kdcompress.config.settings import format_name, format_value
from kdcompress.errors import RecipeError

if TYPE_CHECKING:
    from kdcompress.observers import Observer
else:  # which the registry loads: rooms above this one are not imported by name
    Observer = Choice


def _make_observers(sections: Any, info: ValidationInfo) -> dict[str, Any]:
    """Make the observers of a recipe's section `observers`.

    Args:
        sections: By label, each observer's settings, or the observer itself; `name` is the label by default.
        info: Whether the recipe comes from a run folder: then nothing is made of it, for nobody watches that run now.

    Raises:
        RecipeError: With the choices, or with the key, the rule and the value.
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
    """The overrides of a recipe that add observers by their names, with the settings that the recipe has for them.

    Args:
        names: Names, or references package.module:Class, whose label is the class.

    Raises:
        RecipeError: Two different references have the same class name.
    """
    overrides: dict[str, str] = {}
    for name in names:
        key = f"observers.{name.rpartition(':')[2]}.name"
        if overrides.setdefault(key, name) != name:
            raise RecipeError(f"observers {overrides[key]} and {name} have one name: give them labels in the recipe")
    return overrides
