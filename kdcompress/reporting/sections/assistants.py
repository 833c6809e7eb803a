"""Assistants: the models between teacher and student, with their accuracy on test."""

from __future__ import annotations

from kdcompress.formatting import clean, integer, percent
from kdcompress.reporting._names import model_name
from kdcompress.reporting._parts import Section, Table
from kdcompress.reporting._run_data import RunData


def section(run: RunData) -> Section | None:
    """Build the section; None of a run without assistants, and before it is finished."""
    assistants = (run.metrics or {}).get("assistants", [])
    if not assistants:
        return None
    rows = [
        [one["name"], clean(model_name(one["model"])), integer(one["params"]), percent(one["metrics"]["accuracy"])]
        for one in assistants
    ]
    text = [
        "Each was distilled from the one before it, the first from the teacher; the outputs of the last one are the "
        "student's targets. All comparisons on this page are of the student with the teacher itself."
    ]
    head = ["", "model", "parameters", "accuracy on test"]
    return Section("assistants", "Between teacher and student", text, tables=[Table("Assistants", head, rows, names=2)])
