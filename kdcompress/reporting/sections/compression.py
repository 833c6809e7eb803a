"""What a compression did to a student, and what it brought."""

from __future__ import annotations

from kdcompress.formatting import percent
from kdcompress.reporting._parts import Section, Table
from kdcompress.reporting._run_data import RunData

_ORIGINS = {"student": "the run's first student", "baseline": "the run's baseline, without the teacher"}
_COSTS = (
    ("parameters", "params"), ("FLOPs", "flops"), ("bytes of weights", "weight_bytes"), ("after gzip", "gzip_bytes"),
)  # fmt: skip


def section(run: RunData) -> Section | None:
    """Build the section; None for a run that is not the folder of a compressed student."""
    if run.compression is None:
        return None
    start = str(run.compression["start"])
    before, after = run.compression["before"], run.compression["after"]
    rows = []
    for title, key in _COSTS:
        if before[key] and after[key] is not None:
            rows.append([title, f"{before[key]:,}", f"{after[key]:,}", f"{after[key] / before[key]:.3g} times"])
    for key in ("auc", "accuracy"):
        values = [part["metrics"].get(key) for part in (before, after)]
        if None not in values:
            points = 100 * (values[1] - values[0])
            name = "AUC" if key == "auc" else key
            rows.append([f"{name} on test", percent(values[0]), percent(values[1]), f"{points:+.2f} points"])
    steps = [[name, str(facts.get("summary", ""))] for name, facts in run.compression["steps"].items()]
    return Section(
        "compression",
        "Compression",
        [f"Compressed from {_ORIGINS.get(start, f'the student {start} of the run')}, tuned in each step."],
        tables=[
            Table("Before and after", ["", "before", "after", "change"], rows),
            Table("The steps", ["step", "what it did"], steps, names=2),
        ],
    )
