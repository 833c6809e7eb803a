"""Sections of a recipe that name one choice of a room and hold its settings, made into objects."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import ConfigDict, PrivateAttr

from kdcompress import registry
from kdcompress.config.settings import Section, build_section, format_value
from kdcompress.errors import RecipeError, RunError
from kdcompress.plugins import is_reference
from kdcompress.trust import REMEDY, trusts_code

REGISTRY_OF = {"data": "datasets", "method": "methods", "observers": "observers"}  # by section
_MAX_NAME = 100  # characters of a name that is unknown, in a message


class Choice(Section):
    """A choice with its settings as fields: a method, a data set or an observer.

    `name` is its name in recipes, of a class that no recipe named its place in code.
    """

    SECTION: ClassVar[str]
    """The section of a recipe that holds such choices."""

    _name: str = PrivateAttr("")

    @property
    def name(self) -> str:
        """The name in recipes."""
        return self._name or _name_of(self.SECTION, type(self))

    def __getitem__(self, key: str) -> Any:
        """A setting by its key, as in version 0.1, where recipe.method and recipe.data were plain dicts."""
        warnings.warn(
            f"recipe.{self.SECTION}[{key!r}] is deprecated: take recipe.{self.SECTION}.{key}",
            DeprecationWarning,
            stacklevel=2,
        )
        return self.to_dict()[key]

    def to_dict(self) -> dict[str, Any]:
        """The section as a recipe holds it: the name and every setting that is set."""
        return {"name": self.name, **self.model_dump(mode="json", exclude_none=True)}


class UntrustedChoice(Choice):
    """A choice of a run's recipe that is code, package.module:Class, while the user does not trust the run's code.

    It holds the settings as they stand; whatever else it is asked for is refused.
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
    """Make the data set source, method or observer that a recipe's section names.

    Args:
        section: One of ROOMS.
        settings: The section's keys, `name` among them, or the object itself.
        from_run: Whether they come from a run folder, whose code needs the user's trust.
        key: The section's dotted key, where it is not `section` itself.

    Raises:
        RecipeError: With the choices, or with the key, the rule and the value.
    """
    key = key or section
    if isinstance(settings, Choice):
        settings = settings.to_dict()
    if not isinstance(settings, Mapping):
        raise RecipeError(f"{key} is a section, name one of its keys, got {format_value(settings)}")
    name = settings.get("name")
    untrusted = from_run and isinstance(name, str) and is_reference(name) and not trusts_code()
    return _made(UntrustedChoice if untrusted else choice_class(section, settings, key), settings, key)


def withhold(settings: Any, key: str) -> Any:
    """Hold a section's settings as they are: nothing is imported for them.

    Args:
        settings: The section's keys, `name` among them.
        key: The section's dotted key.

    Raises:
        RecipeError: It is no section, or has no name.
    """
    if not (isinstance(settings, Mapping) and isinstance(settings.get("name"), str)):
        raise RecipeError(f"{key} is a section with a name, got {format_value(settings)}")
    return _made(UntrustedChoice, settings, key)


def choice_class(section: str, settings: Mapping[str, Any], key: str = "") -> Any:
    """The class that a recipe's section names; see `make_choice`."""
    room, name = REGISTRY_OF[section], settings.get("name")
    if not isinstance(name, str):
        problem = f"must be one of them, got {format_value(name)}" if "name" in settings else "is missing"
        raise RecipeError(f"{key or section}.name {problem}; choices: {', '.join(registry.choices(room))}")
    return registry.load(room, name[:_MAX_NAME])


def _made(kind: type[Choice], settings: Mapping[str, Any], key: str) -> Choice:
    made = build_section(kind, {name: value for name, value in settings.items() if name != "name"}, key)
    made._name = str(settings["name"])
    return made


def _name_of(section: str, kind: type[Choice]) -> str:
    room = REGISTRY_OF[section]
    built_in = registry.REGISTRIES[room].files()
    return next((name for name in built_in if registry.load(room, name) is kind), f"{kind.__module__}:{kind.__name__}")
