"""Comparison of two recipes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def first_difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[str, Any, Any] | None:
    """Find the first key, in sorted order, in which two recipes differ.

    Args:
        before: Nested mapping.
        after: Nested mapping.

    Returns:
        Dotted key, value in `before` and value in `after` (None where the key is missing), or None if they are equal.
    """
    left, right = _flatten(before), _flatten(after)
    for key in sorted(left.keys() | right.keys()):
        if left.get(key) != right.get(key):
            return key, left.get(key), right.get(key)
    return None


def _flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat.update(_flatten(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value})
    return flat
