"""Compressed students of a run: one folder each, complete as a run is."""

from __future__ import annotations

import functools
import sys
import time
from pathlib import Path
from typing import Any

from kdcompress.compression._base import Compressed
from kdcompress.compression._lineage import begin, is_outdated, outdated_students
from kdcompress.compression._pipeline import CompressionPipeline, CompressionResult, describe_costs
from kdcompress.config.compress import CompressSection
from kdcompress.config.recipe import Recipe, change_run_recipe
from kdcompress.data import load_data
from kdcompress.errors import KDCompressError, RunError
from kdcompress.events import ArtefactWritten
from kdcompress.exporting._request import make_export_request
from kdcompress.exporting._run_export import export_run
from kdcompress.files import write_json
from kdcompress.observers import observe_run
from kdcompress.progress import Progress
from kdcompress.runs.documents import read_checked, write_document
from kdcompress.runs.folder import RunFolder
from kdcompress.runs.integrity import read_run_recipe
from kdcompress.runs.names import COMPRESSION, HISTORY, METRICS, RECIPE, remedy
from kdcompress.runs.schemas import Compression, versioned
from kdcompress.runs.students import BASELINE, student_folder
from kdcompress.teachers import EMBEDDING
from kdcompress.verification.run_result import describe_run
from kdcompress.versions import versions


def compression_recipe(
    run: RunFolder, section: CompressSection, seed: int | None = None, data_dir: Path | None = None
) -> Recipe:
    """Make the recipe of a compressed student: that of its run, with the section `compress`.

    Args:
        run: The finished run.
        section: Settings of the compression.
        seed: Seed of the order of batches; that of the run by default.
        data_dir: Folder of the data, if they have been moved.

    Returns:
        The recipe. Of a compression of the baseline, its method is `none`; in place of a method with a projector, which
        is not kept, it is `hinton`.

    Raises:
        RunError: The run is not finished.
        RecipeError: A value does not fit.
    """
    if not run.is_finished():
        raise RunError(f"run {run.path} is not finished; give its `kdcompress distill` command again, then compress it")
    if section.start == BASELINE and not run.has_file(f"{BASELINE}.keras"):
        raise RunError(f"run {run.path} has no baseline; compress {run.path}, or distill with --baseline")
    recipe = read_run_recipe(run)
    changes: dict[str, Any] = {"baseline": False, "compress": section.model_dump(exclude_none=True)}
    if section.start == BASELINE:
        changes["method.name"] = "none"
    elif EMBEDDING in recipe.method.wants:
        changes["method.name"] = "hinton"
    if seed is not None:
        changes["seed"] = seed
    if data_dir is not None:
        changes["data.dir"] = str(data_dir.absolute())
    return change_run_recipe(recipe, changes)


def compress_run(run: RunFolder, recipe: Recipe, name: str, fresh: bool, progress: Progress) -> Compression:
    """Compress the student of a run into a folder of its own, or return the finished one.

    Args:
        run: The finished run.
        recipe: Recipe of the compressed student, from `compression_recipe`.
        name: Name of the compressed student.
        fresh: Whether an earlier student of this name is deleted first.
        progress: Receives notes, warnings and progress.

    Returns:
        What was done, and what the student costs and does.

    Raises:
        RunError: The folder belongs to another compression, or a file has changed.
        KDCompressError: The model cannot be compressed so, or a training failed.
    """
    folder = student_folder(run, name)
    folder.prepare(fresh)
    with folder.lock():
        if fresh:
            folder.clear()
        begun_now = folder.start_or_resume(recipe)
        if folder.has_file(METRICS):
            return _finished(run, folder, recipe, progress)
        try:
            work = functools.partial(_execute, run, folder, recipe)
            return observe_run(
                work, folder.path, recipe.to_dict(), not begun_now, tuple(recipe.observers.values()), progress
            )
        except (KDCompressError, OSError):
            if begun_now:
                folder.discard_if_empty()
            raise


def _finished(run: RunFolder, folder: RunFolder, recipe: Recipe, progress: Progress) -> Compression:
    folder.has_file("student.keras")
    document = read_checked(folder / COMPRESSION, remedy(COMPRESSION, folder.path))
    if recipe.data.dir is not None:
        folder.check_data(load_data(recipe, progress).facts)
    for warning in document["warnings"]:
        progress.warn(warning)
    if recipe.compress is not None and is_outdated(run, folder, recipe.compress):
        progress.warn(
            f"{folder.path} was compressed from a former {recipe.compress.start}, which was made anew since: 'before' "
            "is of that one; --fresh makes this one anew, too"
        )
    progress.note(f"{folder.path} is finished already; --fresh makes it anew")
    return Compression.of({"run": str(folder.path), **document})


def _execute(run: RunFolder, folder: RunFolder, recipe: Recipe, progress: Progress) -> Compression:
    start, earlier = time.perf_counter(), folder.manifest().get("seconds", 0.0)
    folder.on_commit = lambda name: progress.emit(ArtefactWritten(path=folder / name, name=name))
    folder.update_manifest(command=sys.argv, seed=recipe.seed, recipe=recipe.digest, versions=versions())
    pipeline = CompressionPipeline(recipe, run, folder, progress)
    begin(run, folder, pipeline.section)
    try:
        result = pipeline.execute_compression()
        shipped = _ship(folder, recipe, result.compressed, progress)
    finally:
        seconds = round(earlier + time.perf_counter() - start, 3)
        folder.update_manifest(seconds=seconds)
    metrics = versioned(describe_run(folder, result.outcome, seconds, progress))
    document = _describe(run, folder, recipe, result, shipped, seconds)
    write_document(folder / COMPRESSION, document)
    write_json(folder / METRICS, metrics)
    for name in (HISTORY, RECIPE, COMPRESSION, METRICS):
        if (folder / name).exists():
            folder.commit(name)
    pipeline.clean_up()
    if others := outdated_students(run, folder.path.name):
        progress.warn(
            f"made anew, {folder.path.name} is another student than the one that {', '.join(others)} "
            f"{'was' if len(others) == 1 else 'were'} compressed from; {'its' if len(others) == 1 else 'their'} "
            "`kdcompress compress` command with --fresh does it again"
        )
    return Compression.of({"run": str(folder.path), **document})


def _ship(folder: RunFolder, recipe: Recipe, compressed: Compressed, progress: Progress) -> list[dict[str, Any]]:
    """Export the int8 files of a quantized student, which are what its training was for."""
    if "qat" not in compressed.facts:
        return []
    request = make_export_request(("onnx", "tflite"), ("int8",))
    document = export_run(folder, request, Path(recipe.data.dir) if recipe.data.dir else None, progress)
    for failure in document["failures"]:
        progress.warn(f"{failure['format']} {failure['precision']}: {failure['reason']}")
    entries: list[dict[str, Any]] = document["artefacts"]
    return entries


def _describe(
    run: RunFolder,
    folder: RunFolder,
    recipe: Recipe,
    result: CompressionResult,
    shipped: list[dict[str, Any]],
    seconds: float,
) -> dict[str, Any]:
    section, shape = recipe.compress, result.outcome.input_shape
    metrics = result.outcome.metrics
    return {
        "name": folder.path.name,
        "start": section.start if section else "",
        "steps": result.compressed.facts,
        "teacher": {"metrics": metrics["teacher"]},
        "before": {**describe_costs(result.start, shape), "metrics": _metrics_before(run, section)},
        "after": {**describe_costs(result.outcome.student, shape), "metrics": metrics["student"]},
        "shipped": [
            {key: entry[key] for key in ("path", "format", "precision", "bytes", "metrics", "passed")}
            for entry in shipped
        ],
        "seconds": seconds,
        "warnings": result.outcome.warnings,
    }


def _metrics_before(run: RunFolder, section: CompressSection | None) -> dict[str, Any]:
    """Read the metrics on test of the student that was compressed."""
    start = section.start if section else "student"
    source, role = (run, start) if start in ("student", BASELINE) else (student_folder(run, start), "student")
    document = read_checked(source / METRICS, remedy(METRICS, source.path))
    metrics: dict[str, Any] = dict(document[role]["metrics"])
    return metrics
