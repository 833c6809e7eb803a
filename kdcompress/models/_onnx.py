"""ONNX files: opening one to run it on the CPU, and the files beside it that hold its weights."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kdcompress.errors import ModelError, one_line
from kdcompress.files import content_digest, digest_of, sha256_of
from kdcompress.paths import below, require_regular
from kdcompress.runs.vouched import check_vouched

# Of one batch: no network takes so long, but a file may hold a loop that never ends
MOST_SECONDS = 600.0


def open_session(path: Path, threads: int | None) -> Any:
    """onnxruntime's session of a file, in `threads` threads (None: its own choice); ModelError if it is none."""
    import onnxruntime

    require_regular(path, ModelError)
    check_vouched(path)
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
        missing = [file for file in external_files(path) if not file.is_file()]
    except ModelError:
        return  # it is none, or leads elsewhere: that is told elsewhere
    if missing:
        raise ModelError(f"{path} keeps weights in {missing[0].name}, which is not beside it; put it there")


def external_files(path: Path) -> list[Path]:
    """The files beside an ONNX file that hold its weights, if it does not itself.

    Errors: ModelError if it is none, or if it names a file that is not below its folder.
    """
    names = [
        entry.value
        for tensor in external_tensors(load_onnx(path))
        for entry in tensor.external_data
        if entry.key == "location"
    ]
    return [below(path.parent, name, str(path), ModelError) for name in dict.fromkeys(names)]


def load_onnx(path: Path) -> Any:
    """The model in an ONNX file without what lies in files beside it; ModelError if it is none."""
    import onnx

    require_regular(path, ModelError)
    try:
        return onnx.load(str(path), load_external_data=False)
    except Exception as exc:
        raise ModelError(f"{path} cannot be loaded as an ONNX model: {one_line(exc)}") from exc


def external_tensors(message: Any) -> Iterator[Any]:
    """All tensors of a model that lie in other files: weights, constants of nodes, in subgraphs and functions, too."""
    import onnx

    if isinstance(message, onnx.TensorProto):
        if message.data_location == onnx.TensorProto.EXTERNAL:
            yield message
        return
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        for item in value if isinstance(value, list) or hasattr(value, "__len__") else [value]:
            yield from external_tensors(item)


def digest_of_model_file(path: Path) -> str:
    """The SHA-256 of all bytes that decide what a model file or folder answers, those beside an ONNX file with it."""
    if path.suffix.lower() != ".onnx" or not path.is_file():
        return content_digest(path)
    beside = [file for file in external_files(path) if file.is_file()]
    return digest_of([sha256_of(file) for file in (path, *beside)]) if beside else sha256_of(path)
