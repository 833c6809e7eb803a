"""`verify` and `export`: proving what a student is, and shipping it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from kdcompress.api._source import Run, source_of
from kdcompress.errors import UsageError
from kdcompress.files import write_json
from kdcompress.progress import Progress


def verify(
    source: str | Path | Run | Any,
    *,
    input_shape: tuple[int, int, int] | None = None,
    progress: Progress | None = None,
    **limits: float | None,
) -> dict[str, Any]:
    """What got smaller in a run and what it cost, or what a model (a file, or in memory) costs.

    Returns the document that `kdcompress verify --json` prints, which a run keeps as verify.json. `limits` are
    max_params_ratio, max_flops_ratio, max_bytes_ratio (student / teacher) and max_metric_drop (a fraction); `passed`
    says whether all that were set are kept. Errors: KDCompressError.
    """
    from kdcompress.verification.gates import Gates

    gates = Gates(**limits)
    path, run = source_of(source)
    if run is None:
        from kdcompress.verification.verdict import verify_model

        return verify_model(path, input_shape, gates)
    from kdcompress.verification.verdict import RESULT, verify_run

    with run.locked():
        result = verify_run(run, input_shape, gates, progress or Progress())
        write_json(run / RESULT, {key: value for key, value in result.items() if key != "run"})
        run.commit(RESULT)
    return result


def export(
    source: str | Path | Run | Any,
    formats: Iterable[str] = ("onnx", "tflite"),
    precisions: Iterable[str] = ("fp32",),
    *,
    out: str | Path | None = None,
    input_shape: tuple[int, int, int] | None = None,
    data_dir: str | Path | None = None,
    progress: Progress | None = None,
    **choices: Any,
) -> dict[str, Any]:
    """Export a run's student, or a Keras model (a file, or in memory), and compare each file with the Keras model.

    Returns the document that `kdcompress export --json` prints; its `passed` says whether all comparisons passed.
    `choices` are opset, input_type, max_metric_drop, parity_samples, calibration, calibration_samples. A run's files go
    into its exports/, a model's into `out` (which a model in memory needs). Errors: KDCompressError.
    """
    from kdcompress.exporting._request import make_request

    request = make_request(formats, precisions, **choices)
    listener = progress or Progress()
    for skipped in request.skipped:
        listener.note(f"{skipped}: the format does not have that precision, skipped")
    path, run = source_of(source)
    if run is None:
        if out is None and not isinstance(source, str | Path):
            raise UsageError("a model in memory has no folder of its own: name the folder of its exports with `out`")
        from kdcompress.exporting._exports import export_model

        return export_model(path, Path(out) if out else None, request, input_shape, listener)
    if out is not None or input_shape is not None:
        raise UsageError("a run's exports go into the run, at its data's size; --out and --input-shape are for a model")
    from kdcompress.exporting._exports import export_run

    with run.locked():
        return export_run(run, request, Path(data_dir) if data_dir else None, listener)
