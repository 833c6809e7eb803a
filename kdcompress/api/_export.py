"""`export`: model files in deployment formats, each compared with the Keras model."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kdcompress.api._source import InMemory, Run, data_folder, resolve_source
from kdcompress.api._verb import verb
from kdcompress.errors import UsageError
from kdcompress.progress import Progress
from kdcompress.runs.folder import RunFolder
from kdcompress.runs.schemas import Explanation, Export
from kdcompress.trust import trusting_code
from kdcompress.urls import check_local

_NEEDS_RUN = "{} measures on validation images with labels, which a run has, and {} is no run"

if TYPE_CHECKING:
    from kdcompress.exporting._request import ExportRequest


@verb
def export(
    source: str | Path | Run | Any,
    formats: str | Iterable[str] = ("onnx", "tflite"),
    precisions: str | Iterable[str] | None = None,
    *,
    opset: int = 17,
    input_type: str = "int8",
    max_metric_drop: float = 0.01,
    parity_samples: int | None = None,
    calibration: str | Path | None = None,
    calibration_samples: int = 200,
    float_layers: str | Iterable[str] = (),
    keep_metric: float | None = None,
    int4_convolutions: bool = False,
    out: str | Path | None = None,
    input_shape: tuple[int, int, int] | None = None,
    data_dir: str | Path | None = None,
    trust_code: bool = False,
    progress: Progress | None = None,
) -> Export:
    """Export a run's student, or a Keras model, and compare each file with it.

    Args:
        source: A run, or a Keras model: a .keras file, `module:function`, or in memory.
        formats: onnx, tflite, saved-model, or all of these; or ncnn, which needs its extra.
        precisions: fp32, fp16, int8, dynamic (TFLite only), int4, or all of them; by default fp32, or int8 with
            `float_layers` or `keep_metric`.
        opset: ONNX opset, 13 to 18.
        input_type: Type of the input and output of a full int8 TFLite file: int8, uint8 or float32.
        max_metric_drop: Maximum drop of the metric for all precisions but fp32, a fraction from -1 to 1.
        parity_samples: Number of images for the comparison, >= 1; by default the whole test split, or 64 random images
            without a run.
        calibration: Folder of images for the calibration of int8; by default images of the run's training split.
        calibration_samples: Number of images for the calibration of int8, >= 1.
        float_layers: Names of the layers of int8 files that stay in float.
        keep_metric: Maximum drop of the metric on validation, a fraction from 0 to 1, for which the fewest layers of
            int8 files to leave in float are searched. Only for a run.
        int4_convolutions: Whether convolutions of int4 files have 4 bits, too (TFLite only), and not 8.
        out: Output folder for a model, required for one in memory; those of a run go into its exports/.
        input_shape: (H, W, C), for a model that accepts images of any size.
        data_dir: Folder of the run's data, if they have been moved.
        trust_code: Whether code that comes with the run or the file may be executed.
        progress: Listener of progress, notes and warnings.

    Returns:
        The files and their parity with the Keras model, as `kdcompress export --json` prints them. `passed` tells
        whether all files could be written and passed.

    Raises:
        UsageError: An argument is out of range, or does not apply to the source.
        ExportError: No file could be written.
        KDCompressError: The model, the run or the data cannot be used.
    """
    from kdcompress.exporting._request import make_export_request

    request = make_export_request(
        formats,
        precisions,
        opset=opset,
        input_type=input_type,
        max_metric_drop=max_metric_drop,
        parity_samples=parity_samples,
        calibration=calibration,
        calibration_samples=calibration_samples,
        float_layers=float_layers,
        keep_metric=keep_metric,
        int4_convolutions=int4_convolutions,
    )
    listener, data = progress or Progress(), data_folder(data_dir, progress)
    for skipped in request.skipped:
        listener.note(f"{skipped}: the format does not have that precision, skipped")
    target = resolve_source(source, progress=listener)
    if not isinstance(target, RunFolder):
        if keep_metric is not None:
            raise UsageError(_NEEDS_RUN.format("--keep-metric", source))
        if isinstance(target, InMemory) and out is None and not isinstance(source, str | Path):
            raise UsageError("a model in memory has no folder of its own: name the folder of its exports with `out`")
        if out is not None:
            check_local(Path(out), "--out", UsageError)
        with trusting_code(trust_code):
            return Export.of(_export_model(target, Path(out) if out else None, request, input_shape, listener))
    if out is not None or input_shape is not None:
        raise UsageError("a run's exports go into the run, at its data's size; --out and --input-shape are for a model")
    from kdcompress.exporting._run_export import export_run

    with target.lock(), trusting_code(trust_code):
        return Export.of(export_run(target, request, data, listener))


@verb
def explain(
    source: str | Path | Run,
    formats: str | Iterable[str] = ("onnx", "tflite"),
    *,
    opset: int = 17,
    input_type: str = "int8",
    samples: int | None = None,
    calibration: str | Path | None = None,
    calibration_samples: int = 200,
    data_dir: str | Path | None = None,
    trust_code: bool = False,
    progress: Progress | None = None,
) -> Explanation:
    """Measure which layers of a run's int8 files pay: each quantised alone, and each left alone in float.

    Args:
        source: A run.
        formats: onnx, tflite, or all that have int8.
        opset: ONNX opset, 13 to 18.
        input_type: Type of the input and output of the TFLite file: int8, uint8 or float32.
        samples: Number of validation images, >= 1; by default all.
        calibration: Folder of images for the calibration; by default images of the run's training split.
        calibration_samples: Number of images for the calibration, >= 1.
        data_dir: Folder of the run's data, if they have been moved.
        trust_code: Whether code that comes with the run may be executed.
        progress: Listener of progress, notes and warnings.

    Returns:
        The layers, the loudest first, and three files to choose from, as `kdcompress export --explain --json` prints
        them; also saved in the run as explain.json.

    Raises:
        UsageError: An argument is out of range, the source is no run, or its integers are trained.
        ExportError: No file can be explained.
        KDCompressError: The run or the data cannot be used.
    """
    from kdcompress.exporting._request import make_export_request

    request = make_export_request(
        formats,
        opset=opset,
        input_type=input_type,
        parity_samples=samples,
        calibration=calibration,
        calibration_samples=calibration_samples,
        explain=True,
    )
    data, run = data_folder(data_dir, progress), resolve_source(source)
    if not isinstance(run, RunFolder):
        raise UsageError(_NEEDS_RUN.format("--explain", source))
    from kdcompress.exporting._run_explain import explain_run

    with run.lock(), trusting_code(trust_code):
        return Explanation.of(explain_run(run, request, data, progress or Progress()))


def _export_model(
    target: Path | InMemory,
    out: Path | None,
    request: ExportRequest,
    input_shape: tuple[int, int, int] | None,
    progress: Progress,
) -> dict[str, Any]:
    from kdcompress.exporting._standalone import export_file, export_loaded

    if isinstance(target, Path):
        return export_file(target, out, request, input_shape, progress)
    return export_loaded(target.model, target.name, out, request, input_shape, progress)
