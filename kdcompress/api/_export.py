"""`export`: the files that are shipped, each compared with the Keras model."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kdcompress.api._source import InMemory, Run, source_of
from kdcompress.errors import DataError, UsageError
from kdcompress.progress import Progress
from kdcompress.runs.folder import RunFolder
from kdcompress.runs.schemas import Export
from kdcompress.trust import trusting_code

if TYPE_CHECKING:
    from kdcompress.exporting._request import ExportRequest


def export(
    source: str | Path | Run | Any,
    formats: str | Iterable[str] = ("onnx", "tflite"),
    precisions: str | Iterable[str] = ("fp32",),
    *,
    opset: int = 17,
    input_type: str = "int8",
    max_metric_drop: float = 0.01,
    parity_samples: int | None = None,
    calibration: str | Path | None = None,
    calibration_samples: int = 200,
    out: str | Path | None = None,
    input_shape: tuple[int, int, int] | None = None,
    data_dir: str | Path | None = None,
    trust_code: bool = False,
    progress: Progress | None = None,
) -> Export:
    """Export a run's student, or a Keras model, and compare each file with it.

    Args:
        source: A run, or a Keras model: a .keras file, `module:function`, or in memory.
        formats: onnx, tflite, saved-model, or all of them.
        precisions: fp32, fp16, int8, dynamic (TFLite only), or all of them.
        opset: The ONNX opset, 13 to 18.
        input_type: What a full int8 TFLite file takes and gives: int8, uint8, float32.
        max_metric_drop: What fp16, int8 and dynamic may lose of the metric; a fraction from -1 to 1.
        parity_samples: On how many images files are compared, >= 1; by default the whole test split, and 64 random
            images without a run.
        calibration: A folder of images to calibrate int8 with; by default images of the run's training split.
        calibration_samples: How many images calibrate int8, >= 1.
        out: Where a model's exports go (a model in memory needs it); a run's go into its exports/.
        input_shape: Height, width and channels, for a model that takes images of any size.
        data_dir: Where the run's data lie now, if they were moved.
        trust_code: Let code run that came with the run or the file.
        progress: Hears what is being done.

    Returns:
        The files made and what they were measured to be, as `kdcompress export --json` prints it. `passed` says whether
        every file could be made and computes what the Keras model computes.

    Raises:
        UsageError: An argument is out of its range, or does not go with the source.
        ExportError: No file could be made.
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
    )
    listener, data = progress or Progress(), Path(data_dir) if data_dir else None
    for skipped in request.skipped:
        listener.note(f"{skipped}: the format does not have that precision, skipped")
    if data is not None and not data.is_dir():
        raise DataError(f"data folder {data_dir} does not exist")
    given = source_of(source)
    if not isinstance(given, RunFolder):
        if isinstance(given, InMemory) and out is None and not isinstance(source, str | Path):
            raise UsageError("a model in memory has no folder of its own: name the folder of its exports with `out`")
        with trusting_code(trust_code):
            return Export.of(_export_alone(given, Path(out) if out else None, request, input_shape, listener))
    if out is not None or input_shape is not None:
        raise UsageError("a run's exports go into the run, at its data's size; --out and --input-shape are for a model")
    from kdcompress.exporting._run_export import export_run

    with given.lock(), trusting_code(trust_code):
        return Export.of(export_run(given, request, data, listener))


def _export_alone(
    given: Path | InMemory,
    out: Path | None,
    request: ExportRequest,
    input_shape: tuple[int, int, int] | None,
    progress: Progress,
) -> dict[str, Any]:
    from kdcompress.exporting._standalone import export_file, export_loaded

    if isinstance(given, Path):
        return export_file(given, out, request, input_shape, progress)
    return export_loaded(given.model, given.name, out, request, input_shape, progress)
