"""ONNX files: opening one to run it on the CPU, and the files beside it that hold its weights."""

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
        _refuse_missing(path)
        remedy = "; export it again with a lower opset" if "opset" in str(exc).lower() else ""
        raise ModelError(f"{path} is damaged or no model that onnxruntime runs: {one_line(exc)}{remedy}") from exc


def _refuse_missing(path: Path) -> None:
    """ModelError if a file that holds weights of an ONNX file has been left behind."""
    try:
        missing = [file for file in external_files(path) if not file.is_file()]
    except ModelError:
        return  # it is none: that is told elsewhere
    if missing:
        raise ModelError(f"{path} keeps weights in {missing[0].name}, which is not beside it; put it there")


def external_files(path: Path) -> list[Path]:
    """The files beside an ONNX file that hold its weights, if it does not itself; ModelError if it is none."""
    import onnx

    try:
        graph = onnx.load(str(path), load_external_data=False).graph
    except Exception as exc:
        raise ModelError(f"{path} cannot be loaded as an ONNX model: {one_line(exc)}") from exc
    outside = [tensor for tensor in graph.initializer if tensor.data_location == onnx.TensorProto.EXTERNAL]
    names = [entry.value for tensor in outside for entry in tensor.external_data if entry.key == "location"]
    return [path.parent / name for name in dict.fromkeys(names)]
