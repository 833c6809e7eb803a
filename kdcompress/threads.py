"""The number of threads of inference, which a process that shares its machine with others limits."""

from __future__ import annotations

import os

_VARIABLE = "KDCOMPRESS_THREADS"
# Read by the libraries when they are imported
_LIBRARIES = ("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def limit_threads(count: int) -> None:
    """Limit the threads of this process and its children, before TensorFlow or PyTorch is imported.

    Args:
        count: Number of threads, >= 1.
    """
    os.environ.update(dict.fromkeys((_VARIABLE, *_LIBRARIES), str(count)))


def thread_limit() -> int | None:
    """Return what `limit_threads` set, or None."""
    text = os.environ.get(_VARIABLE, "")
    return int(text) if text.isdecimal() and int(text) > 0 else None


def available_cores() -> int:
    """Count the logical cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
