"""Section of a sweep's page: the chosen setting against the others on validation, and the methods left out."""

from __future__ import annotations

from typing import Any

from kdcompress.formatting import MISSING, clean, points, sentence
from kdcompress.reporting._parts import Section, Table

_NAMES = {"temperature": "T", "alpha": "alpha"}


def comparison(result: dict[str, Any]) -> Section | None:
    """Build the section.

    Args:
        result: `sweep.json`.

    Returns:
        The section; None where there was one setting, and in documents of earlier versions.
    """
    found, left_out = result.get("comparison"), result.get("left_out", [])
    text, tables = [], []
    if found:
        text = [
            sentence(clean(found["sentence"])),
            "The setting was chosen by these figures, so each p-value is corrected for all pairs that could have been "
            f"compared ({clean(found['correction'])}, {found['pairs']} of them). Each interval is of one comparison.",
        ]
        rows = [_row(other) for other in found["others"]]
        head = ["setting", "behind, points", "95 % interval", "p, corrected", ""]
        tables.append(Table("Behind the chosen setting on validation, paired by seed", head, rows))
    if left_out:
        rows = [[clean(one["method"]), clean(one["reason"])] for one in left_out]
        tables.append(Table("Methods that do not fit, and were left out", ["method", "reason"], rows, names=2))
    return Section("comparison", "Is it better than the others?", text, tables=tables) if tables else None


def describe_setting(setting: dict[str, Any]) -> str:
    """Name a setting in words.

    Args:
        setting: `method`, `temperature` and `alpha`.
    """
    values = [f"{name} {setting[key]:g}" for key, name in _NAMES.items() if setting[key] is not None]
    return " ".join([setting["method"], *values])


def _row(other: dict[str, Any]) -> list[str]:
    difference, p = other["difference"], other["p"]
    interval = MISSING
    if difference["low"] is not None:
        interval = f"{points(difference['low'])} to {points(difference['high'])}"
    corrected = MISSING if p is None else f"{p:.2g}"
    shown = "shown" if other["shown"] else "not shown"
    return [clean(describe_setting(other)), points(difference["mean"]), interval, corrected, shown]
