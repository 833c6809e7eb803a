"""RESULTS.md: each of the paper's figures, ours with its interval, and whether it lies in there."""

from __future__ import annotations

import datetime
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from kdcompress._version import __version__
from kdcompress.sweeping._gain import describe_gain, mean_interval, paired_gain

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from tabling import grid, interval_text, processor

PAPER = {
    "teacher, subclasses": 99.31,
    "teacher": 99.29,
    "student, subclass KD": 98.93,
    "student, KD": 98.85,
    "student, no KD": 98.11,
}
Results = dict[str, dict[tuple[int, int], dict[str, Any]]]


def write_results(
    plan: Any, results: Results, sweeps: dict[str, dict[str, Any]], counted: dict[str, Any], seconds: float
) -> None:
    """Write `plan.results` from all runs and sweeps; `seconds` is what making them took."""
    data = results["kd"][0, 0]["dataset"]
    parts = [
        "# MNIST: the paper's tables from our own runs",
        _made(plan, data, seconds),
        _table_1(counted),
        _table_2(plan, results, data["n_test"]),
        _table_3(plan, results),
        *(_curve(name, result) for name, result in sweeps.items()),
        _notes(plan),
    ]
    plan.results.parent.mkdir(parents=True, exist_ok=True)
    plan.results.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def _made(plan: Any, data: dict[str, Any], seconds: float) -> str:
    whole = (
        "" if _is_whole(data) else " **Not the whole MNIST**: figures are lower than the paper's, and not held to them."
    )
    return (
        f"`python {plan.command}` on {datetime.date.today()}, kdcompress {__version__}, {processor()}, "
        f"{seconds / 60:.0f} minutes of work. {data['n_train']:,} images to train on, {data['n_val']:,} held out to "
        f"choose epochs by, {data['n_test']:,} to test. Teachers of each kind: {len(plan.teachers)}; student seeds for "
        f"each: {len(plan.seeds)}, in table 3 and the curves {len(plan.few)}.{whole}"
    )


def _is_whole(data: dict[str, Any]) -> bool:
    return bool(data["n_test"] == 10_000)


def _table_1(counted: dict[str, Any]) -> str:
    rows = []
    for role, paper in (("teacher", "0.022 G"), ("student", "0.00248 G")):
        cost = counted[role]
        rows.append([role, paper, f"{cost['flops']:,}", f"{cost['macs']:,}", f"{cost['params']:,}"])
    ratio = counted["ratios"]
    note = (
        f"The student has {ratio['params']:.2f} times the teacher's parameters (they grew) and {ratio['flops']:.3f} "
        "times its FLOPs."
    )
    return f"## Table 1: FLOPs\n\n{grid(['', 'paper', 'FLOPs', 'MACs', 'parameters'], rows)}\n\n{note}"


def _table_2(plan: Any, results: Results, n_test: int) -> str:
    kd, subclass = results["kd"], results["subclass"]
    teachers, seeds = plan.teachers, plan.seeds
    ours = {
        "teacher, subclasses": [_accuracy(subclass[t, seeds[0]], "teacher") for t in teachers],
        "teacher": [_accuracy(kd[t, seeds[0]], "teacher") for t in teachers],
        "student, subclass KD": _by_seed(subclass, teachers, seeds),
        "student, KD": _by_seed(kd, teachers, seeds),
        "student, no KD": [_accuracy(kd[teachers[0], seed], "baseline") for seed in seeds],
    }
    held = _is_whole(kd[teachers[0], seeds[0]]["dataset"])
    rows = [
        [name, f"{PAPER[name]:.2f}", *_ours(values, PAPER[name] if held else None)] for name, values in ours.items()
    ]
    table = grid(["test accuracy, %", "paper", "ours (95 %)", "lowest to highest", "paper inside"], rows)
    alone = ours["student, no KD"]
    gains = {
        "KD over no KD": paired_gain(ours["student, KD"], alone),
        "subclass KD over no KD": paired_gain(ours["student, subclass KD"], alone),
        "subclass KD over KD": paired_gain(ours["student, subclass KD"], ours["student, KD"]),
    }
    said = [f"- {name}: {_plain(gain)}" for name, gain in gains.items()]
    order = " > ".join(sorted(("student, subclass KD", "student, KD", "student, no KD"), key=lambda n: -mean(ours[n])))
    spread = 100 * 1.96 * (0.988 * 0.012 / n_test) ** 0.5
    text = "\n".join(
        [
            "Gains, seed by seed (a student's figure is the mean over the teachers, so that the interval is over",
            "student seeds, for these teachers):",
            "",
            *said,
            "",
            f"Our order: {order}. The paper's gains are of one run each; with {n_test:,} test images, one figure alone",
            f"is uncertain by about {spread:.2f} points.",
        ]
    )
    return f"## Table 2: T = 4, alpha = 0.5\n\n{table}\n\n{text}"


def _table_3(plan: Any, results: Results) -> str:
    values = _by_seed(results["table3"], plan.teachers, plan.few)
    teachers = [_accuracy(results["kd"][t, plan.seeds[0]], "teacher") for t in plan.teachers]
    held = _is_whole(results["kd"][plan.teachers[0], plan.seeds[0]]["dataset"])
    paper = {"teacher": 99.29, "student, KD": 98.89}
    ours = {"teacher": teachers, "student, KD": values}
    rows = [[name, f"{paper[name]:.2f}", *_ours(ours[name], paper[name] if held else None)] for name in paper]
    head = ["test accuracy, %", "paper", "ours (95 %)", "lowest to highest", "paper inside"]
    return f"## Table 3: T = 16, alpha = 0.3\n\n{grid(head, rows)}"


def _curve(name: str, result: dict[str, Any]) -> str:
    rows = []
    for one in result["settings"]:
        chosen = "chosen" if one[name] == result["best"][name] else ""
        rows.append([f"{one[name]:g}", interval_text(one["val"]), chosen])
    title = "T, at alpha = 0.5" if name == "temperature" else "alpha, at T = 16"
    paper = "" if name == "temperature" else (
        " The paper's curve over alpha is noise: its loss was given alpha = 0.5 throughout."
    )  # fmt: skip
    chosen = f"Chosen on validation; on test, which only the chosen setting and the baseline saw: {result['sentence']}."
    text = chosen + paper
    return f"## Curve over {title}\n\n{grid([name, 'validation accuracy, % (95 %)', ''], rows)}\n\n{text}"


def _notes(plan: Any) -> str:
    return f"""## How to read it

- *Ours* is the mean with its 95 % interval by Student's t: of teachers over their seeds, of students over student seeds
  (each the mean over the teachers).
- *Paper inside* says whether the paper's figure lies within our interval. That is the interval of a mean: single runs,
  such as the paper's, scatter more, and `causes.py` asks whether a figure outside is one of them.
- Epochs are chosen on validation images carved from train; the paper chose T and alpha on test, and trained on all
  60,000 images.
- All runs lie in `{plan.work.name}/` after `python {plan.command}`; the curves' pages in `{plan.work.name}/pages/`."""


def _accuracy(result: dict[str, Any], role: str) -> float:
    return float(result[role]["metrics"]["accuracy"])


def _by_seed(
    found: dict[tuple[int, int], dict[str, Any]], teachers: Sequence[int], seeds: Sequence[int]
) -> list[float]:
    """A student's accuracy by its seed, the mean over the teachers."""
    return [mean(_accuracy(found[teacher, seed], "student") for teacher in teachers) for seed in seeds]


def _ours(values: Sequence[float], paper: float | None) -> list[str]:
    found = mean_interval(values)
    if found["low"] is None or paper is None:
        return [interval_text(found), f"{100 * min(values):.2f} to {100 * max(values):.2f}", "-"]
    inside = "yes" if 100 * found["low"] <= paper <= 100 * found["high"] else "no"
    return [interval_text(found), f"{100 * min(values):.2f} to {100 * max(values):.2f}", inside]


def _plain(gain: dict[str, Any]) -> str:
    return describe_gain(gain).replace("the teacher brings ", "").replace("the teacher costs ", "")
