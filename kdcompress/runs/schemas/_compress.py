"""What compress did, and what it would do."""

from __future__ import annotations

from typing import Any

from kdcompress.runs.schemas._parts import Count
from kdcompress.runs.schemas._result import Kept, Result, brief, made
from kdcompress.runs.schemas._table import Table


class CompressedCosts(Result):
    """What a student costs and does, before or after a compression.

    Attributes:
        params: Number of parameters.
        flops: FLOPs of one image; None if unknown.
        weight_bytes: Bytes of the weights in float32.
        gzip_bytes: Bytes of the weights after gzip, which finds zeros and recurring values.
        metrics: Metrics on test.
    """

    params: Count
    flops: Count | None
    weight_bytes: Count
    gzip_bytes: Count
    metrics: dict[str, float | None]


class ShippedFile(Result):
    """An exported file of a quantized student; its path is relative to the student's folder."""

    path: str
    format: str
    precision: str
    bytes: Count
    metrics: dict[str, Any] | None
    passed: bool


class Compression(Kept):
    """What `compress` did, kept as compress.json.

    Attributes:
        run: Folder of the compressed student; the file itself does not say it.
        name: Its name.
        start: The student that was compressed.
        steps: What each step did, by its name.
        teacher: The teacher's `metrics` on test.
        before: Costs and metrics of the student before.
        after: Costs and metrics of the compressed student.
        shipped: Exported files of a quantized student.
        seconds: Duration over all resumptions.
        warnings: What to know before a figure is quoted.
    """

    run: str = ""
    name: str
    start: str
    steps: dict[str, dict[str, Any]]
    teacher: dict[str, Any]
    before: CompressedCosts
    after: CompressedCosts
    shipped: list[ShippedFile] = made(list)
    seconds: float
    warnings: list[str]

    def _check(self) -> None:
        if (facts := self.steps.get("cluster")) is not None:  # which a later step reads
            clusters = facts.get("clusters")
            if not isinstance(clusters, int) or clusters < 2:
                raise ValueError(f"steps.cluster.clusters must be a whole number >= 2, got {brief(clusters)}")

    def _parts(self) -> list[str]:
        key = "auc" if self.after.metrics.get("auc") is not None else "accuracy"
        values = f"{brief(self.before.metrics.get(key))} -> {brief(self.after.metrics.get(key))}"
        return [f"name={self.name!r}", f"params={self.before.params:,} -> {self.after.params:,}", f"{key}: {values}"]

    def _table(self) -> Table:
        keys = ("params", "flops", "weight_bytes", "gzip_bytes")
        rows = [[key, brief(self.before[key]), brief(self.after[key])] for key in keys]
        rows += [[key, brief(self.before.metrics.get(key)), brief(value)] for key, value in self.after.metrics.items()]
        return Table(f"{self.run}: {', '.join(self.steps)}", ["", "before", "after"], rows, warnings=self.warnings)


class PlannedStep(Result):
    """A step that a compression would take."""

    name: str
    epochs: Count
    learning_rate: float
    todo: str


class CompressionPlan(Kept):
    """What `compress --dry-run` says that compress would do.

    Attributes:
        run: Folder of the compressed student.
        name: Its name.
        state: Whether it is new, begun or finished.
        start: The student that would be compressed.
        before: Its `params` and `flops`.
        steps: The steps, in their order.
    """

    run: str
    name: str
    state: str
    start: str
    before: dict[str, int | None]
    steps: list[PlannedStep]
