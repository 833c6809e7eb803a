"""What export makes, and its list of what a folder holds."""

from __future__ import annotations

from kdcompress.formatting import MISSING, digits, percent, points, size
from kdcompress.runs.schemas._explain import Explanation
from kdcompress.runs.schemas._parts import Count, MetricName, Metrics
from kdcompress.runs.schemas._result import Kept, Result, made
from kdcompress.runs.schemas._table import Table


class Parity(Result):
    """An exported file compared with the Keras model.

    Attributes:
        source: Which images.
        n: How many.
        max_abs_diff: The largest difference of two logits; None where values are not finite.
        top1_agreement: The fraction of images with the same top-1 class.
        flipped: The ids of the others.
    """

    source: str = ""
    n: Count
    batch_sizes: list[Count] = made(list)
    max_abs_diff: float | None = None
    mean_abs_diff: float | None = None
    largest_logit: float | None = None
    top1_agreement: float = 1.0
    flipped: list[str] = made(list)


class CalibrationSet(Result):
    """The images that int8 took its ranges from."""

    source: str
    n: Count
    ids: list[str]


class Artefact(Result):
    """An exported file, and what it was measured to be.

    Attributes:
        path: Below the run, or the folder of the exports.
        gzip_bytes: Size after gzip, where zeros and recurring weights show; None in lists of earlier versions.
        float_layers: Layers of an int8 file that stay in float.
        metric_drop: The Keras model's metric minus the file's, a fraction; None without labels.
        recall_change: Recall by class, the file's minus the Keras model's.
        passed: Whether it computes what the Keras model computes.
        reasons: Why not.
    """

    path: str
    format: str
    precision: str
    opset: int | None = None
    bytes: Count
    gzip_bytes: Count | None = None
    sha256: str = ""
    calibration: CalibrationSet | None = None
    float_layers: list[str] = made(list)
    parity: Parity
    metrics: Metrics | None
    metric: MetricName | None
    metric_drop: float | None
    recall_change: dict[str, float | None] | None
    passed: bool
    reasons: list[str]

    def _check(self) -> None:
        if self.metrics is not None and self.metric not in self.metrics:
            raise ValueError(f"metrics must hold {self.metric}, by which the file was judged")


class ExportList(Kept):
    """exports.json: the files that lie in a folder of exports.

    Attributes:
        student_digest: Digest of the model that was exported, over its architecture and weights.
        versions: Versions of the packages that wrote them.
        artefacts: The files, and what each was measured to be.
    """

    student_digest: str
    versions: dict[str, str] = made(dict)
    artefacts: list[Artefact]


class ExportFailure(Result):
    """A file that could not be made, and why."""

    format: str
    precision: str
    reason: str


class Export(Kept):
    """What `export` made.

    Attributes:
        run: The run folder; None of a model on its own.
        model: The model on its own; None of a run.
        out: The folder of the exports of a model on its own; None of a run.
        artefacts: The files made.
        failures: The files that could not be made.
        passed: Whether every file could be made and computes what the Keras model computes.
        seconds: How long it took.
        explanation: What the search for the layers of int8 files that stay in float measured; None without one.
    """

    run: str | None = None
    model: str | None = None
    out: str | None = None
    artefacts: list[Artefact]
    failures: list[ExportFailure]
    passed: bool
    seconds: float
    explanation: Explanation | None = None

    def _parts(self) -> list[str]:
        failures = [f"{len(self.failures)} failures"] if self.failures else []
        return [f"{len(self.artefacts)} files", *failures, f"passed={self.passed}"]

    def _table(self) -> Table:
        head = ["file", "size", "gzip", "largest difference", "same answers", "accuracy", "passed"]
        metric = next((file.metric for file in self.artefacts if file.metric == "auc"), None)
        head[5] = "change of AUC" if metric else "change of accuracy"
        rows = []
        for file in self.artefacts:
            parity, drop = file.parity, file.metric_drop
            difference = MISSING if parity.max_abs_diff is None else digits(parity.max_abs_diff)
            change = MISSING if drop is None else f"{points(-drop)} points"
            passed = "yes" if file.passed else "NO"
            rows.append(
                [
                    file.path,
                    size(file.bytes),
                    size(file.gzip_bytes),
                    difference,
                    percent(parity.top1_agreement),
                    change,
                    passed,
                ]
            )
        failed = [f"{file.path}: {reason}" for file in self.artefacts for reason in file.reasons]
        failures = [f"{one.format} {one.precision} could not be made: {one.reason}" for one in self.failures]
        return Table(f"Exports of {self.run or self.model}", head, rows, failures=[*failed, *failures])
