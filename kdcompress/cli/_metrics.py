"""Tables of metrics in `verify`: of teacher and student, and by agreement of the annotators."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kdcompress.cli._terminal import Terminal

_SIGNIFICANT = 0.05  # p of McNemar's test below which accuracies count as different
_ROLES = ("teacher", "student")
_MISSING = "-"


@dataclass(frozen=True)
class Columns:
    """Prints a table with a column of labels and one each for teacher and student.

    Attributes:
        terminal: Output.
        width: Width of the column of labels, in characters.
    """

    terminal: Terminal
    width: int

    @classmethod
    def of(cls, result: dict[str, Any], terminal: Terminal) -> Columns:
        """Make a table wide enough for the names of the classes.

        Args:
            result: Result of `verify`.
            terminal: Output.
        """
        return cls(terminal, max(18, *(len(_recall_of(name)) for name in result["classes"])))

    def show(self, label: str, teacher: str, student: str, change: str = "") -> None:
        """Print a line.

        Args:
            label: Label.
            teacher: Value of the teacher.
            student: Value of the student.
            change: Text behind the values.
        """
        self.terminal.result(f"{label:<{self.width}} {teacher:>15} {student:>15}   {change}".rstrip())

    def fractions(self, label: str, teacher: float | None, student: float | None, change: str = "") -> None:
        """Print two fractions in per cent, unless one is unknown.

        Args:
            label: Label.
            teacher: Fraction of the teacher.
            student: Fraction of the student.
            change: Text behind the values; by default their difference in percentage points.
        """
        if teacher is not None and student is not None:
            change = change or f"{100 * (student - teacher):+.2f} points"
            self.show(label, f"{100 * teacher:.2f} %", f"{100 * student:.2f} %", change)


def show_metrics(result: dict[str, Any], columns: Columns) -> None:
    """Print the test metrics of teacher and student, their differences, and intervals and tests of these.

    Args:
        result: Result of `verify`.
        columns: Output.
    """
    terminal = columns.terminal
    teacher, student = (result[role]["metrics"] for role in _ROLES)
    columns.fractions("accuracy", teacher["accuracy"], student["accuracy"])
    columns.fractions("F1 (at 0.5)" if "auc" in teacher else "F1", teacher["f1"], student["f1"])
    for name in result["classes"]:
        columns.fractions(_recall_of(name), teacher["recall"][name], student["recall"][name])
    if "auc" in teacher:
        _show_binary(result, columns)
    if teacher["ece"] is not None and student["ece"] is not None:
        columns.show("calibration error", f"{teacher['ece']:.4f}", f"{student['ece']:.4f}")
    grouped = teacher.get("auc_interval_over") == "groups"
    terminal.result(_difference(result["comparison"], grouped))
    if gain := result["comparison"].get("auc_gain"):
        terminal.result(f"the same student trained without the teacher: the gain in AUC is {_change(gain)}")
    if teacher["by_agreement"]:
        _show_agreement(result, terminal)


def _recall_of(name: str) -> str:
    return f"  recall of {name}"


def _show_binary(result: dict[str, Any], columns: Columns) -> None:
    teacher, student = (result[role]["metrics"] for role in _ROLES)
    if difference := result["comparison"]["auc_difference"]:
        columns.fractions("AUC", teacher["auc"], student["auc"], _change(difference))
        over = f"in %, from resampled {teacher['auc_interval_over']}"
        columns.show("  95 % interval", _interval(teacher), _interval(student), over)
    if teacher["threshold"] is not None and student["threshold"] is not None:
        images = f"{teacher['threshold_images']:,} validation images"
        note = f"of P({result['classes'][1]}), chosen on {images}; at it:"
        columns.show("threshold", f"{teacher['threshold']:.3g}", f"{student['threshold']:.3g}", note)
        for label, key in (("sensitivity", "sensitivity"), ("specificity", "specificity"), ("F1", "f1_at_threshold")):
            columns.fractions(f"  {label}", teacher[key], student[key])


def _change(difference: dict[str, Any]) -> str:
    """A difference of AUCs in percentage points, with its interval."""
    value = f"{100 * difference['value']:+.2f} points"
    if difference["low"] is None:
        return value
    return f"{value} (95 %: {100 * difference['low']:+.2f} to {100 * difference['high']:+.2f})"


def _interval(metrics: dict[str, Any]) -> str:
    low, high = metrics["auc_low"], metrics["auc_high"]
    return _MISSING if low is None else f"{100 * low:.2f} to {100 * high:.2f}"


def _difference(comparison: dict[str, Any], grouped: bool) -> str:
    test = comparison["mcnemar"]
    student_only, teacher_only, p = test["student_only_right"], test["teacher_only_right"], test["p"]
    better = "student" if student_only > teacher_only else "teacher"
    metric = " in accuracy" if "auc_difference" in comparison else ""
    verdict = f"the {better} is better{metric}" if p < _SIGNIFICANT else f"no difference{metric} is shown"
    caveat = ", as if images of one group were independent" if grouped else ""
    return (
        f"they agree on {100 * comparison['agreement']:.2f} % of the test images; only the teacher is right on "
        f"{teacher_only:,}, only the student on {student_only:,}: {verdict} (McNemar, p = {p:.2g}{caveat})"
    )


def _show_agreement(result: dict[str, Any], terminal: Terminal) -> None:
    """Print a line per level of agreement and model, the lowest level first."""
    binary = "auc" in result["teacher"]["metrics"]
    terminal.result("")
    note = "; F1, sensitivity and specificity at the threshold" if binary else ""
    terminal.result(f"by agreement of the annotators, in %{note}")
    binary_columns = f" {'AUC':>7} {'95 % interval':>15} {'F1':>7} {'sens.':>7} {'spec.':>7}" if binary else ""
    head = f"{'agreement':<10} {'images':>7}  {'model':<8} {'accuracy':>8}{binary_columns} {'calib. error':>13}"
    terminal.result(head)
    for levels in zip(*(result[role]["metrics"]["by_agreement"] for role in _ROLES), strict=True):
        for role, level in zip(_ROLES, levels, strict=True):
            name, images = (level["agreement"], f"{level['n']:,}") if role == "teacher" else ("", "")
            terminal.result(f"{name:<10} {images:>7}  {role:<8} {_level(level, binary)}")
    terminal.result("")


def _level(level: dict[str, Any], binary: bool) -> str:
    error = _MISSING if level["ece"] is None else f"{level['ece']:.4f}"
    text = f"{_percent(level['accuracy']):>8}"
    if binary:
        rates = " ".join(f"{_percent(level[key]):>7}" for key in ("f1", "sensitivity", "specificity"))
        text += f" {_percent(level['auc']):>7} {_interval(level):>15} {rates}"
    return f"{text} {error:>13}"


def _percent(fraction: float | None) -> str:
    return _MISSING if fraction is None else f"{100 * fraction:.2f}"
