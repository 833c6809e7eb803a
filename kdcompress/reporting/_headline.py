"""The numbers that come first: how much smaller, how much faster, at what cost; what grew says so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kdcompress.reporting._facts import Facts
from kdcompress.reporting._metric_rows import change_interval, metric_rows
from kdcompress.reporting._parts import Table
from kdcompress.reporting._words import MISSING, brief, digits, ms, percent, points, short, size, whole
from kdcompress.verification.latency import latency_pair

_SAME = 0.005  # a ratio this near to 1 is no change worth a headline


@dataclass(frozen=True)
class Tile:
    """A number for the top of the page; `mood` is good, bad, same or unknown."""

    label: str
    big: str
    verdict: str
    detail: str
    mood: str


def tiles(facts: Facts) -> list[Tile]:
    """Parameters, FLOPs, bytes and latency, student against teacher."""
    word = _work(facts)
    counted = f"kdcompress verify {facts.folder}"
    return [
        _cost("Parameters", facts, "params", brief, "fewer", "MORE", counted),
        _cost("FLOPs" if word == "flops" else "MACs", facts, word, brief, "fewer", "MORE", counted),
        _cost("Bytes", facts, "bytes", size, "smaller", "BIGGER", counted, _smallest(facts)),
        _latency(facts),
    ]


def ratios(facts: Facts) -> dict[str, float | None]:
    """student / teacher of what is known: params, flops, bytes and latency (the median)."""
    keys = {"params": "params", "flops": _work(facts), "bytes": "bytes"}
    found = {name: _ratio(facts, key) for name, key in keys.items()}
    pair = latency_pair(facts.bench) if facts.bench else None
    return {**found, "latency": pair[0]["p50_ms"] / pair[1]["p50_ms"] if pair else None}


def verdict(facts: Facts) -> str:
    """What the student loses or gains of the metric, and whether the test split can tell the two apart."""
    before, now = (facts.measures[role][facts.metric] for role in ("teacher", "student"))
    test = facts.comparison["mcnemar"]
    who = "student" if test["student_only_right"] > test["teacher_only_right"] else "teacher"
    # Beside an AUC it must be said what the counts are of: the two may well differ in one and not in the other
    metric, of_it = ("AUC", " in accuracy") if facts.metric == "auc" else (facts.metric, "")
    told = f"the {who} is better{of_it}" if test["p"] < 0.05 else f"no difference{of_it} is shown"
    said = (
        f"The student {'gains' if now > before else 'loses'} {abs(100 * (now - before)):.2f} points of {metric}"
        f"{_within(facts, 'auc_difference')}. "
        f"Of {len(facts.finished.ids):,} test images only the teacher gets {test['teacher_only_right']:,} right, "
        f"only the student {test['student_only_right']:,}: {told} (McNemar, p = {digits(test['p'], 2)})."
    )
    if "baseline" not in facts.measures:
        return said
    alone = facts.measures["baseline"][facts.metric]
    gain = f"the gain is {points(now - alone)} points{_within(facts, 'auc_gain')}, in one seed"
    return f"{said} Trained without the teacher, the same student reaches {percent(alone)}: {gain}."


def _within(facts: Facts, key: str) -> str:
    """The interval of a difference of AUCs, where it is these that are spoken of."""
    found = change_interval(facts.comparison[key]) if facts.metric == "auc" else MISSING
    return "" if found == MISSING else f" (95 % interval of the difference: {found})"


def table(facts: Facts) -> Table:
    """Costs and metrics of all models side by side."""
    rows: list[list[str]] = []
    for label, key in _COSTS:
        values = {role: facts.costs(role).get(key) for role in facts.roles or ("teacher", "student")}
        if values["teacher"] is not None and values["student"] is not None:
            rows.append([label, *(whole(value) for value in values.values()), _change(values)])
    rows += metric_rows(facts)
    roles = [*(facts.roles or ("teacher", "student"))]
    return Table("Costs, and metrics on test", ["", *roles, "student against teacher"], rows)


_COSTS = (
    ("parameters", "params"),
    ("MACs", "macs"),
    ("FLOPs", "flops"),
    ("bytes of the model file", "bytes"),
    ("bytes of the weights", "weight_bytes"),
)


def _work(facts: Facts) -> str:
    """What stands for the work of a model: FLOPs, or MACs where one of the two has no FLOPs."""
    return "flops" if all(facts.costs(role).get("flops") for role in ("teacher", "student")) else "macs"


def _cost(label: str, facts: Facts, key: str, say: Any, less: str, more: str, command: str, extra: str = "") -> Tile:
    ratio = _ratio(facts, key)
    if ratio is None and facts.verified:
        return Tile(label, MISSING, "not known", "the teacher's is not: its answers came without a model", "unknown")
    if ratio is None:
        return Tile(label, MISSING, "not counted yet", f"{command} counts it", "unknown")
    teacher, student = facts.costs("teacher")[key], facts.costs("student")[key]
    detail = f"{say(teacher)} → {say(student)}{extra}"
    if abs(ratio - 1) < _SAME:
        return Tile(label, "1×", "the same", detail, "same")
    if ratio > 1:
        return Tile(label, f"{digits(ratio)}×", f"{more} than the teacher: they GREW", detail, "bad")
    return Tile(label, f"{digits(1 / ratio)}×", f"{less} than the teacher", detail, "good")


def _latency(facts: Facts) -> Tile:
    if facts.bench is None:
        return Tile("Latency", MISSING, "not measured yet", f"kdcompress bench {facts.folder} measures it", "unknown")
    pair = latency_pair(facts.bench)
    if pair is None:
        return Tile("Latency", MISSING, "not measured in float32", "see the latency distributions", "unknown")
    student, teacher = pair
    compared = next((one for one in facts.bench["comparisons"] if _is_of(one, student)), None)
    speedup = compared["speedup"] if compared else teacher["p50_ms"] / student["p50_ms"]
    detail = f"{ms(teacher['p50_ms'])} → {ms(student['p50_ms'])} ms for one image, one thread, ONNX Runtime, fp32"
    if compared and compared["speedup_low"] is not None:
        detail += f"; speedup {digits(compared['speedup_low'])} to {digits(compared['speedup_high'])}"
    if compared and not compared["distinguishable"]:
        return Tile("Latency", f"{digits(speedup)}×", "no difference is shown", detail, "same")
    if speedup < 1:
        return Tile("Latency", f"{digits(1 / speedup)}×", "SLOWER than the teacher", detail, "bad")
    return Tile("Latency", f"{digits(speedup)}×", "faster than the teacher", detail, "good")


def _is_of(comparison: dict[str, Any], student: dict[str, Any]) -> bool:
    keys = ("runtime", "precision", "threads", "batch_size")
    return comparison["student"] == student["name"] and all(comparison[key] == student[key] for key in keys)


def _smallest(facts: Facts) -> str:
    """The smallest file that passed, against the teacher's: what is shipped is rarely the Keras file."""
    sound = [entry for entry in facts.exports if entry["passed"]]
    teacher = facts.costs("teacher").get("bytes")
    if not sound or not teacher:
        return ""
    least = min(sound, key=lambda entry: (entry["bytes"], entry["path"]))
    name = short(least["path"].rsplit("/", 1)[-1], 32)
    return f" as Keras files; {size(least['bytes'])} as {name}, {digits(least['bytes'] / teacher)} times the teacher's"


def _ratio(facts: Facts, key: str) -> float | None:
    teacher, student = facts.costs("teacher").get(key), facts.costs("student").get(key)
    return student / teacher if teacher and student is not None else None


def _change(values: dict[str, float | None]) -> str:
    teacher, student = values["teacher"], values["student"]
    if not teacher or student is None:
        return MISSING
    return f"{digits(student / teacher)} times" + (", GREW" if student > teacher else "")
