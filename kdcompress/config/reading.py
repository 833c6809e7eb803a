"""Reading of the values of a recipe file, with paths relative to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kdcompress import registry
from kdcompress.config.choices import choice_class
from kdcompress.config.references import is_folder, make_paths_absolute, to_path
from kdcompress.config.sections import UnlabelledSection
from kdcompress.config.settings import MAX_PATH_CHARS, MissingKeyError, format_name
from kdcompress.config.toml_syntax import check_escapes
from kdcompress.config.toml_values import read_toml
from kdcompress.errors import RecipeError
from kdcompress.plugins import is_reference

PRESETS = Path(__file__).parent / "presets"
_MAX_NAME = 100  # characters of an unknown name in a message


def read_values(recipe: str) -> dict[str, Any]:
    """Read a recipe.

    Args:
        recipe: Name of a built-in recipe, or TOML file.

    Returns:
        Its values, with absolute paths.

    Raises:
        RecipeError: There is no such recipe, or it cannot be read.
    """
    if recipe in registry.choices("recipes"):
        return read_toml(PRESETS / f"{recipe}.toml")
    path, choices = to_path(recipe, "a recipe"), ", ".join(registry.choices("recipes"))
    if not recipe or (not recipe.endswith(".toml") and not path.exists()):
        registry.check("recipes", recipe[:_MAX_NAME])
    if is_folder(path):
        raise RecipeError(f"{format_name(recipe)} is a folder; name a recipe file, or one of {choices}")
    try:
        values = read_toml(path)
    except FileNotFoundError as exc:
        raise RecipeError(f"recipe file {format_name(recipe)} does not exist; built-in recipes: {choices}") from exc
    check_escapes(values, format_name(recipe, MAX_PATH_CHARS), path.parent)
    make_paths_absolute(values, path.resolve().parent, path_keys(values))
    return values


@contextmanager
def naming_file(recipe: str | Path | Mapping[str, Any]) -> Iterator[None]:
    """Context manager that puts the recipe file into messages about missing keys.

    Args:
        recipe: Name of a recipe, its file, or values, which have no file.
    """
    try:
        yield
    except MissingKeyError as exc:
        if isinstance(recipe, Mapping):
            raise
        raise RecipeError(f"{format_name(str(recipe), MAX_PATH_CHARS)}: {exc}") from exc


def path_keys(values: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """List the keys that hold paths of data.

    Args:
        values: Plain values of a recipe.

    Returns:
        Keys by section.
    """
    data = values.get("data")
    paths = {"unlabelled": UnlabelledSection.PATHS}
    name = data.get("name") if isinstance(data, dict) else None
    if name in registry.choices("datasets"):
        paths["data"] = choice_class("data", {"name": name}).PATHS
    elif isinstance(name, str) and is_reference(name):  # which is not imported before it is known to be trusted
        paths["data"] = ("dir",)
    return paths
