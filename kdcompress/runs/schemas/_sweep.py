"""What sweep finds."""

from __future__ import annotations

from kdcompress.runs.schemas._parts import Count, Data, Interval, MetricName
from kdcompress.runs.schemas._result import Kept, Result, brief, made


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


class Space(Result):
    """What was tried."""

    methods: list[str] = made(list)
    temperatures: list[float] = made(list)
    alphas: list[float] = made(list)
    seeds: list[Count]
    trials: Count | None = None


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
        teacher: The teacher on test.
        student: The students of the chosen setting on test.
        baseline: The same students trained without the teacher.
        gain: Student minus baseline, a fraction.
        sentence: The gain in words.
        warnings: What to know before a figure is quoted.
        seconds: How long it took, this time.
    """

    sweep: str = ""
    recipe: str
    dataset: Data
    space: Space
    metric: MetricName = "accuracy"
    trials: list[Trial]
    settings: list[Judged]
    best: Judged
    teacher: OnTest
    student: Role
    baseline: Role
    gain: Gain
    sentence: str
    warnings: list[str]
    seconds: float | None = None

    def _parts(self) -> list[str]:
        best = ", ".join(f"{key}={brief(self.best[key])}" for key in ("method", "temperature", "alpha"))
        gain = f"gain {brief(self.gain.mean)} ({brief(self.gain.low)} to {brief(self.gain.high)})"
        return [best, gain, f"{len(self.trials)} trials"]

    def _check(self) -> None:
        sizes = {len(one.by_seed) for one in (self.student, self.baseline, self.gain)} | {len(self.space.seeds)}
        if len(sizes) > 1:
            raise ValueError(f"there must be a value for each seed, got {sorted(sizes)} of them")
