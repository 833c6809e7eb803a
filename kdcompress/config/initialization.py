"""What a zoo model starts from: random weights, those of ImageNet or a file's, and how wide it is."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kdcompress import registry
from kdcompress.errors import RecipeError

SETTINGS = ("pretrained", "width")
PRETRAINED = ("none", "imagenet")  # what a model may start from beside a file
_SHOWN = 100  # characters of a value in a message
_ENDINGS = (".h5", ".hdf5", ".keras")  # of weights files, .weights.h5 among them


@dataclass(frozen=True)
class Initialization:
    """`pretrained` is none, imagenet or the path of a weights file; `width` multiplies the filters of every layer."""

    pretrained: str = "none"
    width: float = 1.0

    @property
    def weights_file(self) -> Path | None:
        """The weights file, if it is one."""
        return None if self.pretrained in PRETRAINED else Path(self.pretrained)


def initialization_settings(model: str) -> dict[str, Any]:
    """Those of `pretrained` and `width` that a model takes, with their defaults; none unless it is of the zoo."""
    if model not in registry.choices("models"):
        return {}
    architecture, start = registry.load("models", model), Initialization()
    width = {"width": start.width} if "width" in inspect.signature(architecture.build).parameters else {}
    return width | ({"pretrained": start.pretrained} if "published" in vars(architecture) else {})


def check_initialization(section: Any, key: str) -> str:
    """Check what the model of a section starts from.

    Args:
        section: A ModelSection.
        key: Its dotted key in the recipe.

    Returns:
        `pretrained`, the path of a weights file made absolute. `references.check_exists` tells whether it exists.

    Raises:
        RecipeError: The model has no such setting.
    """
    model, known = section.model, initialization_settings(section.model)
    values = {"pretrained": _reference(section.pretrained, f"{key}.pretrained"), "width": section.width}
    for name, default in vars(Initialization()).items():
        if values[name] != default and name not in known:
            able = ", ".join(one for one in registry.choices("models") if name in initialization_settings(one))
            given, told = repr(values[name])[:_SHOWN], model if model.isprintable() else repr(model)
            raise RecipeError(f"{key}.{name} = {given} is for {able}; {told[:_SHOWN]} takes none, leave it out")
    return str(values["pretrained"])


def drop_unsupported(section: dict[str, Any], model: str) -> None:
    """Take away what a section's model started from if another `model` cannot: the former's file, unknown settings."""
    known = initialization_settings(model)
    for name, default in vars(Initialization()).items():
        if name not in known or section.get(name) not in (*PRETRAINED, default):
            section.pop(name, None)


def _reference(text: str, key: str) -> str:
    if text in PRETRAINED:
        return text
    path = Path(text).expanduser()
    if path.suffix.lower() not in _ENDINGS:
        raise RecipeError(
            f"{key} must be none, imagenet or a weights file ({', '.join(_ENDINGS)}), "
            f"got {repr(text)[:_SHOWN]}{registry.did_you_mean(text, PRETRAINED)}"
        )
    return str(path.resolve())
