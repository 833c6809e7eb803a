"""Rows of tables: a model each, and gates."""

from __future__ import annotations

from collections.abc import Iterable

from kdcompress.formatting import MISSING, abbreviate, digits, percent, points, size
from kdcompress.runs.schemas._parts import Costs, Gate, Metrics, Ratios

_NAMES = {"teacher": "teacher", "student": "student", "baseline": "without teacher"}


def metric_heads(metrics: Metrics) -> list[str]:
    """The heads of the columns of metrics: AUC of two classes, and accuracy."""
    return [*(["AUC"] if metrics.get("auc") is not None else []), "accuracy"]


def metric_row(role: str, metrics: Metrics, with_auc: bool) -> list[str]:
    """A model and its metrics on test.

    Args:
        role: teacher, student or baseline.
        metrics: Its metrics.
        with_auc: Whether there is a column of AUCs.
    """
    auc = [percent(metrics.get("auc"))] if with_auc else []
    return [_NAMES.get(role, role), *auc, percent(metrics.get("accuracy"))]


def change_row(teacher: Metrics, student: Metrics, with_auc: bool) -> list[str]:
    """The differences of the metrics in percentage points, for the row of the ratios."""
    keys = ["auc", "accuracy"] if with_auc else ["accuracy"]
    return ["student / teacher", *(_change(teacher.get(key), student.get(key)) for key in keys)]


def _change(before: float | None, after: float | None) -> str:
    return MISSING if before is None or after is None else f"{points(after - before)} points"


def model_rows(
    teacher: Costs, student: Costs, baseline: Costs | None, ratios: Ratios
) -> tuple[list[str], list[list[str]]]:
    """Rows of teacher, student and baseline with their metrics, parameters, FLOPs and bytes, and of the ratios.

    MACs are shown where the FLOPs of the teacher are unknown, as those of an ONNX file, and MACs are not.

    Args:
        teacher: The teacher.
        student: The student.
        baseline: The student trained without the teacher, which costs what the student costs.
        ratios: Student / teacher.

    Returns:
        (heads, rows), without columns in which no row has a value.
    """
    work = "macs" if teacher.flops is None and teacher.macs is not None and student.macs is not None else "flops"
    with_auc = student.metrics.get("auc") is not None
    costs = {"teacher": teacher, "student": student, "baseline": student}
    known = {"teacher": teacher, "student": student, "baseline": baseline}
    rows = [
        [
            *metric_row(role, model.metrics, with_auc),
            abbreviate(costs[role].params),
            abbreviate(costs[role].get(work)),
            size(costs[role].bytes),
        ]
        for role, model in known.items()
        if model is not None
    ]
    shares = [MISSING if value is None else digits(value) for value in (ratios.params, ratios.flops, ratios.bytes)]
    head = ["on test", *metric_heads(student.metrics), "parameters", "MACs" if work == "macs" else "FLOPs", "file"]
    return without_empty(head, [*rows, [*change_row(teacher.metrics, student.metrics, with_auc), *shares]])


def without_empty(head: list[str], rows: list[list[str]]) -> tuple[list[str], list[list[str]]]:
    """Leave out the columns in which no row has a value.

    Args:
        head: The heads.
        rows: The rows.

    Returns:
        (heads, rows).
    """
    kept = [index for index in range(len(head)) if index == 0 or any(row[index] != MISSING for row in rows)]
    return [head[index] for index in kept], [[row[index] for index in kept] for row in rows]


def describe_gates(gates: Iterable[Gate]) -> tuple[list[str], list[str]]:
    """Describe gates in a line each.

    Args:
        gates: The gates.

    Returns:
        (lines of gates that are passed, lines of gates that failed).
    """
    passed: list[str] = []
    failed: list[str] = []
    for gate in gates:
        value = "not measured" if gate.value is None else digits(gate.value)
        (passed if gate.passed else failed).append(f"gate {gate.name} {gate.limit:g}: {value}")
    return [f"passed: {line}" for line in passed], failed


def ratio(part: float | None, whole: float | None) -> float | None:
    """A ratio of two counts; None where one is unknown or the second is zero."""
    return None if part is None or not whole else part / whole
