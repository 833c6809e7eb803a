"""Dotted keys laid over the values of a recipe: `--set training.epochs=3`, and what flags stand for."""

from __future__ import annotations

import copy
import sys
from typing import Any

from kdcompress import registry, starts
from kdcompress.errors import RecipeError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def parse_setting(text: str) -> tuple[str, Any]:
    """`KEY=VALUE` as (key, value); the value is read as TOML, and as plain text when it is none."""
    key, equals, value = text.partition("=")
    if not equals or not all(part.strip() for part in key.split(".")):
        raise RecipeError(f"--set takes KEY=VALUE, such as training.epochs=3, got {text[:100]!r}")
    try:
        return key.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key.strip(), value.strip()
    except (RecursionError, ValueError) as exc:  # lists in lists, a number of thousands of digits
        raise RecipeError(f"--set {key.strip()[:80]}: its value cannot be read ({str(exc)[:100]})") from exc


def override(values: dict[str, Any], key: str, value: Any) -> None:
    """Set a dotted key; in a list, a part is the number of an item from 0, or * for all of them."""
    if key == "method.name" and isinstance(value, str) and isinstance(values.get("method"), dict):
        values["method"] = _shared_settings(values["method"], value)
    _drop_other_start(values, key, value)
    _set(values, key.split("."), copy.deepcopy(value), key, "the recipe")


def _drop_other_start(values: dict[str, Any], key: str, model: Any) -> None:
    """Another model does not start from the former's file, and drops what it has no setting for."""
    name, _, last = key.partition(".")
    section = values.get(name)
    if name not in ("teacher", "student") or last != "model" or not isinstance(section, dict):
        return
    if model not in ("", section.get("model")):  # "" makes room for members, which take over what they can
        starts.drop_start(section, str(model))


def refuse_ignored(values: dict[str, Any], key: str) -> None:
    """Of values that `key` was laid over: RecipeError for what a training's stages all have of their own."""
    *sections, training, last = ["", *key.split(".")]
    if training != "training" or last not in ("epochs", "learning_rate"):
        return
    place: Any = values
    for section in (*sections[1:], training):
        place = place.get(section, {}) if isinstance(place, dict) else {}
    stages = place.get("stages") if isinstance(place, dict) else None
    if stages and all(isinstance(stage, dict) and last in stage for stage in stages):
        raise RecipeError(
            f"{key} would change nothing, for every stage has its own: set {key.removesuffix(last)}stages.*.{last}, "
            f"or that of one stage, {key.removesuffix(last)}stages.0.{last}"
        )


def _set(place: Any, parts: list[str], value: Any, key: str, name: str) -> None:
    first, *rest = parts
    if isinstance(place, list):
        for item in place if first == "*" else [_item(place, first, key)]:
            _set(item, rest or [""], value, key, name)
    elif not isinstance(place, dict):
        raise RecipeError(f"unknown key {key!r}: {name} is a value, not a section")
    elif not rest:
        place[first] = value
    elif rest[0] == "*" and not place.get(first):
        raise RecipeError(f"{key} would change nothing: there are no {first} in the recipe")
    else:
        _set(place.setdefault(first, {}), rest, value, key, first)


def _item(items: list[Any], number: str, key: str) -> Any:
    if not number.isdecimal() or int(number) >= len(items):
        raise RecipeError(f"unknown key {key!r}: there are items 0 to {len(items) - 1}, or * for all, got {number!r}")
    return items[int(number)]


def _shared_settings(method: dict[str, Any], name: str) -> dict[str, Any]:
    """Another method takes over the settings that it knows too, and drops the rest."""
    known = registry.load("methods", name).METHOD.model_fields
    return {key: value for key, value in method.items() if key in known}
