"""Recipe sections that name a registered class and hold its settings, turned into objects."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import ConfigDict, PrivateAttr

from kdcompress import registry
from kdcompress.config.settings import MissingKeyError, Section, build_section, describe_misspelt, format_value
from kdcompress.errors import RecipeError, RunError
from kdcompress.plugins import is_reference
from kdcompress.registries import REGISTRIES
from kdcompress.trust import REMEDY, trusts_code

REGISTRY_OF = {"data": "datasets", "method": "methods", "observers": "observers"}  # registries by section


class Choice(Section):
    """Base of methods, data set sources and observers, whose settings are pydantic fields."""

    SECTION: ClassVar[str]
    """Key of the recipe section that holds such an object."""

    _name: str = PrivateAttr("")

    @property
    def name(self) -> str:
        """The name in recipes: that of the registry, or package.module:Class."""
        return self._name or _name_of(self.SECTION, type(self))

    def __getitem__(self, key: str) -> Any:
        """Return a setting by its key (deprecated).

        In version 0.1, recipe.method and recipe.data were plain dicts.
        """
        warnings.warn(
            f"recipe.{self.SECTION}[{key!r}] is deprecated: take recipe.{self.SECTION}.{key}",
            DeprecationWarning,
            stacklevel=2,
        )
        return self.to_dict()[key]

    def to_dict(self) -> dict[str, Any]:
        """Return the section as a recipe holds it: the name and all settings that are not None."""
        return {"name": self.name, **self.model_dump(mode="json", exclude_none=True)}


class UntrustedChoice(Choice):
    """Placeholder for package.module:Class in the recipe of a run whose code the user does not trust.

    It holds the settings without validation. Access to any other attribute raises RunError.
    """

    model_config = ConfigDict(extra="allow")

    def __getattr__(self, attribute: str) -> Any:
        if attribute.startswith("__") or attribute in self.__private_attributes__:
            return super().__getattr__(attribute)  # type: ignore[misc]
        extra = self.__pydantic_extra__ or {}
        if attribute in extra:
            return extra[attribute]
        raise RunError(f"the run's recipe names {self._name}, code that runs only if you say so: {REMEDY}")


def make_choice(section: str, settings: Any, from_run: bool = False, key: str = "") -> Any:
    """Make the data set source, method or observer that a recipe section describes.

    Args:
        section: Key in REGISTRY_OF.
        settings: Keys of the section, `name` among them, or the object itself.
        from_run: Whether the recipe comes from a run folder, whose code needs the user's trust.
        key: Dotted key of the section for messages, `section` by default.

    Returns:
        A `Choice`; an UntrustedChoice for code of a run that is not trusted.

    Raises:
        RecipeError: The name is unknown, or a setting is invalid.
    """
    key = key or section
    if isinstance(settings, Choice):
        settings = settings.to_dict()
    if not isinstance(settings, Mapping):
        raise RecipeError(f"{key} is a section, name one of its keys, got {format_value(settings)}")
    name = settings.get("name")
    untrusted = from_run and isinstance(name, str) and is_reference(name) and not trusts_code()
    return _make(UntrustedChoice if untrusted else choice_class(section, settings, key), settings, key)


def withhold(settings: Any, key: str) -> Any:
    """Keep the settings of a section without importing its class.

    Args:
        settings: Keys of the section, `name` among them.
        key: Dotted key of the section for messages.

    Returns:
        An UntrustedChoice.

    Raises:
        RecipeError: The value is not a section, or has no name.
    """
    if not (isinstance(settings, Mapping) and isinstance(settings.get("name"), str)):
        raise RecipeError(f"{key} is a section with a name, got {format_value(settings)}")
    return _make(UntrustedChoice, settings, key)


def choice_class(section: str, settings: Mapping[str, Any], key: str = "") -> Any:
    """Load the class that a recipe section names.

    Args:
        section: Key in REGISTRY_OF.
        settings: Keys of the section, `name` among them.
        key: Dotted key of the section for messages, `section` by default.

    Returns:
        A subclass of `Choice`.

    Raises:
        RecipeError: The name is missing or unknown, or the class cannot be imported.
    """
    registry_name, name = REGISTRY_OF[section], settings.get("name")
    if not isinstance(name, str):
        choices = f"; choices: {', '.join(registry.choices(registry_name))}"
        if "name" not in settings:
            raise MissingKeyError(f"{key or section}.name", f"{choices}{describe_misspelt('name', settings)}")
        raise RecipeError(f"{key or section}.name must be one of them, got {format_value(name)}{choices}")
    return registry.load(registry_name, name)


def _make(kind: type[Choice], settings: Mapping[str, Any], key: str) -> Choice:
    choice = build_section(kind, {name: value for name, value in settings.items() if name != "name"}, key)
    choice._name = str(settings["name"])
    return choice


def _name_of(section: str, kind: type[Choice]) -> str:
    registry_name = REGISTRY_OF[section]
    for name in REGISTRIES[registry_name].files():
        if registry.load(registry_name, name) is kind:
            return name
    return f"{kind.__module__}:{kind.__name__}"
