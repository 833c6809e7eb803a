"""kdcompress: distil a big image classifier into a small one that is proven."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kdcompress._version import __version__

if TYPE_CHECKING:
    from kdcompress.api import Run, bench, distill, export, predict, report, sweep, verify
    from kdcompress.config.recipe import Recipe
    from kdcompress.errors import KDCompressError

__all__ = [
    "KDCompressError",
    "Recipe",
    "Run",
    "__version__",
    "bench",
    "distill",
    "export",
    "predict",
    "report",
    "sweep",
    "verify",
]

_HOME = {
    "bench": "kdcompress.api",
    "distill": "kdcompress.api",
    "export": "kdcompress.api",
    "predict": "kdcompress.api",
    "report": "kdcompress.api",
    "sweep": "kdcompress.api",
    "verify": "kdcompress.api",
    "Run": "kdcompress.api",
    "Recipe": "kdcompress.config.recipe",
    "KDCompressError": "kdcompress.errors",
}


def __getattr__(name: str) -> Any:
    # Taken when first used: `import kdcompress` and `kdcompress --help` must not wait for TensorFlow.
    if name in _HOME:
        import importlib

        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module 'kdcompress' has no attribute {name!r}")
