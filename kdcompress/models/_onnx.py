"""Opening an ONNX file to run it on the CPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kdcompress.errors import ModelError, one_line


def open_session(path: Path, threads: int | None) -> Any:
    """onnxruntime's session of a file, in `threads` threads (None: its own choice); ModelError if it is none."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as exc:
        remedy = "; export it again with a lower opset" if "opset" in str(exc).lower() else ""
        raise ModelError(f"{path} is damaged or no model that onnxruntime runs: {one_line(exc)}{remedy}") from exc
