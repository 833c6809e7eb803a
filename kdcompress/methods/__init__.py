"""One file per distillation method, each defining METHOD, a subclass of Method."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kdcompress.config.choices import make_choice
from kdcompress.methods._base import Classes, ExtraLoss, Method, NoDistillation


def make_method(settings: Mapping[str, Any]) -> Method:
    """Make a method from its settings.

    Args:
        settings: `name` and the settings of the method, such as {"name": "hinton", "temperature": 4.0}.

    Returns:
        The method, not yet bound to classes.

    Raises:
        RecipeError: The name is unknown, or a setting is invalid.
    """
    method: Method = make_choice("method", settings)
    return method


__all__ = ["Classes", "ExtraLoss", "Method", "NoDistillation", "make_method"]
