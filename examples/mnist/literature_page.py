"""LITERATURE.md: each published figure, ours with its interval over seeds, and a sentence where they differ."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from statistics import mean
from typing import Any

import hinton_2015
import mueller_2020
from hinton_2015 import ALPHA, EPOCHS, LONGER, SHORTER, TEACHER_EPOCHS, TEMPERATURE
from literature_runs import Study
from tabling import grid, one_more_run, processor

from kdcompress._version import __version__
from kdcompress.sweeping._gain import mean_interval, paired_gain

NEWLINE = "\n"  # which an expression of an f-string may not hold before Python 3.12
ONE_IMAGE = 1.0  # what a count is not known better than, also where seeds agree by chance
N_TEST = 10_000  # test images of the published figures


@dataclass(frozen=True)
class Found:
    """What was measured.

    Attributes:
        large: The teacher of Hinton et al.
        hinton: Results of `hinton_2015.measure` by seed.
        variants: Results of `hinton_2015.measure_variants`.
        mueller: Results of `mueller_2020.measure` by seed.
    """

    large: dict[str, Any]
    hinton: list[dict[str, dict[str, Any]]]
    variants: dict[str, dict[str, Any]]
    mueller: list[dict[str, dict[str, Any]]]

    @property
    def seconds(self) -> float:
        """The seconds that all runs took, over every start."""
        runs = [run for seed in (*self.mueller, *self.hinton) for run in seed.values()]
        return float(sum(run["seconds"] for run in (self.large, *self.variants.values(), *runs)))


def page(found: Found, study: Study, picture: str) -> str:
    """Write the page in Markdown.

    Args:
        found: What was measured.
        study: How much was done.
        picture: Name of the picture of invented subclasses, beside the page.
    """
    data = found.large["dataset"]
    held = data["n_test"] == N_TEST
    whole = "" if held else " **Not the whole MNIST**: errors are more than the published ones, and not held to them."
    made = (
        f"`python {study.command}` on {datetime.date.today()}, kdcompress {__version__}, {processor()}, "
        f"{found.seconds / 60:.0f} minutes of work. {data['n_train']:,} images to train on, {data['n_val']:,} held out "
        f"to choose epochs by, {data['n_test']:,} to test; seeds: {len(found.hinton)}.{whole}"
    )
    parts = [
        "# MNIST in the literature: published figures beside ours",
        made,
        _hinton(found, study, data["n_test"]),
        *([_mueller(found.mueller, study, picture, data["n_test"])] if found.mueller else []),
    ]
    return "\n\n".join(parts) + "\n"


def _mueller(found: list[dict[str, dict[str, Any]]], study: Study, picture: str, n_test: int) -> str:
    rows = []
    errors = mueller_2020.rows(found)
    for name, (published, spread) in mueller_2020.PUBLISHED.items():
        ours = mean_interval([100 * error for error in errors[name]], 100 * ONE_IMAGE / n_test)
        rows.append(
            [name, f"{published:.2f} ± {spread:.2f}", _interval(ours, 2), _where(published, spread, ours, n_test)]
        )
    plain = mean([one["kd"]["teacher"] for one in found])
    agreement = mean([one["subclass"]["agreement"] for one in found])
    gains = {
        "subclass KD against KD": paired_gain(errors["KD"], errors["subclass KD"]),
        "KD against the student alone": paired_gain(errors["student alone"], errors["KD"]),
    }
    said = [f"- {name}: {_points(gain)}" for name, gain in gains.items()]
    return f"""## MNIST-2x5: Mueller, Kornblith, Hinton 2020

Digits 0 to 4 against 5 to 9. The teacher, the CNN of recipe `mnist`, divides each class into five subclasses of its
own making; the student is the paper's MLP.

{grid(["test error, %", "published", "ours (95 %)", ""], rows)}

{NEWLINE.join(said)}

The teacher with two outputs, which KD has, is wrong in {100 * plain:.2f} %. All settings are those of recipe `mnist`
(T = 4, alpha = 0.5, {study.epochs or mueller_2020.EPOCHS} epochs) with five subclasses, T_aux = 20 and beta = 0.3;
none was tuned for this. The paper's are not known to us, so a row that differs may differ by them.
In the last row the student sees no label, neither a true one nor the teacher's, only how the teacher divides each class
within itself; a class is predicted by how certain the student is there.

![Invented subclasses against true digits]({picture})

Matched one to one, the invented subclasses are the digits for {100 * agreement:.1f} % of the test images (mean over
seeds; the picture is of seed 0), though the teacher was told only which half a digit is in."""


def _hinton(found: Found, study: Study, n_test: int) -> str:
    kd = [one["kd"] for one in found.hinton]
    errors = {
        "teacher": [n_test * found.large["error"]],
        "student alone": [n_test * one["baseline"] for one in kd],
        "KD": [n_test * one["student"] for one in kd],
    }
    rows = [
        [
            name,
            str(published),
            _interval(mean_interval(errors[name], ONE_IMAGE), 1),
            *_next_run(published, errors[name], n_test),
        ]
        for name, published in hinton_2015.PUBLISHED.items()
    ]
    gain = paired_gain(errors["student alone"], errors["KD"])
    epochs = f"{TEACHER_EPOCHS} and {EPOCHS} epochs of Adam, the last quarter at a tenth of 1e-3"
    if study.epochs:
        epochs = f"{study.epochs} epochs of Adam at 1e-3 and as many at 1e-4"
    return f"""## Hinton, Vinyals, Dean 2015

The teacher has two layers of 1,200 units, dropout, limited weights and digits shifted by up to two pixels; the student
two layers of 800, and sees every digit as it is. T = {TEMPERATURE:g}; the paper does not give the rest:
{epochs}, alpha = {ALPHA:g}. One teacher; seeds are the student's.

{grid([f"errors among {n_test:,}", "published", "ours (95 %)", "a next run of ours (95 %)", ""], rows)}

Errors that the teacher saves the student: {gain["mean"]:.1f} ({_span(gain, 1)}); published: 72.\
{_variants(found, n_test)}

### A digit that the student never saw

Threes are left out of the student's images, not out of the teacher's, and the student learns from soft targets alone.
Then the bias of its logit for threes is raised.

{_missing(found, n_test)}

The paper raised the bias by 3.5, chosen on test; the last row does the same, the one before chooses on validation
images, which also choose the epoch, threes among them."""


def _variants(found: Found, n_test: int) -> str:
    """What was tried of the paper's unknown settings, on seed 0."""
    if not found.variants:
        return ""
    short, long, soft = (f"{n_test * found.variants[name]['error']:.0f}" for name in ("short", "long", "soft"))
    usual, kd = (f"{n_test * error:.0f}" for error in (found.large["error"], found.hinton[0]["kd"]["student"]))
    return f"""

What was tried: the teacher has {short} errors after {TEACHER_EPOCHS // SHORTER} epochs, and {usual} after
{TEACHER_EPOCHS}. KD of seed 0 has {kd}, {long} with {LONGER * EPOCHS} epochs in place of {EPOCHS}, and {soft} with
alpha = 1. What else the paper did otherwise is not known. Other test images would move each count by up to twice its
square root, 18 of 83."""


def _missing(found: Found, n_test: int) -> str:
    names = {
        "before": ("as trained", "before"),
        "by_validation": ("chosen on validation", None),
        "by_test": ("chosen on test", "corrected"),
    }
    rows = []
    for key, (name, published) in names.items():
        values = [one["missing"][key] for one in found.hinton]
        total, threes, raised = (mean_interval([value[column] for value in values], ONE_IMAGE) for column in range(3))
        first, second = hinton_2015.PUBLISHED_MISSING[published] if published else ("-", "-")
        verdict = _next_run(first, [value[0] for value in values], n_test)[1] if published else "-"
        shown = [str(first), _interval(total, 1), str(second), _interval(threes, 1), f"{raised['mean']:.1f}", verdict]
        rows.append([name, *shown])
    return grid(["", "published", "ours (95 %)", "published, threes", "ours, threes (95 %)", "raised by", ""], rows)


def _interval(found: dict[str, Any], digits: int) -> str:
    shown = f"{found['mean']:.{digits}f}"
    return (
        shown
        if found["low"] is None
        else f"{shown} ({max(0.0, found['low']):.{digits}f} to {found['high']:.{digits}f})"
    )


def _span(gain: dict[str, Any], digits: int) -> str:
    if gain["low"] is None:
        return "one seed"
    return f"95 % {gain['low']:.{digits}f} to {gain['high']:.{digits}f}, {gain['n']} seeds"


def _points(gain: dict[str, Any]) -> str:
    """A gain in points of accuracy, and whether it is shown."""
    points = {key: gain[key] and 100 * gain[key] for key in ("mean", "low", "high")} | {"n": gain["n"]}
    shown = gain["low"] is None or gain["low"] > 0 or gain["high"] < 0
    return f"{'' if shown else 'no difference shown: '}{points['mean']:+.2f} points of accuracy ({_span(points, 2)})"


def _next_run(published: float, values: list[float], n_test: int) -> list[str]:
    """Where one further run is expected, and whether the published figure, of one run, may be such a one."""
    if len(values) < 2:
        return ["-", "-"]
    low, high = one_more_run(values, ONE_IMAGE)
    found = _where(published, 0.0, {"low": low, "high": high}, n_test)
    return [f"{max(0.0, low):.0f} to {high:.0f}", found]


def _where(published: float, spread: float, ours: dict[str, Any], n_test: int) -> str:
    """Whether an interval of ours and the published figure meet, as the table says it."""
    if ours["low"] is None or n_test != N_TEST:
        return "-"
    if ours["low"] > published + spread:
        return "more errors than published"
    if ours["high"] < published - spread:
        return "fewer errors than published"
    return "agrees"
