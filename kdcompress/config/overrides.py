"""Overrides: dotted keys such as training.epochs, laid over the plain values of a recipe."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from kdcompress import registry
from kdcompress.config import initialization
from kdcompress.config.assistants import assistant_values
from kdcompress.config.settings import format_name, format_value
from kdcompress.config.toml_values import MAX_DEPTH, check_plain_values
from kdcompress.errors import RecipeError


def apply_override(values: dict[str, Any], key: str, value: Any) -> None:
    """Set a dotted key, in place.

    Args:
        values: Plain values of a recipe.
        key: Dotted key; within a list, a part is the index of an item, or * for all items.
        value: The new value.

    Raises:
        RecipeError: The key leads through a value that is not a section, or has no effect.
    """
    parts = key.split(".")
    if len(parts) > MAX_DEPTH:
        raise RecipeError(f"unknown key {format_value(key)}: no recipe has keys of more than {MAX_DEPTH} parts")
    check_plain_values({key: value})
    if key == "method.name" and isinstance(value, str) and isinstance(values.get("method"), dict):
        values["method"] = _shared_settings(values["method"], value)
    _drop_initialization(values, key, value)
    _set(values, parts, copy.deepcopy(value), key, "the recipe")


def override_epochs(values: dict[str, Any], epochs: int, overrides: Mapping[str, Any]) -> None:
    """Set the epochs of all stages of all trainings, including those of teachers and of a compression, in place.

    Args:
        values: Plain values of a recipe.
        epochs: Number of epochs.
        overrides: Values by dotted key that are already set; those of trainings take precedence.
    """
    teacher = values.get("teacher")
    members = teacher.get("members") if isinstance(teacher, dict) else None
    owners = {"": values, "teacher.": teacher}
    owners |= {f"teacher.members.{number}.": member for number, member in enumerate(members or ())}
    # The training of an assistant is the student's, unless it has one
    owners |= {f"{key}.": assistant for key, assistant in assistant_values(values) if "training" in assistant}
    for prefix, owner in owners.items():
        training = owner.get("training", {}) if isinstance(owner, dict) else None
        if isinstance(training, dict):
            apply_override(values, f"{prefix}training{'.stages.*' if training.get('stages') else ''}.epochs", epochs)
    if isinstance(values.get("compress"), dict) and "compress.epochs" not in overrides:
        apply_override(values, "compress.epochs", epochs)
    for key, value in overrides.items():
        if "training" in key.split("."):
            apply_override(values, key, value)


def _drop_initialization(values: dict[str, Any], key: str, model: Any) -> None:
    """When a model is replaced, drop the settings of the former model's initialization."""
    name, _, last = key.partition(".")
    section = values.get(name)
    if name not in ("teacher", "student", "assistant") or last != "model" or not isinstance(section, dict):
        return
    if model not in ("", section.get("model")):  # an empty model is replaced by members, which inherit the settings
        initialization.drop_unsupported(section, str(model))


def check_override_used(values: dict[str, Any], key: str) -> None:
    """Check that an override has an effect: epochs and learning rate of a training are ignored if all stages set them.

    Args:
        values: Plain values of a recipe, with the override.
        key: Dotted key of the override.

    Raises:
        RecipeError: Names the keys of the stages.
    """
    *sections, training, last = ["", *key.split(".")]
    if training != "training" or last not in ("epochs", "learning_rate"):
        return
    node: Any = values
    for section in (*sections[1:], training):
        node = node.get(section, {}) if isinstance(node, dict) else {}
    stages = node.get("stages") if isinstance(node, dict) else None
    if stages and all(isinstance(stage, dict) and last in stage for stage in stages):
        raise RecipeError(
            f"{key} would change nothing, for every stage has its own: set {key.removesuffix(last)}stages.*.{last}, "
            f"or that of one stage, {key.removesuffix(last)}stages.0.{last}"
        )


def _set(node: Any, parts: list[str], value: Any, key: str, name: str) -> None:
    first, *rest = parts
    if isinstance(node, list):
        for item in node if first == "*" else [_item(node, first, key)]:
            _set(item, rest or [""], value, key, name)
    elif not isinstance(node, dict):
        raise RecipeError(f"unknown key {format_value(key)}: {format_name(name)} is a value, not a section")
    elif not rest:
        node[first] = value
    elif rest[0] == "*" and not node.get(first):
        raise RecipeError(f"{format_name(key)} would change nothing: there are no {format_name(first)} in the recipe")
    else:
        _set(node.setdefault(first, {}), rest, value, key, first)


def _item(items: list[Any], number: str, key: str) -> Any:
    if not number.isdecimal() or len(number) > 9 or int(number) >= len(items):
        available = f"there are items 0 to {len(items) - 1}, or * for all" if items else "it has no items"
        raise RecipeError(f"unknown key {format_value(key)}: {available}, got {format_value(number)}")
    return items[int(number)]


def _shared_settings(method: dict[str, Any], name: str) -> dict[str, Any]:
    """The settings of the former method that another method also has."""
    known = registry.load("methods", name).model_fields
    return {key: value for key, value in method.items() if key in known}
