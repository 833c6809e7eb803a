"""`verify` and `export`: proving what a student is, and shipping it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from kdcompress.api._document import document
from kdcompress.api._source import InMemory, Run, source_of
from kdcompress.errors import DataError, UsageError
from kdcompress.progress import Progress
from kdcompress.runs.documents import write_document
from kdcompress.runs.folder import RunFolder
from kdcompress.runs.names import remedy
from kdcompress.trust import trusting_code


@document
def verify(
    source: str | Path | Run | Any,
    *,
    input_shape: tuple[int, int, int] | None = None,
    max_params_ratio: float | None = None,
    max_flops_ratio: float | None = None,
    max_bytes_ratio: float | None = None,
    max_metric_drop: float | None = None,
    trust_code: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """What got smaller in a run and what it cost, or what a model (a file, `module:function`, in memory) costs.

    Returns the document that `kdcompress verify --json` prints, which a run keeps as verify.json. Limits are for ratios
    (student / teacher) and for what the metric loses (a fraction); `passed` says whether all that were set are kept.
    `trust_code` lets code run that came with the run or the file. Errors: KDCompressError.
    """
    from kdcompress.verification.gates import Gates

    gates = Gates(max_params_ratio, max_flops_ratio, max_bytes_ratio, max_metric_drop)
    given, listener = source_of(source), progress or Progress()
    from kdcompress.verification.verdict import verify_loaded, verify_model, verify_run

    if isinstance(given, InMemory):
        return verify_loaded(given.model, given.name, input_shape, gates)
    with trusting_code(trust_code):
        if isinstance(given, Path):
            return verify_model(given, input_shape, gates)
        result = verify_run(given, input_shape, gates, listener)
    _keep_verdict(given, result, listener)
    return result


@document
def verify_files(source: str | Path | Run) -> dict[str, Any]:
    """Whether every file that a run vouches for is as the run wrote it; no model is opened.

    Returns the document that `kdcompress verify --files --json` prints: {"run", "files" (how many), "damaged"
    [{"path", "problem", "remedy"}], "passed"}. Errors: RunError where the manifest itself is damaged; UsageError.
    """
    given = source_of(source)
    if not isinstance(given, RunFolder):
        raise UsageError(f"--files checks the files of a run, and {source} is none")
    damaged = [
        {"path": name, "problem": problem, "remedy": remedy(name, given.path)}
        for name, problem in given.find_damaged().items()
    ]
    return {"run": str(given.path), "files": len(given.manifest()["files"]), "damaged": damaged, "passed": not damaged}


def _keep_verdict(run: RunFolder, result: dict[str, Any], listener: Progress) -> None:
    """Put verify.json into the run; where that cannot be, say so: what was found is told all the same."""
    from kdcompress.verification.verdict import RESULT

    try:
        with run.lock():
            write_document(run / RESULT, {key: value for key, value in result.items() if key != "run"})
            run.commit(RESULT)
    except OSError as exc:
        listener.warn(f"{run / RESULT} was not written: {exc.strerror}")


@document
def export(
    source: str | Path | Run | Any,
    formats: str | Iterable[str] = ("onnx", "tflite"),
    precisions: str | Iterable[str] = ("fp32",),
    *,
    out: str | Path | None = None,
    input_shape: tuple[int, int, int] | None = None,
    data_dir: str | Path | None = None,
    trust_code: bool = False,
    progress: Progress | None = None,
    **choices: Any,
) -> dict[str, Any]:
    """Export a run's student, or a Keras model (a file, `module:function`, in memory), and compare each file with it.

    Returns the document that `kdcompress export --json` prints; its `passed` says whether every file could be made and
    passed. `choices` are opset, input_type, max_metric_drop, parity_samples, calibration, calibration_samples. A run's
    files go into its exports/, a model's into `out` (which a model in memory needs). `trust_code` lets code run that
    came with the run or the file. Errors: KDCompressError.
    """
    from kdcompress.exporting._request import make_request

    request = make_request(formats, precisions, **choices)
    listener = progress or Progress()
    for skipped in request.skipped:
        listener.note(f"{skipped}: the format does not have that precision, skipped")
    if data_dir is not None and not Path(data_dir).is_dir():
        raise DataError(f"data folder {data_dir} does not exist")
    given = source_of(source)
    if not isinstance(given, RunFolder):
        if isinstance(given, InMemory) and out is None and not isinstance(source, str | Path):
            raise UsageError("a model in memory has no folder of its own: name the folder of its exports with `out`")
        from kdcompress.exporting._alone import export_file, export_loaded

        place = Path(out) if out else None
        if isinstance(given, Path):
            with trusting_code(trust_code):
                return export_file(given, place, request, input_shape, listener)
        return export_loaded(given.model, given.name, place, request, input_shape, listener)
    if out is not None or input_shape is not None:
        raise UsageError("a run's exports go into the run, at its data's size; --out and --input-shape are for a model")
    from kdcompress.exporting._of_run import export_run

    with given.lock(), trusting_code(trust_code):
        return export_run(given, request, Path(data_dir) if data_dir else None, listener)
