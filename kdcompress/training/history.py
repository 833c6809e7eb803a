"""history.csv, with one row per phase and epoch."""

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

_INDEX = ("phase", "epoch")
_REQUIRED = ("loss", "val_loss", "val_accuracy", "seconds")


def read_history(path: Path, remedy: str) -> list[dict[str, str]]:
    """Read a history.

    Args:
        path: The file.
        remedy: End of error messages.

    Returns:
        A row for each phase and epoch, whose numbers have been checked; epochs are counted from 1.

    Raises:
        RunError: The file is damaged.
    """
    text = read_text(path, RunError, remedy)
    try:
        rows = list(csv.DictReader(io.StringIO(text, newline=""), strict=True))
    except csv.Error as exc:
        raise RunError(f"{path} is damaged (no CSV: {exc}); {remedy}") from exc
    for number, row in enumerate(rows, start=1):
        if problem := _find_problem(row):
            raise RunError(f"{path} is damaged (row {number}: {problem}); {remedy}")
    return rows


def _find_problem(row: dict[str, Any]) -> str | None:
    if None in row or None in row.values():
        return "not as many fields as the header has"
    if missing := [name for name in (*_INDEX, *_REQUIRED) if not row.get(name)]:
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
    """The history of all phases, in a file that is rewritten atomically after every change.

    Args:
        path: The file, which is read if it exists.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[dict[str, Any]] = []
        if path.exists():
            self.rows.extend(read_history(path, "--fresh starts the run anew"))

    def replace(self, phase: str, rows: list[Row]) -> None:
        """Replace the rows of a phase, and write the file.

        Args:
            phase: Name of the phase.
            rows: One row per epoch.
        """
        self.rows = [row for row in self.rows if row["phase"] != phase]
        self.rows += [{"phase": phase, **row, "epoch": int(row["epoch"])} for row in rows]
        names = dict.fromkeys([*_INDEX, *(name for row in self.rows for name in row)])
        text = io.StringIO()
        writer = csv.DictWriter(text, list(names), lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        write_text(self.path, text.getvalue())

    def digest(self, phase: str) -> str:
        """Compute the SHA-256 of the rows of a phase, which survives a round trip through the file.

        Args:
            phase: Name of the phase.
        """
        rows = [row for row in self.rows if row["phase"] == phase]
        return json_digest([{key: str(value) for key, value in row.items() if value not in ("", None)} for row in rows])
