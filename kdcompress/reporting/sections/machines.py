"""Times and parity on every machine that measured the run."""

from __future__ import annotations

from collections.abc import Sequence

from kdcompress.formatting import join_names, truncate
from kdcompress.reporting._parts import Section, Table
from kdcompress.reporting._run_data import RunData
from kdcompress.verification.machines import FACTS, HEAD, LOCAL, facts, machine_rows

_WIDEST = 90  # characters of a cell


def section(run: RunData) -> Section | None:
    """Build the section; None for a run that was measured on no other machine."""
    machines = run.machines
    if not (machines.current or machines.outdated):
        return None
    return Section(
        "machines", "On other machines", _text(run), tables=_tables(run), warnings=_warnings(run), missing=_missing(run)
    )


def _tables(run: RunData) -> list[Table]:
    rows = [row.cells for row in machine_rows(run.bench, run.machines.current)]
    if not rows:
        return []
    machines = facts(run.bench, run.machines.current)
    return [
        Table("The students' files, one image a call", HEAD, _short(rows), names=2),
        Table("The machines", FACTS, _short(machines), names=4),
    ]


def _short(rows: Sequence[Sequence[str]]) -> list[list[str]]:
    return [[truncate(cell, _WIDEST) for cell in row] for row in rows]


def _text(run: RunData) -> list[str]:
    text = ["Each machine timed teacher and student in turns; speedups compare the two on the same machine."]
    if run.bench:
        text.append(f"\u201c{LOCAL}\u201d is the machine on which `kdcompress bench` itself ran.")
    if run.machines.current:
        text.append(
            "\u201cParity there\u201d compares a file's outputs on that machine with those where its bundle was made."
        )
    return text


def _warnings(run: RunData) -> list[str]:
    wrong = [row for row in machine_rows(None, run.machines.current) if row.parity and not row.parity["passed"]]
    return [
        f"On {row.machine}, {row.label} does not compute what it computes where its bundle was made: "
        f"{join_names(row.parity['reasons'] if row.parity else [])}."
        for row in wrong
    ]


def _missing(run: RunData) -> list[str]:
    return [
        f"{name} was measured with other files than the run has now ({reason}); "
        f"`kdcompress bundle {run.folder} --out {name}.pyz` makes what measures it again."
        for name, reason in run.machines.outdated.items()
    ]
