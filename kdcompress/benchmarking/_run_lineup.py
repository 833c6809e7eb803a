"""Line-up of a run: its teacher and its exports, by runtime."""

from __future__ import annotations

import functools
from collections.abc import Collection
from pathlib import Path
from typing import Any

from kdcompress.benchmarking import make_runtime, runtimes_for
from kdcompress.benchmarking._base import Images
from kdcompress.benchmarking._fresh import check_starts
from kdcompress.benchmarking._lineup import RESULT, check_runtimes_used
from kdcompress.benchmarking._request import BenchRequest
from kdcompress.benchmarking._run_teacher import RunTeacher
from kdcompress.benchmarking._subjects import Group, Lineup, Subject, count_images
from kdcompress.data import Dataset
from kdcompress.digests import content_digest
from kdcompress.errors import RunError, UsageError
from kdcompress.exporting import PRECISIONS
from kdcompress.exporting._calibration import evenly_spaced_indices
from kdcompress.exporting._pipeline import read_list
from kdcompress.exporting._teacher import export_teacher
from kdcompress.pipeline.reopening import open_data
from kdcompress.progress import Progress
from kdcompress.runs.folder import RunFolder
from kdcompress.runs.integrity import read_run_recipe
from kdcompress.runs.names import EXPORTS
from kdcompress.verification.sizes import model_bytes


def of_run(
    run: RunFolder,
    request: BenchRequest,
    data_dir: Path | None,
    progress: Progress,
    *,
    n_images: int | None = None,
    precisions: Collection[str] = (),
) -> Lineup:
    """Line up the teacher and all exported students of a run, by runtime, on images of its test split.

    Args:
        run: Folder of a run with exports.
        request: Options.
        data_dir: Folder of the data set, if it has moved.
        progress: Receives notes.
        n_images: Number of test images; by default what the batch sizes need.
        precisions: Precisions of the exports; by default all.

    Returns:
        The line-up.

    Raises:
        RunError: There are no exports, or one of them is missing or was modified.
        UsageError: A chosen runtime runs none of the files.
        MissingExtraError: A runtime is not installed.
        ModelError: A runtime does not start.
        DataError: The data set cannot be loaded.
    """
    if request.input_shape is not None:
        raise UsageError("a run's models are timed at its data's size; --input-shape is for model files")
    run.check_all(but=RESULT)
    entries, skipped = _exports(run, request, precisions)
    runtimes = list(dict.fromkeys(entry["runtime"] for entry in entries))
    check_runtimes_used(request, runtimes)
    for runtime in runtimes:
        make_runtime(runtime).require()
        check_starts(runtime)
    dataset = open_data(run, read_run_recipe(run), data_dir, progress)
    rows = evenly_spaced_indices(len(dataset.test), n_images or count_images(request))
    images = dataset.test.images[rows]
    provide = functools.partial(export_teacher, run, dataset, progress=progress)
    formats = sorted({entry["format"] for entry in entries})
    teacher, groups = RunTeacher(provide, formats, request, dataset, rows), []
    for name in formats:
        for runtime in runtimes:
            matching = [entry for entry in entries if (entry["format"], entry["runtime"]) == (name, runtime)]
            if matching:
                students = [_student(run, entry, images, dataset) for entry in sorted(matching, key=_precision_order)]
                groups.append(Group(teacher.reference(name, runtime), students))
    groups, untimed = teacher.pair_across_runtimes(groups)
    return Lineup(groups, f"{len(images)} images of the run's test split", skipped + untimed)


def _student(run: RunFolder, entry: dict[str, Any], images: Images, dataset: Dataset) -> Subject:
    runtime, precision = entry["runtime"], entry["precision"]
    path, settings = run / entry["path"], dataset.image_settings
    size = model_bytes(path)
    return Subject("student", path, entry["path"], runtime, precision, images, size, image_settings=settings)


def _precision_order(entry: dict[str, Any]) -> tuple[int, str]:
    precision = entry["precision"]
    return PRECISIONS.index(precision) if precision in PRECISIONS else len(PRECISIONS), precision


def _exports(
    run: RunFolder, request: BenchRequest, precisions: Collection[str]
) -> tuple[list[dict[str, Any]], list[str]]:
    """Select the exports to time, once for each of their runtimes, and describe those that are skipped."""
    document = read_list(run / EXPORTS, run.path)
    if not document.get("artefacts"):
        raise RunError(f"run {run.path} has no exports to time; make some with `kdcompress export {run.path}`")
    if document["student_digest"] != run.manifest()["files"].get("student.keras", {}).get("digest"):
        raise RunError(f"the exports of run {run.path} are of another student; give `kdcompress export` again")
    timed: list[dict[str, Any]] = []
    skipped: list[str] = []
    chosen = [entry for entry in document["artefacts"] if not precisions or entry["precision"] in precisions]
    if not chosen:
        there = ", ".join(dict.fromkeys(entry["precision"] for entry in document["artefacts"]))
        raise RunError(f"run {run.path} has no export in {' or '.join(precisions)}, it has {there}")
    for entry in chosen:
        path = run / entry["path"]
        runtimes = runtimes_for(path, request.runtimes)
        if not entry["passed"]:
            skipped.append(f"{entry['path']}: it failed parity ({'; '.join(entry['reasons'])})")
        elif not runtimes:
            none = "no runtime is" if not request.runtimes else "none of the chosen runtimes is"
            skipped.append(f"{entry['path']}: {none} for {entry['format']}")
        else:
            _check_unchanged(path, entry)
            timed += [{**entry, "runtime": runtime} for runtime in runtimes]
    if not timed:
        raise RunError(f"no export of run {run.path} can be timed: {'; '.join(skipped)}")
    return timed, skipped


def _check_unchanged(path: Path, entry: dict[str, Any]) -> None:
    if not path.exists():
        raise RunError(f"{path} is gone since it was exported; give `kdcompress export` again")
    if content_digest(path) != entry["sha256"]:
        raise RunError(f"{path} has changed since it was exported; give `kdcompress export` again")
