"""What sweep finds."""

from __future__ import annotations

from typing import Literal

from kdcompress.formatting import MISSING, percent
from kdcompress.runs.schemas._parts import Count, Data, Interval, MetricName
from kdcompress.runs.schemas._result import Kept, Result, brief, made
from kdcompress.runs.schemas._table import Table


class Setting(Result):
    """What a student was trained with; None where the method has no such setting."""

    method: str
    temperature: float | None
    alpha: float | None


class Judged(Setting):
    """A setting and its metric on validation over the seeds, or the `reason` why there is none."""

    val: Interval | None
    val_loss: float | None = None
    reason: str | None


class Trial(Setting):
    """One setting and seed; `test` is known of the chosen setting alone."""

    seed: Count
    val: float | None
    val_loss: float | None = None
    test: float | None
    best_epoch: Count | None
    seconds: float
    reason: str | None = None


class Role(Result):
    """A model on test: the mean over seeds, and each of them."""

    test: Interval
    by_seed: list[float]


class Gain(Interval):
    """Student minus baseline on test, a fraction: the mean with its paired interval, and seed by seed."""

    by_seed: list[float]


class Compared(Setting):
    """Another setting against the chosen one on validation, seed by seed.

    Attributes:
        difference: The chosen one minus this one, a fraction, with the interval of this one comparison.
        p: Its p-value, corrected for the number of comparisons; None of one seed.
        shown: Whether the chosen one is shown to be better.
    """

    difference: Interval
    p: float | None
    shown: bool


class Comparison(Result):
    """The chosen setting against the others: how p-values were corrected, over how many pairs, and what that shows."""

    correction: str
    pairs: Count
    sentence: str
    others: list[Compared]


class LeftOut(Result):
    """A method that does not fit the classes, the student or the teacher, and the reason."""

    method: str
    reason: str


class Space(Result):
    """What was tried: without temperatures or alphas, each method had its `own`."""

    methods: list[str] = made(list)
    temperatures: list[float] = made(list)
    alphas: list[float] = made(list)
    seeds: list[Count]
    trials: Count | None = None
    own: dict[str, dict[str, float]] = made(dict)


class Worth(Result):
    """Whether distillation is worth it on these data.

    Attributes:
        verdict: Whether the 95 % interval of the gain is above 0, contains it, or is below.
        sentence: The verdict with the gain and what it cost to find.
        students: Number of students that were trained to choose.
        train_seconds: Seconds of their training, all together.
    """

    verdict: Literal["worth it", "not shown", "harmful"]
    sentence: str
    students: Count
    train_seconds: float


class OnTest(Result):
    """A model's metric on test."""

    test: float


class SweepResult(Kept):
    """What `sweep` found, kept as sweep.json.

    Attributes:
        sweep: The sweep's folder; the file itself does not say it.
        recipe: The name of the recipe around which it went.
        dataset: Which data, and how many images.
        space: The settings and seeds that were asked for.
        metric: By which models were judged.
        trials: Every setting and seed.
        settings: Every setting, over its seeds.
        best: The one that was chosen on validation.
        comparison: Whether it is better than the others; None where there are none.
        left_out: Methods that were not tried since they do not fit.
        teacher: The teacher on test.
        student: The students of the chosen setting on test.
        baseline: The same students trained without the teacher.
        gain: Student minus baseline, a fraction.
        sentence: The gain in words.
        warnings: What to know before a figure is quoted.
        seconds: How long it took, this time.
        worth: Whether distillation is worth it here; sweeps of earlier versions do not have it.
    """

    sweep: str = ""
    recipe: str
    dataset: Data
    space: Space
    metric: MetricName = "accuracy"
    trials: list[Trial]
    settings: list[Judged]
    best: Judged
    comparison: Comparison | None = None
    left_out: list[LeftOut] = made(list)
    teacher: OnTest
    student: Role
    baseline: Role
    gain: Gain
    sentence: str
    warnings: list[str]
    seconds: float | None = None
    worth: Worth | None = None

    def _parts(self) -> list[str]:
        best = ", ".join(f"{key}={brief(self.best[key])}" for key in ("method", "temperature", "alpha"))
        gain = f"gain {brief(self.gain.mean)} ({brief(self.gain.low)} to {brief(self.gain.high)})"
        return [best, gain, f"{len(self.trials)} trials"]

    def _table(self) -> Table:
        judged = sorted((one for one in self.settings if one.val is not None), key=_mean, reverse=True)
        rows = []
        for setting in [*judged, *(one for one in self.settings if one.val is None)]:
            chosen = "chosen" if _setting(setting) == _setting(self.best) else ""
            rows.append([setting.method, *_setting(setting)[1:], *_interval(setting.val), chosen])
        metric = "AUC" if self.metric == "auc" else "accuracy"
        head = ["method", "temperature", "alpha", f"validation {metric}", "95 % interval", ""]
        roles = {"teacher": self.teacher.test, "student": self.student.test.mean, "baseline": self.baseline.test.mean}
        on_test = ", ".join(f"{role} {percent(value)}" for role, value in roles.items())
        title = f"Sweep {self.sweep or self.recipe}"
        compared = [self.comparison.sentence] if self.comparison is not None else []
        left_out = [f"left out: {one.method}: {one.reason}" for one in self.left_out]
        finding = self.worth.sentence if self.worth else self.sentence
        notes = [*compared, *left_out, f"{metric} on test: {on_test}", finding]
        return Table(title, head, rows, notes, warnings=self.warnings)

    def _check(self) -> None:
        sizes = {len(one.by_seed) for one in (self.student, self.baseline, self.gain)} | {len(self.space.seeds)}
        if len(sizes) > 1:
            raise ValueError(f"there must be a value for each seed, got {sorted(sizes)} of them")


def _mean(setting: Judged) -> float:
    return setting.val.mean if setting.val is not None else 0.0


def _setting(setting: Setting) -> list[str]:
    values = (setting.temperature, setting.alpha)
    return [setting.method, *(MISSING if value is None else f"{value:g}" for value in values)]


def _interval(value: Interval | None) -> list[str]:
    """A mean and its interval as fractions in per cent."""
    if value is None:
        return [MISSING, MISSING]
    known = value.low is not None and value.high is not None
    return [percent(value.mean), f"{percent(value.low)} to {percent(value.high)}" if known else MISSING]
