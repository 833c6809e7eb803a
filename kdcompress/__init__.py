"""kdcompress: distil a big image classifier into a small one that is proven."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kdcompress._version import __version__

if TYPE_CHECKING:
    from kdcompress.api import (
        Run,
        bench,
        bundle,
        compress,
        demo,
        distill,
        explain,
        export,
        predict,
        report,
        suggest,
        sweep,
        verify,
    )
    from kdcompress.config.recipe import Recipe
    from kdcompress.errors import KDCompressError
    from kdcompress.runs.schemas import (
        Benchmark,
        Bundle,
        Compression,
        Demo,
        Explanation,
        Export,
        FilesCheck,
        ModelCosts,
        Prediction,
        Report,
        RunResult,
        Suggestions,
        SweepResult,
        Verification,
    )

__all__ = [
    "Benchmark",
    "Bundle",
    "Compression",
    "Demo",
    "Explanation",
    "Export",
    "FilesCheck",
    "KDCompressError",
    "ModelCosts",
    "Prediction",
    "Recipe",
    "Report",
    "Run",
    "RunResult",
    "Suggestions",
    "SweepResult",
    "Verification",
    "__version__",
    "bench",
    "bundle",
    "compress",
    "demo",
    "distill",
    "explain",
    "export",
    "predict",
    "report",
    "suggest",
    "sweep",
    "verify",
]

_RESULTS = (
    "Benchmark", "Bundle", "Compression", "Demo", "Explanation", "Export", "FilesCheck", "ModelCosts", "Prediction",
    "Report", "RunResult", "Suggestions", "SweepResult", "Verification",
)  # fmt: skip
_VERBS = (
    "bench",
    "bundle",
    "compress",
    "demo",
    "distill",
    "explain",
    "export",
    "predict",
    "report",
    "suggest",
    "sweep",
    "verify",
)
_HOME = {
    **dict.fromkeys(("Run", *_VERBS), "kdcompress.api"),
    **dict.fromkeys(_RESULTS, "kdcompress.runs.schemas"),
    "Recipe": "kdcompress.config.recipe",
    "KDCompressError": "kdcompress.errors",
}


def __getattr__(name: str) -> Any:
    # Taken when first used: `import kdcompress` and `kdcompress --help` must not wait for TensorFlow.
    if name in _HOME:
        import importlib

        from kdcompress.missing import naming_packages

        with naming_packages(f"kdcompress.{name}"):
            return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module 'kdcompress' has no attribute {name!r}")
