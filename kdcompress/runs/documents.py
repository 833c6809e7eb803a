"""The JSON documents that commands leave in a run or a sweep, read as a stranger's: every value that is used is of the
type that it must have, and every number is finite."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from kdcompress.errors import RunError
from kdcompress.files import read_json, unsealed

Count = Annotated[int, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
Metrics = dict[str, Any]


class _Document(BaseModel):
    """Later versions may add keys; `strict` but for whole numbers that stand for fractions."""

    model_config = ConfigDict(extra="allow", allow_inf_nan=False, protected_namespaces=(), defer_build=True)


class _Gate(_Document):
    name: str
    limit: float
    value: float | None
    passed: bool


class _Costs(_Document):
    params: Count | None = None
    macs: Count | None = None
    flops: Count | None = None
    bytes: Count | None = None
    weight_bytes: Count | None = None
    input_shape: list[Count] = []
    metrics: Metrics = {}


class _MetricsDocument(_Document):
    """metrics.json: what distill found."""

    dataset: dict[str, Any]
    teacher: _Costs
    student: _Costs
    baseline: _Costs | None
    seconds: float
    warnings: list[str]


class _VerifyDocument(_Document):
    """verify.json."""

    teacher: _Costs
    student: _Costs
    gates: list[_Gate] = []
    passed: bool = True


class _Parity(_Document):
    n: Count
    max_abs_diff: float | None = None
    top1_agreement: float = 1.0
    flipped: list[str] = []


class _Artefact(_Document):
    path: str
    format: str
    precision: str
    bytes: Count
    sha256: str = ""
    parity: _Parity
    metrics: Metrics | None
    metric: str | None
    metric_drop: float | None
    recall_change: dict[str, float | None] | None
    passed: bool
    reasons: list[str]


class _ExportsDocument(_Document):
    """exports.json."""

    student_digest: str
    artefacts: list[_Artefact]


class _Timed(_Document):
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


class _Comparison(_Document):
    student: str
    runtime: str
    precision: str | None
    threads: Count
    batch_size: Count
    speedup: Positive
    speedup_low: float | None
    speedup_high: float | None
    distinguishable: bool


class _BenchDocument(_Document):
    """bench.json."""

    machine: dict[str, Any]
    models: list[_Timed]
    comparisons: list[_Comparison]
    gates: list[_Gate] = []
    warnings: list[str] = []
    interrupted: bool = False


class _Interval(_Document):
    mean: float
    low: float | None
    high: float | None
    n: Count


class _Setting(_Document):
    method: str
    temperature: float | None
    alpha: float | None


class _Judged(_Setting):
    val: _Interval | None
    reason: str | None


class _Trial(_Setting):
    seed: Count
    val: float | None
    test: float | None
    best_epoch: Count | None
    seconds: float


class _Role(_Document):
    test: _Interval
    by_seed: list[float]


class _Gain(_Interval):
    by_seed: list[float]


class _SweepDocument(_Document):
    """sweep.json."""

    recipe: str
    dataset: dict[str, Any]
    space: dict[str, Any]
    trials: list[_Trial]
    settings: list[_Judged]
    best: _Judged
    teacher: dict[str, float]
    student: _Role
    baseline: _Role
    gain: _Gain
    sentence: str
    warnings: list[str]


DOCUMENTS: dict[str, type[_Document]] = {
    "metrics.json": _MetricsDocument,
    "verify.json": _VerifyDocument,
    "exports.json": _ExportsDocument,
    "bench.json": _BenchDocument,
    "sweep.json": _SweepDocument,
}


def read_checked(path: Path, remedy: str) -> dict[str, Any]:
    """The document in a file of one of these names; FileNotFoundError if there is none.

    Errors: RunError, with the `remedy`, names the first key that is missing or of another type.
    """
    found = read_json(path, RunError, remedy)
    if not unsealed(found):
        raise RunError(f"{path} is damaged (it is not as it was written); {remedy}")
    try:
        DOCUMENTS[path.name].model_validate(found)
    except ValidationError as exc:
        problem = exc.errors()[0]
        place = ".".join(map(str, problem["loc"]))
        raise RunError(f"{path} is damaged ({place}: {problem['msg'].lower()}); {remedy}") from exc
    return found
