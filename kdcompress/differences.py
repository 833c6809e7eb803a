"""Where two recipes differ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def first_difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[str, Any, Any] | None:
    """The first dotted key in which two recipes differ, with both values; None where they agree."""
    one, other = _flat(before), _flat(now)
    return next(
        (
            (key, one.get(key), other.get(key))
            for key in sorted(one.keys() | other.keys())
            if one.get(key) != other.get(key)
        ),
        None,
    )


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat.update(_flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value})
    return flat
