"""Which models of a run are timed against which: its teacher and its exports, runtime by runtime."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kdcompress.benchmarking import make_runtime, runtimes_for
from kdcompress.benchmarking._lineup import RESULT, Group, Lineup, Subject, refuse_idle, wanted_images
from kdcompress.benchmarking._request import BenchRequest
from kdcompress.data import Dataset
from kdcompress.digests import content_digest
from kdcompress.errors import RunError, UsageError
from kdcompress.exporting import PRECISIONS
from kdcompress.exporting._calibration import evenly_spaced_indices
from kdcompress.exporting._pipeline import read_list
from kdcompress.exporting._teacher import TeacherFile, TeacherFiles, export_teacher
from kdcompress.pipeline.reopening import open_data
from kdcompress.progress import Progress
from kdcompress.runs.folder import RunFolder
from kdcompress.runs.integrity import read_run_recipe
from kdcompress.runs.names import EXPORTS


def of_run(run: RunFolder, request: BenchRequest, data_dir: Path | None, progress: Progress) -> Lineup:
    """Line up the teacher and every exported student of a run, runtime by runtime, on images of its test split.

    Args:
        run: A run with exports.
        request: What is asked for.
        data_dir: Where the run's data lie now, if they were moved.
        progress: Hears what is being done.

    Raises:
        RunError: There are no exports, or one of them is gone or changed.
        UsageError: A runtime was named that runs none of the files.
        MissingExtraError: A runtime is not installed.
        DataError: The data cannot be read.
    """
    if request.input_shape is not None:
        raise UsageError("a run's models are timed at its data's size; --input-shape is for model files")
    run.check_all(but=RESULT)
    entries, skipped = _exports(run, request)
    runtimes = list(dict.fromkeys(entry["runtime"] for entry in entries))
    refuse_idle(request, runtimes)
    for runtime in runtimes:
        make_runtime(runtime).require()
    dataset = open_data(run, read_run_recipe(run), data_dir, progress)
    rows = evenly_spaced_indices(len(dataset.test), wanted_images(request))
    images = dataset.test.images[rows]
    teachers = export_teacher(run, dataset, sorted({entry["format"] for entry in entries}), progress)
    groups = []
    for name, teacher in teachers.files.items():
        for runtime in runtimes:
            here = [entry for entry in entries if (entry["format"], entry["runtime"]) == (name, runtime)]
            if here:
                reference, problem = _reference(teacher, runtime, request, teachers, dataset, rows)
                skipped += [f"the teacher on {runtime}: {problem}"] if problem else []
                students = [
                    Subject("student", run / entry["path"], entry["path"], runtime, entry["precision"], images)
                    for entry in sorted(here, key=_by_precision)
                ]
                groups.append(Group(reference, students))
    return Lineup(groups, f"{len(images)} images of the run's test split", skipped)


def _reference(
    teacher: TeacherFile,
    runtime: str,
    request: BenchRequest,
    teachers: TeacherFiles,
    dataset: Dataset,
    rows: Sequence[int],
) -> tuple[Subject | None, str | None]:
    """The teacher on a runtime, or why it cannot be timed there."""
    if teacher.path is None or teacher.reasons:
        problem = "there is no such file" if teacher.path is None else "its export fails parity"
        return None, f"{problem} ({'; '.join(teacher.reasons)})"
    images, adapter = teachers.images(dataset, rows), teachers.teacher.adapter
    reference = Subject("teacher", teacher.path, str(teacher.path), runtime, teacher.precision, images, adapter)
    signature = make_runtime(runtime).signature(teacher.path)
    try:
        for batch_size in request.batch_sizes:
            signature.check_batch(teacher.path, batch_size)
    except UsageError as exc:
        return None, str(exc)
    return reference, None


def _by_precision(entry: dict[str, Any]) -> tuple[int, str]:
    precision = entry["precision"]
    return PRECISIONS.index(precision) if precision in PRECISIONS else len(PRECISIONS), precision


def _exports(run: RunFolder, request: BenchRequest) -> tuple[list[dict[str, Any]], list[str]]:
    """The exports to time, one for each of their runtimes, and a sentence on each that is not."""
    listed = read_list(run / EXPORTS, run.path)
    if not listed.get("artefacts"):
        raise RunError(f"run {run.path} has no exports to time; make some with `kdcompress export {run.path}`")
    if listed["student_digest"] != run.manifest()["files"].get("student.keras", {}).get("digest"):
        raise RunError(f"the exports of run {run.path} are of another student; give `kdcompress export` again")
    timed: list[dict[str, Any]] = []
    skipped: list[str] = []
    for entry in listed["artefacts"]:
        path = run / entry["path"]
        runtimes = runtimes_for(path, request.runtimes)
        if not entry["passed"]:
            skipped.append(f"{entry['path']}: it failed parity ({'; '.join(entry['reasons'])})")
        elif not runtimes:
            word = "no runtime is" if not request.runtimes else "none of the chosen runtimes is"
            skipped.append(f"{entry['path']}: {word} for {entry['format']}")
        else:
            _check_whole(path, entry)
            timed += [{**entry, "runtime": runtime} for runtime in runtimes]
    if not timed:
        raise RunError(f"no export of run {run.path} can be timed: {'; '.join(skipped)}")
    return timed, skipped


def _check_whole(path: Path, entry: dict[str, Any]) -> None:
    if not path.exists():
        raise RunError(f"{path} is gone since it was exported; give `kdcompress export` again")
    if content_digest(path) != entry["sha256"]:
        raise RunError(f"{path} has changed since it was exported; give `kdcompress export` again")
