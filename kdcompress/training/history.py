"""history.csv: one row for each phase and epoch, growing as training goes on."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

from kdcompress.files import write_text
from kdcompress.training.checkpoints import Row

_FIRST = ("phase", "epoch")


class History:
    """The rows of all phases, read from `path` if it exists; the file is whole after every change."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[dict[str, Any]] = []
        if path.exists():
            with path.open(newline="", encoding="utf-8") as handle:
                self.rows = list(csv.DictReader(handle))

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
