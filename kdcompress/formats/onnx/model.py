"""Opening and running an ONNX file on the CPU; needs onnxruntime alone."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from kdcompress.errors import ModelError, one_line
from kdcompress.paths import check_regular_file

# Of one batch: no network takes so long, but a file may hold a loop that never ends
MOST_SECONDS = 600.0


def open_session(path: Path, threads: int | None) -> Any:
    """onnxruntime's session of a file, in `threads` threads (None: its own choice); ModelError if it is none."""
    import onnxruntime

    check_regular_file(path, ModelError)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as exc:
        _refuse_missing(path)
        remedy = "; export it again with a lower opset" if "opset" in str(exc).lower() else ""
        raise ModelError(f"{path} is damaged or no model that onnxruntime runs: {one_line(exc)}{remedy}") from exc


def run_bounded(session: Any, outputs: list[str] | None, feed: dict[str, Any], what: str) -> list[Any]:
    """session.run(outputs, feed), ended after MOST_SECONDS: ModelError then, which speaks of the model by `what`."""
    import onnxruntime

    options = onnxruntime.RunOptions()
    ended = threading.Event()

    def end() -> None:
        ended.set()
        options.terminate = True

    timer = threading.Timer(MOST_SECONDS, end)
    timer.daemon = True
    timer.start()
    try:
        return list(session.run(outputs, feed, options))
    except Exception as exc:
        if ended.is_set():
            raise ModelError(f"{what} did not end within {MOST_SECONDS:g} s on one batch of images") from exc
        raise ModelError(f"{what} fails in onnxruntime: {one_line(exc)}") from exc
    finally:
        timer.cancel()


def _refuse_missing(path: Path) -> None:
    """ModelError if a file that holds weights of an ONNX file has been left behind."""
    try:
        from kdcompress.formats.onnx.external import external_files

        missing = [file for file in external_files(path) if not file.is_file()]
    except (ImportError, ModelError):
        return  # it is none, or leads elsewhere: that is told elsewhere; or the onnx package is not here to look
    if missing:
        raise ModelError(f"{path} keeps weights in {missing[0].name}, which is not beside it; put it there")
