"""Files of a run's teacher for benchmarks: its own file, or an fp32 export in the cache.

Exports are in the cache and not in the run's `exports` folder, which holds the files to deploy, and because runs share
teachers.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from kdcompress.cache import lock_entry
from kdcompress.config.recipe import Recipe
from kdcompress.data import Dataset, resize_images
from kdcompress.digests import json_digest
from kdcompress.errors import ExportError, ModelError, RunError
from kdcompress.exporting import make_format
from kdcompress.exporting._base import FP32, Images
from kdcompress.exporting._calibration import evenly_spaced_indices
from kdcompress.exporting._float32 import FLOAT32
from kdcompress.exporting._network import freeze
from kdcompress.exporting._parity import FP32_TOLERANCE, Reference, report_policy
from kdcompress.exporting._pipeline import Exporter
from kdcompress.exporting._request import make_export_request
from kdcompress.exporting._teacher_cache import TeacherFile, entry_key, files_of, read_cached, recall, remember
from kdcompress.pipeline.reopening import reopen_teachers
from kdcompress.pipeline.saved_teachers import read_saved_teachers
from kdcompress.progress import Progress
from kdcompress.runs.folder import RunFolder
from kdcompress.runs.integrity import read_run_recipe
from kdcompress.teachers import InputAdapter, Teacher

_COMPARED = 200  # test images


@dataclass(frozen=True)
class TeacherFiles:
    """Files of a teacher.

    Attributes:
        files: File by format.
        adapter: The teacher's preprocessing, which the files' inputs need.
        is_ensemble: Whether it is that of the first of several, which have no files.
        has_model: Whether there is a model at all.
    """

    files: dict[str, TeacherFile]
    adapter: InputAdapter
    is_ensemble: bool = False
    has_model: bool = True

    def images(self, dataset: Dataset, rows: Sequence[int]) -> Images:
        """Prepare test images as inputs of the files, in the teacher's size, scale and layout.

        Args:
            dataset: Data set of the run.
            rows: Indices of test images.

        Returns:
            The inputs, one row per image.
        """
        adapter = self.adapter
        resized = resize_images(dataset.test.images, adapter.input_shape, adapter.section.resize)
        return adapter.prepare(resized[rows])


def export_teacher(run: RunFolder, dataset: Dataset, formats: Iterable[str], progress: Progress) -> TeacherFiles:
    """Provide the teacher of a run in several formats.

    A Keras model or SavedModel is exported, unless its export is cached; a file of another kind is used as it is, or
    converted by its own framework where that can be done.

    Args:
        run: Folder of a run.
        dataset: Data set of the run, on whose test images exports are checked.
        formats: Names of formats.
        progress: Receives notes.

    Returns:
        The files.

    Raises:
        RunError: The run has no teacher yet.
    """
    recipe, names = read_run_recipe(run), list(formats)
    if found := _find_unopened(run, recipe, names, progress):
        return found
    ensemble = reopen_teachers(run, recipe)
    if not ensemble.teachers:
        raise RunError(f"run {run.path} has no teacher yet; give its `kdcompress distill` command again to finish it")
    return export_teachers(ensemble.teachers, dataset, names, progress)


def _find_unopened(run: RunFolder, recipe: Recipe, formats: Sequence[str], progress: Progress) -> TeacherFiles | None:
    """Find all files in the cache without opening the teacher; None if that cannot be done."""
    saved, sections = list(read_saved_teachers(run).values()), recipe.teacher.teachers
    if not len(saved) == len(sections) == 1:
        return None
    (entry,), (section,) = saved, sections
    with lock_entry("exports", entry_key(entry.digest, entry.input_shape), progress) as folder:
        cached, known = read_cached(folder), recall(folder, section.preprocessing)
    if known is None or not set(formats) <= set(cached):
        return None
    _tell_policy(f"teacher {section.model}", known.policy, progress)
    adapter = InputAdapter(entry.input_shape, section.preprocessing, known.nchw)
    return TeacherFiles(files_of(folder, cached, formats), adapter)


def export_teachers(
    teachers: Sequence[Teacher], dataset: Dataset, formats: Iterable[str], progress: Progress
) -> TeacherFiles:
    """Provide a teacher in several formats, as `export_teacher` does; an ensemble has no files.

    Args:
        teachers: The teacher, or those of an ensemble.
        dataset: Data set, on whose test images exports are checked.
        formats: Names of formats.
        progress: Receives notes.

    Returns:
        The files.
    """
    (teacher, *more), names = teachers, list(formats)
    if more:
        reason = f"it is an ensemble of {len(teachers)} teachers: there is no single file to time"
        nothing = {name: TeacherFile(None, None, [reason]) for name in names}
        return TeacherFiles(nothing, teacher.adapter, is_ensemble=True)
    if teacher.traceable:
        return TeacherFiles(_exported(teacher, dataset, names, progress), teacher.adapter)
    files = {name: _original(teacher, name, dataset, progress) for name in names}
    return TeacherFiles(files, teacher.adapter, has_model=(teacher.path, teacher.model) != (None, None))


def _original(teacher: Teacher, name: str, dataset: Dataset, progress: Progress) -> TeacherFile:
    suffix = make_format(name).suffix
    if teacher.path is not None and teacher.path.suffix.lower() == suffix and not teacher.uses_part:
        return TeacherFile(teacher.path)
    if teacher.path is not None and suffix in (teacher.path.suffix.lower(), *teacher.converts_to):
        return _part(teacher, suffix, dataset, progress)
    kind = f"a {teacher.path.suffix} file" if teacher.path else "logits without a model"
    return TeacherFile(None, None, [f"{teacher.description} is {kind}"])


def _part(teacher: Teacher, suffix: str, dataset: Dataset, progress: Progress) -> TeacherFile:
    """Write the used part of a teacher's file, so that other outputs are not timed, and compare it with the teacher.

    Its own framework may write it as another kind of file, with another suffix.
    """
    with lock_entry("exports", json_digest([teacher.digest, "part"]), progress) as folder:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"teacher-part{suffix}"
        try:
            part = teacher.write_part(path)
        except ModelError as exc:
            return TeacherFile(None, None, [str(exc)])
    images, _ = _test_images(teacher, dataset)
    logits, expected = part.run(images), teacher.run(images)
    difference = float(np.abs(logits - expected).max())
    tolerance = max(FP32_TOLERANCE * float(np.abs(expected).max()), teacher.quantization_step)
    if not difference <= tolerance:
        return TeacherFile(None, None, [f"the part of it that is used gives outputs that differ by {difference:.3g}"])
    if suffix in teacher.converts_to:
        progress.note(f"{teacher.description}: timed is the {suffix} file that its own framework makes of it")
        return TeacherFile(path, FP32)
    progress.note(f"{teacher.description}: timed is the part of it that the student learned from ({_summary(teacher)})")
    return TeacherFile(path)


def _summary(teacher: Teacher) -> str:
    selection = teacher.selection
    output = [f"output {selection.output}"] if selection.output is not None else []
    constants = ", ".join(f"{name} = {value}" for name, value in selection.constants.items())
    return ", with ".join([*output, *([constants] if constants else [])])


def _exported(teacher: Teacher, dataset: Dataset, formats: Sequence[str], progress: Progress) -> dict[str, TeacherFile]:
    failures: dict[str, TeacherFile] = {}
    with lock_entry("exports", entry_key(teacher.digest, teacher.adapter.input_shape), progress) as folder:
        entries = read_cached(folder)
        exporter = functools.cache(lambda: _exporter(teacher, dataset, folder, progress))
        for name in formats:
            if name not in entries:
                try:
                    (entries[name],) = exporter().execute(make_export_request(name, (FP32,)), progress)["artefacts"]
                except (ExportError, ModelError) as exc:
                    failures[name] = TeacherFile(None, FP32, [str(exc)])
        known = remember(folder, teacher)
        if not exporter.cache_info().misses:
            _tell_policy(teacher.description, known.policy, progress)
    return files_of(folder, entries, formats) | failures


def _tell_policy(description: str, policy: str, progress: Progress) -> None:
    if policy != FLOAT32:
        progress.note(f"{description} computes in {policy}: timed is its export in float32")


def _exporter(teacher: Teacher, dataset: Dataset, folder: Path, progress: Progress) -> Exporter:
    images, ids = _test_images(teacher, dataset)
    # The run's stored outputs are logits even if the teacher ends in softmax, so they are computed again
    logits, classes = teacher.run(images), [str(number) for number in range(teacher.count_outputs())]
    digest = None if teacher.model is not None else teacher.digest
    network = freeze(teacher.network(), teacher.adapter.input_shape, teacher.description, digest)
    reference = Reference("test", images, ids, logits, None, classes)
    if network.policy != FLOAT32:
        reference = replace(reference, logits=network.run(images))
        report_policy(network.policy, teacher.description, logits, reference, progress)
    return Exporter(network, "teacher", folder, "", lambda precision: reference, None, {})


def _test_images(teacher: Teacher, dataset: Dataset) -> tuple[Images, list[str]]:
    """Prepare some test images as inputs of the teacher, and return them with their ids."""
    rows = evenly_spaced_indices(len(dataset.test), _COMPARED)
    samples = dataset.test.take(np.asarray(rows, np.int64))
    return teacher.adapter.prepare(teacher.resize(samples.images)[:]), samples.ids.tolist()
