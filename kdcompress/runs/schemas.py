"""The types of the JSON documents that commands leave: what their published schemas are made of."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

SCHEMA_VERSION = 1  # raised when a key is taken away or means another thing; keys may be added without it
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
Metrics = dict[str, Any]
MetricName = Literal["accuracy", "auc"]  # by which models are judged


class _Document(BaseModel):
    """Later versions may add keys; `strict` but for whole numbers that stand for fractions."""

    model_config = ConfigDict(extra="allow", allow_inf_nan=False, protected_namespaces=(), defer_build=True)


class Kept(_Document):
    """A document as a whole; those of version 0.1 do not say their schema, which is 1."""

    schema_version: int = Field(SCHEMA_VERSION, ge=1)


class Gate(_Document):
    name: str
    limit: float
    value: float | None
    passed: bool


class Costs(_Document):
    params: Count | None = None
    macs: Count | None = None
    flops: Count | None = None
    bytes: Count | None = None
    weight_bytes: Count | None = None
    input_shape: list[Count] = []
    metrics: Metrics = {}


class MetricsDocument(Kept):
    """metrics.json: what distill found."""

    dataset: dict[str, Any]
    teacher: Costs
    student: Costs
    baseline: Costs | None
    seconds: float
    warnings: list[str]


class VerifyDocument(Kept):
    """verify.json."""

    teacher: Costs
    student: Costs
    gates: list[Gate] = []
    passed: bool = True


class Parity(_Document):
    n: Count
    max_abs_diff: float | None = None
    top1_agreement: float = 1.0
    flipped: list[str] = []


class Artefact(_Document):
    path: str
    format: str
    precision: str
    bytes: Count
    sha256: str = ""
    parity: Parity
    metrics: Metrics | None
    metric: MetricName | None
    metric_drop: float | None
    recall_change: dict[str, float | None] | None
    passed: bool
    reasons: list[str]

    @model_validator(mode="after")
    def _measured(self) -> Artefact:
        if self.metrics is not None and self.metric not in self.metrics:
            raise ValueError(f"metrics must hold {self.metric}, by which the file was judged")
        return self


class ExportsDocument(Kept):
    """exports.json."""

    student_digest: str
    artefacts: list[Artefact]


class Timed(_Document):
    name: str
    runtime: str
    precision: str | None
    threads: Count
    batch_size: Count
    n: Count
    p50_ms: Positive
    p90_ms: Positive
    p99_ms: Positive
    mean_ms: Positive
    path: str = ""
    load_ms: float | None = None
    first_ms: float | None = None
    max_ms: float | None = None
    peak_rss_mb: float | None = None
    throughput_per_s: float | None = None
    bytes: Count | None = None
    quantiles_ms: list[float] = []


class Comparison(_Document):
    student: str
    runtime: str
    precision: str | None
    threads: Count
    batch_size: Count
    speedup: Positive
    speedup_low: float | None
    speedup_high: float | None
    distinguishable: bool


class BenchDocument(Kept):
    """bench.json."""

    machine: dict[str, Any]
    models: list[Timed]
    comparisons: list[Comparison]
    gates: list[Gate] = []
    warnings: list[str] = []
    interrupted: bool = False


class Interval(_Document):
    mean: float
    low: float | None
    high: float | None
    n: Count


class Setting(_Document):
    method: str
    temperature: float | None
    alpha: float | None


class Judged(Setting):
    val: Interval | None
    reason: str | None


class Trial(Setting):
    seed: Count
    val: float | None
    test: float | None
    best_epoch: Count | None
    seconds: float


class Role(_Document):
    test: Interval
    by_seed: list[float]


class Gain(Interval):
    by_seed: list[float]


class Data(_Document):
    name: str
    source: str = ""
    n_train: Count
    n_val: Count
    n_test: Count


class Space(_Document):
    seeds: list[Count]


class OnTest(_Document):
    test: float


class SweepDocument(Kept):
    """sweep.json."""

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

    @model_validator(mode="after")
    def _by_seed(self) -> SweepDocument:
        sizes = {len(one.by_seed) for one in (self.student, self.baseline, self.gain)} | {len(self.space.seeds)}
        if len(sizes) > 1:
            raise ValueError(f"there must be a value for each seed, got {sorted(sizes)} of them")
        return self


DOCUMENTS: dict[str, type[Kept]] = {
    "metrics.json": MetricsDocument,
    "verify.json": VerifyDocument,
    "exports.json": ExportsDocument,
    "bench.json": BenchDocument,
    "sweep.json": SweepDocument,
}
