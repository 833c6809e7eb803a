"""Check that teacher and student have not been swapped."""

from __future__ import annotations

from typing import Any

_SAME = 1.1  # a ratio of FLOPs up to which the two are of one size, as born-again networks are


def swapped_roles_warning(teacher: dict[str, Any], student: dict[str, Any]) -> str | None:
    """Warn if the student needs more FLOPs and is more accurate than the teacher.

    Args:
        teacher: `flops` (or None) and `metrics`, with `accuracy` in [0, 1].
        student: The same for the student.

    Returns:
        The warning, or None.
    """
    if teacher["flops"] is None or student["flops"] is None:
        return None
    if student["flops"] <= _SAME * teacher["flops"]:
        return None
    student_accuracy, teacher_accuracy = student["metrics"]["accuracy"], teacher["metrics"]["accuracy"]
    if student_accuracy <= teacher_accuracy:
        return None
    return (
        f"teacher and student look swapped: the student needs {student['flops'] / teacher['flops']:.1f} times the "
        f"teacher's FLOPs and scores better ({100 * student_accuracy:.2f} % against {100 * teacher_accuracy:.2f} %)"
    )
