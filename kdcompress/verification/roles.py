"""A guard against teacher and student in each other's place."""

from __future__ import annotations

from typing import Any


def swapped_roles_warning(teacher: dict[str, Any], student: dict[str, Any]) -> str | None:
    """A warning when the student costs more FLOPs and scores better than the teacher, else None.

    Each is {"flops": int or None, "metrics": {"accuracy": fraction}}.
    """
    if teacher["flops"] is None or student["flops"] is None:
        return None
    if student["flops"] <= teacher["flops"]:
        return None
    mine, theirs = student["metrics"]["accuracy"], teacher["metrics"]["accuracy"]
    if mine <= theirs:
        return None
    return (
        f"teacher and student look swapped: the student needs {student['flops'] / teacher['flops']:.1f} times the "
        f"teacher's FLOPs and scores better ({100 * mine:.2f} % against {100 * theirs:.2f} %)"
    )
