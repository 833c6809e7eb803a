"""history.csv: one row for each phase and epoch, growing as training goes on."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path
from typing import Any

from kdcompress.digests import json_digest
from kdcompress.errors import RunError
from kdcompress.files import read_text, write_text
from kdcompress.training.checkpoints import Row

_FIRST = ("phase", "epoch")
_NEEDED = ("loss", "val_loss", "val_accuracy", "seconds")


def read_history(path: Path, remedy: str) -> list[dict[str, str]]:
    """The rows of a history, each with its phase, its epoch from 1, and numbers; RunError if the file is damaged."""
    text = read_text(path, RunError, remedy)
    try:
        rows = list(csv.DictReader(io.StringIO(text, newline=""), strict=True))
    except csv.Error as exc:
        raise RunError(f"{path} is damaged (no CSV: {exc}); {remedy}") from exc
    for number, row in enumerate(rows, start=1):
        if problem := _problem(row):
            raise RunError(f"{path} is damaged (row {number}: {problem}); {remedy}")
    return rows


def _problem(row: dict[str, Any]) -> str | None:
    """What is wrong with a row, or None."""
    if None in row or None in row.values():
        return "not as many fields as the header has"
    if missing := [name for name in (*_FIRST, *_NEEDED) if not row.get(name)]:
        return f"no {missing[0]}"
    if not (row["epoch"].isdecimal() and len(row["epoch"]) < 10):
        return f"the epoch must be a whole number, got {row['epoch'][:20]!r}"
    for name, value in row.items():
        if name != "phase" and value and not _is_finite(value):
            return f"{name} must be a finite number, got {value[:20]!r}"
    return None


def _is_finite(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


class History:
    """The rows of all phases, read from `path` if it exists; the file is whole after every change."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[dict[str, Any]] = []
        if path.exists():
            self.rows.extend(read_history(path, "--fresh starts the run anew"))

    def replace(self, phase: str, rows: list[Row]) -> None:
        """Put `rows` in place of what is known of `phase`, and write the file."""
        self.rows = [row for row in self.rows if row["phase"] != phase]
        self.rows += [{"phase": phase, **row, "epoch": int(row["epoch"])} for row in rows]
        names = dict.fromkeys([*_FIRST, *(name for row in self.rows for name in row)])
        text = io.StringIO()
        writer = csv.DictWriter(text, list(names), lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        write_text(self.path, text.getvalue())

    def digest(self, phase: str) -> str:
        """SHA-256 over what is known of a phase, the same before and after the file is read again."""
        own = [row for row in self.rows if row["phase"] == phase]
        return json_digest([{key: str(value) for key, value in row.items() if value not in ("", None)} for row in own])
