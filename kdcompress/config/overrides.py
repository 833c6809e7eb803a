"""A recipe's values before they are checked: read from TOML, and dotted keys (`--set training.epochs=3`) over them."""

from __future__ import annotations

import copy
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kdcompress import registry
from kdcompress.config import initialization
from kdcompress.config.settings import MAX_PATH_CHARS, format_name, format_value
from kdcompress.errors import KDCompressError, RecipeError
from kdcompress.files import read_text

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

# What no honest recipe holds. Python's TOML parser takes time by the square of the parts of a key, so dots are counted
_MOST_BYTES, _MOST_DOTS, _DEEPEST, _LONGEST, _MOST_BITS = 1 << 20, 1000, 20, 10_000, 128
_SAID = 200  # characters of what a parser says


class _NotText(KDCompressError):
    """A file that is no document at all."""


def read_toml(path: Path) -> dict[str, Any]:
    """The values in a TOML file; RecipeError in one line, with the path, for what is none; FileNotFoundError."""
    shown_path = format_name(str(path), MAX_PATH_CHARS)
    try:
        text = read_text(path, _NotText, "a recipe is text")
    except FileNotFoundError:  # which means another thing to each who asks
        raise
    except _NotText as exc:
        raise RecipeError(f"{shown_path} is not valid TOML: {str(exc).removeprefix(f'{path} is ')}") from exc
    except PermissionError as exc:
        raise RecipeError(f"{shown_path} cannot be read (permission denied)") from exc
    except (OSError, ValueError) as exc:  # links in a circle, a name that is too long or holds a NUL
        said = exc.strerror if isinstance(exc, OSError) else str(exc)
        raise RecipeError(f"{shown_path} cannot be read ({said}); name another file") from exc
    if len(text) > _MOST_BYTES:
        raise RecipeError(f"{shown_path} is too large for a recipe, which has at most {_MOST_BYTES} characters")
    values = _loads(text, shown_path)
    check_plain_values(values, f"{shown_path}: ")
    return values


def _loads(text: str, name: str) -> dict[str, Any]:
    """The values of a TOML document; RecipeError with the `name` of where it stood."""
    _refuse_dots(text, name)
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        raise RecipeError(f"{name} is not valid TOML: {format_name(str(exc), _SAID)}") from exc
    except (RecursionError, ValueError) as exc:  # lists in lists, a number of thousands of digits
        raise RecipeError(f"{name} cannot be read: {format_name(str(exc), _SAID)}") from exc


def _refuse_dots(text: str, name: str) -> None:
    if any(line.count(".") > _MOST_DOTS for line in text.split("\n")):
        raise RecipeError(f"{name} has a line with more than {_MOST_DOTS} dots, which no recipe needs; break the line")


def check_plain_values(values: Mapping[str, Any], where: str = "") -> None:
    """RecipeError for what no key of a recipe takes and much code stumbles over, before anybody looks at it.

    That is what is nested deeper than any recipe, text that is endless or no text, numbers of more digits than Python
    shows. `where` begins the message.
    """
    waiting: list[tuple[tuple[str, ...], Any]] = [((), values)]
    while waiting:
        keys, value = waiting.pop()
        if problem := _oddity(value):
            raise RecipeError(f"{where}{format_name('.'.join(keys))} {problem}, got {format_value(value)}")
        if not isinstance(value, Mapping | list | tuple):
            continue
        if len(keys) >= _DEEPEST:
            raise RecipeError(f"{where}{format_name('.'.join(keys))} is nested deeper than any recipe, {_DEEPEST} keys")
        for key, item in value.items() if isinstance(value, Mapping) else enumerate(value):
            if problem := _oddity(key):
                raise RecipeError(f"{where}a key {problem}, got {format_value(key)}")
            if isinstance(item, Mapping | list | tuple) or _oddity(item):
                waiting.append(((*keys, str(key)), item))


def _oddity(value: Any) -> str:
    if isinstance(value, int) and value.bit_length() > _MOST_BITS:
        return "must be a number of fewer digits"
    if not isinstance(value, str):
        return ""
    if len(value) > _LONGEST:
        return f"must have at most {_LONGEST} characters"
    try:
        value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return "must be text, not halves of characters"
    return "must be text without NUL" if "\0" in value else ""


def parse_setting(text: str) -> tuple[str, Any]:
    """`KEY=VALUE` as (key, value); the value is read as TOML, and as plain text when it is none."""
    key, equals, value = text.partition("=")
    if not equals or not all(part.strip() for part in key.split(".")):
        raise RecipeError(f"--set takes KEY=VALUE, such as training.epochs=3, got {format_value(text)}")
    key = key.strip()
    _refuse_dots(value, f"--set {format_name(key)}")
    try:
        found = tomllib.loads(f"value = {value}")
    except tomllib.TOMLDecodeError:
        return key, value.strip()
    except (RecursionError, ValueError) as exc:  # lists in lists, a number of thousands of digits
        raise RecipeError(f"--set {format_name(key)}: its value cannot be read ({format_name(str(exc))})") from exc
    if len(found) > 1:
        raise RecipeError(f"--set takes one KEY=VALUE, got {format_value(text)}; give --set once for each")
    return key, found["value"]


def apply_override(values: dict[str, Any], key: str, value: Any) -> None:
    """Set a dotted key; in a list, a part is the number of an item from 0, or * for all of them."""
    parts = key.split(".")
    if len(parts) > _DEEPEST:
        raise RecipeError(f"unknown key {format_value(key)}: no recipe has keys of more than {_DEEPEST} parts")
    check_plain_values({key: value})
    if key == "method.name" and isinstance(value, str) and isinstance(values.get("method"), dict):
        values["method"] = _shared_settings(values["method"], value)
    _drop_other_start(values, key, value)
    _set(values, parts, copy.deepcopy(value), key, "the recipe")


def override_epochs(values: dict[str, Any], epochs: int, overrides: Mapping[str, Any]) -> None:
    """Set the epochs of every stage of every training, also of teachers; `overrides` of trainings, set before, win."""
    teacher = values.get("teacher")
    members = teacher.get("members") if isinstance(teacher, dict) else None
    owners = {"": values, "teacher.": teacher}
    owners |= {f"teacher.members.{number}.": member for number, member in enumerate(members or ())}
    for prefix, owner in owners.items():
        training = owner.get("training", {}) if isinstance(owner, dict) else None
        if isinstance(training, dict):
            apply_override(values, f"{prefix}training{'.stages.*' if training.get('stages') else ''}.epochs", epochs)
    for key, value in overrides.items():
        if "training" in key.split("."):
            apply_override(values, key, value)


def _drop_other_start(values: dict[str, Any], key: str, model: Any) -> None:
    """Another model does not start from the former's file, and drops what it has no setting for."""
    name, _, last = key.partition(".")
    section = values.get(name)
    if name not in ("teacher", "student") or last != "model" or not isinstance(section, dict):
        return
    if model not in ("", section.get("model")):  # "" makes room for members, which take over what they can
        initialization.drop_unsupported(section, str(model))


def check_override_used(values: dict[str, Any], key: str) -> None:
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
        raise RecipeError(f"unknown key {format_value(key)}: {format_name(name)} is a value, not a section")
    elif not rest:
        place[first] = value
    elif rest[0] == "*" and not place.get(first):
        raise RecipeError(f"{format_name(key)} would change nothing: there are no {format_name(first)} in the recipe")
    else:
        _set(place.setdefault(first, {}), rest, value, key, first)


def _item(items: list[Any], number: str, key: str) -> Any:
    if not number.isdecimal() or len(number) > 9 or int(number) >= len(items):
        there = f"there are items 0 to {len(items) - 1}, or * for all" if items else "it has no items"
        raise RecipeError(f"unknown key {format_value(key)}: {there}, got {format_value(number)}")
    return items[int(number)]


def _shared_settings(method: dict[str, Any], name: str) -> dict[str, Any]:
    """Another method takes over the settings that it knows too, and drops the rest."""
    known = registry.load("methods", name[:_SAID]).model_fields
    return {key: value for key, value in method.items() if key in known}
