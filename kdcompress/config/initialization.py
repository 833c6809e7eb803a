"""Initialization of zoo models: random or pretrained weights, and the width multiplier."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kdcompress import registry
from kdcompress.config.settings import format_name, format_value
from kdcompress.errors import RecipeError
from kdcompress.urls import check_url, is_url, suffix_in

SETTINGS = ("pretrained", "width")
PRETRAINED = ("none", "imagenet")  # values of `pretrained` beside the path of a weights file
_SUFFIXES = (".h5", ".hdf5", ".keras")  # of weights files, .weights.h5 among them


@dataclass(frozen=True)
class Initialization:
    """Initialization of a zoo model.

    Attributes:
        pretrained: none, imagenet, or the path or URL of a weights file.
        width: Multiplier of the number of filters of every layer.
    """

    pretrained: str = "none"
    width: float = 1.0

    @property
    def weights_file(self) -> str | None:
        """The path or URL of the weights file; None for none and imagenet."""
        return None if self.pretrained in PRETRAINED else self.pretrained


def initialization_settings(model: str) -> dict[str, Any]:
    """Look up which initialization settings a model supports.

    Args:
        model: Name of a zoo model, or any other reference.

    Returns:
        `pretrained` and `width`, as far as the model supports them, with their defaults; empty for a model that is
        not in the zoo.
    """
    if not registry.contains("models", model):
        return {}
    architecture, default = registry.load("models", model), Initialization()
    width = {"width": default.width} if "width" in inspect.signature(architecture.build).parameters else {}
    has_weights = not {"published", "load_published"}.isdisjoint(vars(architecture))
    return width | ({"pretrained": default.pretrained} if has_weights else {})


def check_initialization(section: Any, key: str) -> str:
    """Check that a model supports the initialization that its section sets.

    Args:
        section: A ModelSection.
        key: Dotted key of the section in the recipe.

    Returns:
        `pretrained`, with the path of a weights file made absolute. Whether the file exists is checked by
        `references.check_exists`.

    Raises:
        RecipeError: The model has no such setting.
    """
    model, supported = section.model, initialization_settings(section.model)
    values = {"pretrained": _check_pretrained(section.pretrained, f"{key}.pretrained"), "width": section.width}
    for name, default in vars(Initialization()).items():
        if values[name] != default and name not in supported:
            models = ", ".join(model for model in registry.choices("models") if name in initialization_settings(model))
            setting = f"{key}.{name} = {format_value(values[name])}"
            raise RecipeError(
                f"{setting} is for {models} and the keras:NAME that take it (kdcompress list models); "
                f"{format_name(model)} takes none, leave it out"
            )
    return str(values["pretrained"])


def drop_unsupported(section: dict[str, Any], model: str) -> None:
    """Remove initialization settings that belong to the section's former model, in place.

    Args:
        section: Plain values of a model section.
        model: The model that replaces the former one. Settings that it does not support are removed, and so is the
            weights file of the former model.
    """
    supported = initialization_settings(model)
    for name, default in vars(Initialization()).items():
        if name not in supported or section.get(name) not in (*PRETRAINED, default):
            section.pop(name, None)


def _check_pretrained(text: str, key: str) -> str:
    if text in PRETRAINED:
        return text
    path = Path(text).expanduser()
    if (suffix_in(text) if is_url(text) else path.suffix.lower()) not in _SUFFIXES:
        raise RecipeError(
            f"{key} must be none, imagenet or a weights file ({', '.join(_SUFFIXES)}), "
            f"got {format_value(text)}{registry.did_you_mean(text, PRETRAINED)}"
        )
    return check_url(text, key, RecipeError) if is_url(text) else str(path.resolve())
