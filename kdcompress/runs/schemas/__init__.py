"""The types of the JSON documents that commands print and leave: results, validation and published schemas in one."""

from kdcompress.runs.schemas._bench import Benchmark
from kdcompress.runs.schemas._bundle import Bundle
from kdcompress.runs.schemas._compress import Compression, CompressionPlan
from kdcompress.runs.schemas._demo import Demo
from kdcompress.runs.schemas._distill import Plan, RunResult
from kdcompress.runs.schemas._explain import ExplainedFormat, Explanation, decibels
from kdcompress.runs.schemas._export import Export, ExportList
from kdcompress.runs.schemas._failure import Failure
from kdcompress.runs.schemas._machine import Machine
from kdcompress.runs.schemas._predict import Prediction, PredictionList, Predictions
from kdcompress.runs.schemas._report import Report
from kdcompress.runs.schemas._result import SCHEMA_VERSION, Kept, Result, versioned
from kdcompress.runs.schemas._suggest import Suggestions
from kdcompress.runs.schemas._sweep import SweepResult
from kdcompress.runs.schemas._verify import FilesCheck, ModelCosts, Verification

__all__ = [
    "FILES",
    "PRINTED",
    "SCHEMA_VERSION",
    "Benchmark",
    "Bundle",
    "Compression",
    "CompressionPlan",
    "Demo",
    "ExplainedFormat",
    "Explanation",
    "Export",
    "ExportList",
    "Failure",
    "FilesCheck",
    "Kept",
    "Machine",
    "ModelCosts",
    "Plan",
    "Prediction",
    "PredictionList",
    "Predictions",
    "Report",
    "Result",
    "RunResult",
    "Suggestions",
    "SweepResult",
    "Verification",
    "decibels",
    "versioned",
]

# What a run or a sweep keeps
FILES: dict[str, type[Kept]] = {
    "metrics.json": RunResult,
    "verify.json": Verification,
    "exports.json": ExportList,
    "explain.json": Explanation,
    "bench.json": Benchmark,
    "sweep.json": SweepResult,
    "compress.json": Compression,
}
# What commands print with --json
PRINTED: dict[str, type[Kept]] = {
    "distill": RunResult,
    "distill-dry-run": Plan,
    "compress": Compression,
    "compress-dry-run": CompressionPlan,
    "verify": Verification,
    "verify-model": ModelCosts,
    "verify-files": FilesCheck,
    "export": Export,
    "export-explain": Explanation,
    "bench": Benchmark,
    "bundle": Bundle,
    "report": Report,
    "demo": Demo,
    "sweep": SweepResult,
    "predict": Predictions,
    "suggest": Suggestions,
    "failure": Failure,
}
