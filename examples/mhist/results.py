"""RESULTS.md: the paper's tables 4 and 5, ours beside them, and what may be said of the difference."""

from __future__ import annotations

import datetime
import sys
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from statistics import mean
from typing import Any

from kdcompress._version import __version__
from kdcompress.sweeping._gain import mean_interval, paired_gain

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from tabling import grid, interval_text, processor


class Row(Enum):
    """The rows of table 5: what they are called, and the paper's AUC in per cent."""

    TEACHER_SUBCLASS = "teacher, subclasses", 86.61
    TEACHER = "teacher", 89.22
    SUBCLASS = "student, subclass KD", 85.28
    KD = "student, KD", 80.72
    ALONE = "student, no KD", 77.32
    TEACHER_SCRATCH = "teacher, without transfer learning", 73.17
    KD_SCRATCH = "student, KD, without transfer learning", 63.18

    @property
    def title(self) -> str:
        return self.value[0]

    @property
    def paper(self) -> float:
        return self.value[1]


Found = dict[Row, list[dict[str, Any]]]
_GAINS = {
    "KD over no KD": (Row.KD, Row.ALONE),
    "subclass KD over no KD": (Row.SUBCLASS, Row.ALONE),
    "subclass KD over KD": (Row.SUBCLASS, Row.KD),
    "transfer learning, of the teacher": (Row.TEACHER, Row.TEACHER_SCRATCH),
    "transfer learning, of the student": (Row.KD, Row.KD_SCRATCH),
}
_PAPER_FLOPS = {"teacher": "8.19e-06 G", "student": "5.12e-06 G"}


def write_results(
    plan: Any, found: Found, counted: dict[str, dict[str, Any]], data: dict[str, Any], seconds: float
) -> None:
    """Write `plan.results`: `found` are verify's metrics by row and seed, `seconds` is what making them took."""
    parts = [_title(plan), _made(plan, data, seconds), _table_4(counted), _table_5(found, data), _beside(found)]
    if len(found) > 3:
        parts.append(_gains(found))
    parts.append(_notes(plan))
    plan.results.parent.mkdir(parents=True, exist_ok=True)
    plan.results.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def _title(plan: Any) -> str:
    return {
        "mhist": "# MHIST: the paper's tables 4 and 5 from our own runs",
        "ebhi": (
            "# The paper's tables 4 and 5 on other tissue: EBHI-Seg, not MHIST\n\n"
            "MHIST may not be handed on, so this is the same pair of networks, trained the same way, on EBHI-Seg "
            "(Shi, Li, Hu et al., CC BY 4.0): H&E tiles of colorectal biopsies, polyp against low-grade "
            "intraepithelial neoplasia, split by case. The paper's figures stand beside ours to be looked at, not to "
            "be agreed with: it is another task, and an easier one."
        ),
        "quick": "# Drawn images, not tissue: `tables.py --quick`\n\nNo figure here says anything about MHIST.",
    }[plan.name]


def _made(plan: Any, data: dict[str, Any], seconds: float) -> str:
    option = "" if plan.name == "mhist" else f" --{plan.name}"
    return (
        f"`python tables.py{option}` on {datetime.date.today()}, kdcompress {__version__}, {processor()}, "
        f"{seconds / 60:.0f} minutes of work. {data['n_train']:,} images to train on, {data['n_val']:,} held out to "
        f"choose epochs and thresholds by, {data['n_test']:,} to test. Seeds, each of a teacher and its student: "
        f"{len(plan.seeds)}. {plan.note}".rstrip()
    )


def _table_4(counted: dict[str, dict[str, Any]]) -> str:
    rows = [
        [role, _PAPER_FLOPS[role], f"{cost['flops']:,}", f"{cost['macs']:,}", f"{cost['params']:,}"]
        for role, cost in counted.items()
    ]
    table = grid(["", "paper", "FLOPs", "MACs", "parameters"], rows)
    ratios = [counted["student"][key] / counted["teacher"][key] for key in ("flops", "params")]
    return (
        f"## Table 4: FLOPs of the pair at 224x224\n\n{table}\n\nThe paper's figures are 2 * 2048 * 2 and 2 * 1280 * "
        "2: the dense heads alone, because the backbones had no fixed image size when they were counted. The student "
        f"has {ratios[0]:.4f} times the teacher's FLOPs and {ratios[1]:.4f} times its parameters."
    )


def _table_5(found: Found, data: dict[str, Any]) -> str:
    rows = []
    for row in Row:
        if row in found:
            aucs = _of(found, row, "auc")
            one = found[row][0]
            shown = interval_text(mean_interval(aucs))
            seeds = ", ".join(f"{100 * value:.2f}" for value in aucs)
            spread = f"{100 * one['auc_low']:.2f} to {100 * one['auc_high']:.2f}"
            rows.append([row.title, f"{row.paper:.2f}", shown, seeds, spread])
    over = found[Row.TEACHER][0]["auc_interval_over"]
    what = {"groups": "cases", "images": "images"}[over]
    head = ["test AUC, %", "paper", "ours (95 % over seeds)", "by seed", f"first seed, 95 % over test {what}"]
    return f"## Table 5: AUC on {data['n_test']:,} test images\n\n{grid(head, rows)}"


def _beside(found: Found) -> str:
    names = {"f1": "F1", "sensitivity": "sensitivity", "specificity": "specificity", "ece": "calibration error"}
    rows = []
    for row in Row:
        if row in found:
            figures = [mean(_of(found, row, key)) for key in names]
            rows.append([row.title, *(f"{100 * value:.2f}" for value in figures[:-1]), f"{figures[-1]:.3f}"])
    table = grid(["mean over seeds", *names.values()], rows)
    return f"Sensitivity and specificity in %, at the threshold that validation chose; F1 in % at 0.5.\n\n{table}"


def _gains(found: Found) -> str:
    said = []
    for name, (better, worse) in _GAINS.items():
        gain = paired_gain(_of(found, better, "auc"), _of(found, worse, "auc"))
        said.append(f"- {name}: {_sentence(gain)} (paper {better.paper - worse.paper:+.2f})")
    return "Gains in AUC, seed by seed:\n\n" + "\n".join(said)


def _sentence(gain: dict[str, Any]) -> str:
    points = f"{100 * gain['mean']:+.2f} points"
    if gain["low"] is None:
        return f"{points} in one seed"
    text = f"{points} (95 % {100 * gain['low']:+.2f} to {100 * gain['high']:+.2f}, {gain['n']} seeds)"
    return text if gain["low"] > 0 or gain["high"] < 0 else f"none shown, {text}"


def _notes(plan: Any) -> str:
    return f"""## How to read it

- *Ours* is the mean over seeds with its 95 % interval by Student's t. What the choice of test images leaves uncertain
  stands beside it, for the first seed: a bootstrap over whole cases where there are such, for their tiles are alike.
- AUC is one over the whole test set. The paper's is the mean over shuffled batches of 32, and of both one-hot columns.
- Student and baseline have the same initial weights, schedule and trainable layers; the paper's baseline was likely
  fine-tuned with its backbone frozen, and its T and alpha were chosen on test.
- Epochs are chosen by AUC on validation images carved from train; test is looked at once.
- All runs lie in `{plan.work.name}/runs/`; `kdcompress verify` and `kdcompress report` show any of them."""


def _of(found: Found, row: Row, key: str) -> Sequence[float]:
    return [float(metrics[key]) for metrics in found[row]]
