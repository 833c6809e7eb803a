"""What all public functions have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from kdcompress.missing import naming_packages
from kdcompress.notebook import for_notebooks

P = ParamSpec("P")
R = TypeVar("R")


def verb(function: Callable[P, R]) -> Callable[P, R]:
    """Make a public function of one: it shows its progress in notebooks, and names a package that is missing.

    Args:
        function: Takes `progress` as a keyword.

    Returns:
        The function.
    """
    return for_notebooks(naming_packages(function.__name__)(function))
