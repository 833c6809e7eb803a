"""The JSON documents that commands leave in a run or a sweep, read as a stranger's: every value that is used is of the
type that it must have, and every number is finite."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from kdcompress.errors import RunError
from kdcompress.files import read_json, unsealed, write_json

SCHEMA_VERSION = 1  # raised when a key is taken away or means another thing; keys may be added without it
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
Metrics = dict[str, Any]


class _Document(BaseModel):
    """Later versions may add keys; `strict` but for whole numbers that stand for fractions."""

    model_config = ConfigDict(extra="allow", allow_inf_nan=False, protected_namespaces=(), defer_build=True)


class _Kept(_Document):
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


class MetricsDocument(_Kept):
    """metrics.json: what distill found."""

    dataset: dict[str, Any]
    teacher: Costs
    student: Costs
    baseline: Costs | None
    seconds: float
    warnings: list[str]


class VerifyDocument(_Kept):
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
    metric: str | None
    metric_drop: float | None
    recall_change: dict[str, float | None] | None
    passed: bool
    reasons: list[str]


class ExportsDocument(_Kept):
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


class BenchDocument(_Kept):
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


class SweepDocument(_Kept):
    """sweep.json."""

    recipe: str
    dataset: dict[str, Any]
    space: dict[str, Any]
    trials: list[Trial]
    settings: list[Judged]
    best: Judged
    teacher: dict[str, float]
    student: Role
    baseline: Role
    gain: Gain
    sentence: str
    warnings: list[str]


DOCUMENTS: dict[str, type[_Kept]] = {
    "metrics.json": MetricsDocument,
    "verify.json": VerifyDocument,
    "exports.json": ExportsDocument,
    "bench.json": BenchDocument,
    "sweep.json": SweepDocument,
}


def read_checked(path: Path, remedy: str) -> dict[str, Any]:
    """The document in a file of one of these names; FileNotFoundError if there is none.

    Errors: RunError, with the `remedy`, names the first key that is missing or of another type.
    """
    found = read_json(path, RunError, remedy)
    if not unsealed(found):
        raise RunError(f"{path} is damaged (it is not as it was written); {remedy}")
    try:
        document = DOCUMENTS[path.name].model_validate(found)
    except ValidationError as exc:
        problem = exc.errors()[0]
        place = ".".join(map(str, problem["loc"]))
        raise RunError(f"{path} is damaged ({place}: {problem['msg'].lower()}); {remedy}") from exc
    if document.schema_version > SCHEMA_VERSION:
        raise RunError(
            f"{path} was written by a later version of kdcompress (schema_version {document.schema_version}, this one "
            f"knows {SCHEMA_VERSION}); update kdcompress, or {remedy}"
        )
    return found


def write_document(path: Path, document: Mapping[str, Any]) -> None:
    """Write one of these documents, with the version of its schema, whole or not at all."""
    write_json(path, versioned(document))


def versioned(document: Mapping[str, Any]) -> dict[str, Any]:
    """A document that says the version of its schema."""
    return {"schema_version": SCHEMA_VERSION, **document}


def schemas() -> dict[str, dict[str, Any]]:
    """The JSON schema of each document, by the file's name; published in docs/schemas."""
    return {name: document.model_json_schema() for name, document in DOCUMENTS.items()}
