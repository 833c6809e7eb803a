"""The student's files for a page: its ONNX exports, of which the one in float32 is made where it is missing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kdcompress.data import Dataset
from kdcompress.demonstration._models import PageModel
from kdcompress.digests import content_digest
from kdcompress.errors import ExportError, RunError
from kdcompress.exporting import make_format
from kdcompress.exporting._base import FP32, INT8
from kdcompress.exporting._pipeline import read_list
from kdcompress.exporting._request import make_export_request
from kdcompress.exporting._run_export import export_run
from kdcompress.progress import Progress
from kdcompress.runs.folder import RunFolder
from kdcompress.runs.names import EXPORTS

_FORMAT = "onnx"


def provide_exports(run: RunFolder, data_dir: Path | None, progress: Progress) -> dict[str, dict[str, Any]]:
    """Find the ONNX exports of a run, and make the one in float32 as `kdcompress export` does where it is missing.

    Args:
        run: Folder of the run.
        data_dir: Folder of the data set, if it has moved.
        progress: Receives notes.

    Returns:
        Entries of exports.json by precision: fp32, and int8 if there is one that passed parity.

    Raises:
        ExportError: There is none in float32, and it cannot be made or fails parity.
        RunError: An export has changed since.
    """
    entries = _passed(run)
    if FP32 not in entries:
        progress.note(
            f"run {run.path} has no ONNX file in float32 yet: it is exported now, as `kdcompress export` does"
        )
        result = export_run(run, make_export_request(_FORMAT, (FP32,)), data_dir, progress)
        if not result["passed"]:
            (entry,) = result["artefacts"]
            raise ExportError(f"{entry['path']} fails parity, and a page shows no such file: {entry['reasons'][0]}")
        entries = _passed(run)
    return entries


def make_students(run: RunFolder, entries: dict[str, dict[str, Any]], dataset: Dataset) -> list[PageModel]:
    """Make the models of a page from the student's exports.

    Args:
        run: Folder of the run.
        entries: Their entries, by precision.
        dataset: Data set of the run.

    Returns:
        The models, float32 first.
    """
    resize = dataset.image_settings.resize
    return [
        PageModel("student", precision, run / entry["path"], dataset.input_shape, resize)
        for precision, entry in entries.items()
    ]


def _passed(run: RunFolder) -> dict[str, dict[str, Any]]:
    document = read_list(run / EXPORTS, run.path)
    if document.get("student_digest") != run.manifest()["files"].get("student.keras", {}).get("digest"):
        return {}
    listed = {entry["precision"]: entry for entry in document["artefacts"] if _is_usable(entry)}
    entries = {precision: listed[precision] for precision in (FP32, INT8) if precision in listed}
    for entry in entries.values():
        path = run / entry["path"]
        if not path.is_file() or content_digest(path) != entry["sha256"]:
            raise RunError(f"{path} is gone or has changed since it was exported; give `kdcompress export` again")
    return entries


def _is_usable(entry: dict[str, Any]) -> bool:
    return bool(entry["format"] == _FORMAT and entry["passed"] and entry["path"].endswith(make_format(_FORMAT).suffix))
