"""Headline numbers of a run: how much smaller and faster the student is, and what that costs in quality."""

from __future__ import annotations

from collections.abc import Callable

from kdcompress.formatting import MISSING, abbreviate, digits, grew, integer, percent, points, size, truncate
from kdcompress.reporting._latency_tile import latency_tile
from kdcompress.reporting._metric_rows import change_interval, metric_rows
from kdcompress.reporting._names import files_in_words, missing_model
from kdcompress.reporting._parts import Table, Tile
from kdcompress.reporting._run_data import RunData
from kdcompress.verification.latency import latency_ratio

_SAME = 0.005  # a ratio this close to 1 is shown as no change


def tiles(run: RunData) -> list[Tile]:
    """Build the tiles for parameters, FLOPs (or MACs), bytes and latency, student against teacher."""
    compute = _compute_key(run)
    command = f"kdcompress verify {run.folder}"
    return [
        _cost("Parameters", run, "params", abbreviate, "fewer", "MORE", command),
        _cost("FLOPs" if compute == "flops" else "MACs", run, compute, abbreviate, "fewer", "MORE", command),
        _cost("Bytes", run, "bytes", size, "smaller", "BIGGER", command),
        latency_tile(run),
    ]


def ratios(run: RunData) -> dict[str, float | None]:
    """Compute the ratios student / teacher.

    Args:
        run: Run at any stage.

    Returns:
        Ratios of params, flops (MACs where FLOPs are unknown), bytes and median latency (on one runtime); None where
        unknown.
    """
    keys = {"params": "params", "flops": _compute_key(run), "bytes": "bytes"}
    latency = latency_ratio(run.bench) if run.bench else None
    return {**{name: _ratio(run, key) for name, key in keys.items()}, "latency": latency}


def verdict(run: RunData) -> str:
    """Summarise in words how the student's quality compares with the teacher's and the baseline's.

    Args:
        run: A finished run.

    Returns:
        One or more sentences with differences, their intervals, and McNemar's test at the 5 % level.
    """
    teacher, student = (run.test_metrics[role][run.metric] for role in ("teacher", "student"))
    test = run.comparison["mcnemar"]
    better = "student" if test["student_only_right"] > test["teacher_only_right"] else "teacher"
    # McNemar's test is about accuracy: beside an AUC this must be stated, since the two may disagree
    metric, scope = ("AUC", " in accuracy") if run.metric == "auc" else (run.metric, "")
    outcome = f"the {better} is better{scope}" if test["p"] < 0.05 else f"no difference{scope} is shown"
    change = f"{'gains' if student > teacher else 'loses'} {abs(100 * (student - teacher)):.2f} points of {metric}"
    if student == teacher:
        change = f"has the teacher's {metric}"
    text = (
        f"The student {change}{_difference_interval(run, 'auc_difference')}. "
        f"Of {len(run.finished_outputs.ids):,} test images only the teacher gets {test['teacher_only_right']:,} right, "
        f"only the student {test['student_only_right']:,}: {outcome} (McNemar, p = {digits(test['p'], 2)})."
    )
    if "baseline" not in run.test_metrics:
        return text
    baseline = run.test_metrics["baseline"][run.metric]
    gain = f"the gain is {points(student - baseline)} points{_difference_interval(run, 'auc_gain')}, in one seed"
    if run.at_chance:
        roles = " and ".join(f"the {role}" for role in run.at_chance)
        verb = "are" if len(run.at_chance) > 1 else "is"
        gain = f"no gain can be told, since {roles} {verb} not shown to be better than a constant answer"
    return f"{text} Trained without the teacher, the same student reaches {percent(baseline)}: {gain}."


def _difference_interval(run: RunData, key: str) -> str:
    interval = change_interval(run.comparison[key]) if run.metric == "auc" else MISSING
    return "" if interval == MISSING else f" (95 % interval of the difference: {interval})"


def table(run: RunData) -> Table:
    """Build the table of the costs and test metrics of all models."""
    rows: list[list[str]] = []
    for label, key in _COSTS:
        values = {role: run.costs(role).get(key) for role in run.roles or ("teacher", "student")}
        if values["teacher"] is not None and values["student"] is not None:
            rows.append([label, *(integer(value) for value in values.values()), _change(values)])
    rows += metric_rows(run)
    roles = [*(run.roles or ("teacher", "student"))]
    return Table("Costs, and metrics on test", ["", *roles, "student against teacher"], rows)


_COSTS = (
    ("parameters", "params"),
    ("MACs", "macs"),
    ("FLOPs", "flops"),
    ("bytes of the model file", "bytes"),
    ("bytes of the weights", "weight_bytes"),
)


def _compute_key(run: RunData) -> str:
    """Choose the measure of compute: FLOPs, or MACs where only these are known of both models."""
    known = {key: all(run.costs(role).get(key) for role in ("teacher", "student")) for key in ("flops", "macs")}
    return "macs" if known["macs"] and not known["flops"] else "flops"


def _cost(
    label: str,
    run: RunData,
    key: str,
    format_value: Callable[[float | None], str],
    less: str,
    more: str,
    command: str,
) -> Tile:
    ratio = _ratio(run, key)
    if ratio is None:
        return Tile(label, MISSING, *_why_unknown(run, command), "unknown")
    teacher, student = (format_value(run.costs(role)[key]) for role in ("teacher", "student"))
    detail = _files(run, teacher, student) if key == "bytes" else f"{teacher} → {student}"
    if abs(ratio - 1) < _SAME:
        return Tile(label, "1×", "the same", detail, "same")
    if ratio > 1:
        return Tile(label, f"{digits(ratio)}×", f"{more} than the teacher: they GREW", detail, "bad")
    return Tile(label, f"{digits(1 / ratio)}×", f"{less} than the teacher", detail, "good")


def _why_unknown(run: RunData, command: str) -> tuple[str, str]:
    """Explain why a cost of teacher or student is not known: in two words, and in a few."""
    if problem := missing_model(run):
        return "not known", problem
    if run.verified is None:
        return "not counted yet", f"{command} counts it"
    return "not known", "it cannot be counted for this teacher"


def _files(run: RunData, teacher: str, student: str) -> str:
    """Describe the sizes of the model files, the kinds of these, and the smallest export."""
    kind = files_in_words(run)
    export = _smallest_export(run)
    if kind in ("a Keras file", "Keras files"):
        return f"{teacher} → {student} as Keras files{export}"
    return f"{teacher} as {kind} → {student} as a Keras file{export}"


def _smallest_export(run: RunData) -> str:
    """Describe the smallest export that passed parity, since the deployed file is rarely the Keras file."""
    passed = [entry for entry in run.exports if entry["passed"]]
    teacher = run.costs("teacher").get("bytes")
    if not passed or not teacher:
        return ""
    entry = min(passed, key=lambda entry: (entry["bytes"], entry["path"]))
    name = truncate(entry["path"].rsplit("/", 1)[-1], 32)
    return f"; {size(entry['bytes'])} as {name}, {digits(entry['bytes'] / teacher)} times the teacher's"


def _ratio(run: RunData, key: str) -> float | None:
    teacher, student = run.costs("teacher").get(key), run.costs("student").get(key)
    return student / teacher if teacher and student is not None else None


def _change(values: dict[str, float | None]) -> str:
    teacher, student = values["teacher"], values["student"]
    if not teacher or student is None:
        return MISSING
    return f"{digits(student / teacher)} times" + (", GREW" if grew(student / teacher) else "")
