"""A run's machines side by side."""

from __future__ import annotations

from collections.abc import Sequence

from kdcompress.cli._terminal import Terminal
from kdcompress.verification.machines import HEAD, MachineRow

_WORDS = 2  # leading columns, and the last one; the others hold numbers


def show_machines(rows: Sequence[MachineRow], terminal: Terminal) -> None:
    """Print a table of machines, preceded by an empty line; nothing without machines.

    Args:
        rows: Rows of students' files.
        terminal: Where to print.
    """
    if not rows:
        return
    table = [list(HEAD), *(row.cells for row in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    terminal.result("")
    for cells in table:
        padded = [
            cell.ljust(width) if index < _WORDS or index == len(widths) - 1 else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        terminal.result("  ".join(padded).rstrip())
    for name, hardware in {row.machine: row.hardware for row in rows}.items():
        terminal.result(f"{name} is {hardware}")
