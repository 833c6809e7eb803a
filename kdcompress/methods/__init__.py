"""One file per distillation method; each defines METHOD, a subclass of Method."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kdcompress.config.recipe import choose
from kdcompress.methods._base import Method, Task


def make_method(settings: Mapping[str, Any]) -> Method:
    """The method that `settings` name ({"name": "hinton", "temperature": 4.0, ...}); RecipeError if they are wrong."""
    method: Method = choose("method", settings)
    return method


__all__ = ["Method", "Task", "make_method"]
