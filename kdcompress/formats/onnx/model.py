"""Opening and running of ONNX files on the CPU; requires onnxruntime only."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from kdcompress.errors import MissingExtraError, ModelError, one_line
from kdcompress.paths import check_regular_file

TIMEOUT_S = 600.0  # for one batch: no network takes as long, but a file may contain an endless loop


def open_session(path: Path, threads: int | None) -> Any:
    """Open an ONNX file with onnxruntime.

    Args:
        path: ONNX file.
        threads: Number of threads; None leaves the choice to onnxruntime.

    Returns:
        The InferenceSession.

    Raises:
        ModelError: The file cannot be opened, or an external weight file is missing.
    """
    import onnxruntime

    check_regular_file(path, ModelError)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as exc:
        _check_external_files(path)
        remedy = "; export it again with a lower opset" if "opset" in str(exc).lower() else ""
        raise ModelError(f"{path} is damaged or no model that onnxruntime runs: {one_line(exc)}{remedy}") from exc


def run_with_timeout(session: Any, outputs: list[str] | None, feed: dict[str, Any], name: str) -> list[Any]:
    """Run a session on one batch, for at most `TIMEOUT_S` seconds.

    Args:
        session: InferenceSession.
        outputs: Names of outputs; None for all.
        feed: Inputs by name.
        name: Name of the model in errors.

    Returns:
        The outputs.

    Raises:
        ModelError: The run fails, or takes too long.
    """
    import onnxruntime

    options = onnxruntime.RunOptions()
    timed_out = threading.Event()

    def terminate() -> None:
        timed_out.set()
        options.terminate = True

    timer = threading.Timer(TIMEOUT_S, terminate)
    timer.daemon = True
    timer.start()
    try:
        return list(session.run(outputs, feed, options))
    except Exception as exc:
        if timed_out.is_set():
            raise ModelError(f"{name} did not end within {TIMEOUT_S:g} s on one batch of images") from exc
        raise ModelError(f"{name} fails in onnxruntime: {one_line(exc)}") from exc
    finally:
        timer.cancel()


def _check_external_files(path: Path) -> None:
    try:
        from kdcompress.formats.onnx.external import external_files

        missing = [file for file in external_files(path) if not file.is_file()]
    except (MissingExtraError, ModelError):
        return  # the onnx package is not installed, or the file is damaged, which the caller reports
    if missing:
        raise ModelError(f"{path} keeps weights in {missing[0].name}, which is not in its folder; put it there")
