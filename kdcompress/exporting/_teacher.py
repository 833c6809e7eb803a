"""The teacher of a run as files to time: its own, or exported once in fp32, compared, and kept in the cache.

In the cache and not in the run's exports/, because those are the files to ship, and because runs share teachers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kdcompress.cache import lock_entry
from kdcompress.data import Dataset
from kdcompress.digests import content_digest, json_digest
from kdcompress.errors import ExportError, ModelError, RunError
from kdcompress.exporting import make_format
from kdcompress.exporting._base import FP32, Images
from kdcompress.exporting._calibration import evenly_spaced_indices
from kdcompress.exporting._network import freeze
from kdcompress.exporting._parity import Reference
from kdcompress.exporting._pipeline import Exporter, read_list
from kdcompress.exporting._request import make_export_request
from kdcompress.pipeline.opening import reopen_teaching
from kdcompress.progress import Progress
from kdcompress.runs.folder import RunFolder
from kdcompress.runs.integrity import read_run_recipe
from kdcompress.teachers import Teacher
from kdcompress.versions import versions

_COMPARED = 200  # test images


@dataclass(frozen=True)
class TeacherFile:
    """A teacher as a file; `reasons` say why it failed parity, or (`path` is None then) why it could not be made."""

    path: Path | None
    precision: str | None
    reasons: list[str]


@dataclass(frozen=True)
class TeacherFiles:
    """The teacher's file in each format, and what makes the input of these files of images of the data."""

    files: dict[str, TeacherFile]
    teacher: Teacher

    def images(self, dataset: Dataset, rows: Sequence[int]) -> Images:
        """Test images as the files take them: of the teacher's size, scale and layout."""
        return self.teacher.fit.prepare(self.teacher.images(dataset.test.images)[rows])


def export_teacher(run: RunFolder, dataset: Dataset, formats: Iterable[str], progress: Progress) -> TeacherFiles:
    """The run's teacher in each of `formats`; RunError where there is none yet.

    A Keras model or SavedModel is exported, unless it lies in the cache; another file is timed as it is, in its own
    format alone.
    """
    teaching = reopen_teaching(run, read_run_recipe(run))
    if not teaching.teachers:
        raise RunError(f"run {run.path} has no teacher yet; give its `kdcompress distill` command again to finish it")
    (teacher, *more), names = teaching.teachers, list(formats)
    if more:
        reason = f"{len(teaching.teachers)} teachers answer together: there is no one file to time"
        return TeacherFiles({name: TeacherFile(None, None, [reason]) for name in names}, teacher)
    if teacher.traceable:
        return TeacherFiles(_exported(teacher, dataset, names, progress), teacher)
    return TeacherFiles({name: _as_it_is(teacher, name) for name in names}, teacher)


def _as_it_is(teacher: Teacher, name: str) -> TeacherFile:
    if teacher.path is not None and teacher.path.suffix.lower() == make_format(name).suffix:
        return TeacherFile(teacher.path, None, [])
    what = f"a {teacher.path.suffix} file" if teacher.path else "logits without a model"
    return TeacherFile(None, None, [f"{teacher.what} is {what}"])


def _exported(teacher: Teacher, dataset: Dataset, formats: Sequence[str], progress: Progress) -> dict[str, TeacherFile]:
    by = versions("tf2onnx", "onnx", "onnxruntime", "ai-edge-litert")
    key = json_digest([teacher.digest, teacher.fit.input_shape, by])
    failures: dict[str, TeacherFile] = {}
    with lock_entry("exports", key, progress) as folder:
        entries = _kept(folder)
        if missing := [name for name in formats if name not in entries]:
            for name in missing:
                try:
                    exporter = _exporter(teacher, dataset, folder)
                    (entry,) = exporter.execute(make_export_request(name, (FP32,)), progress)["artefacts"]
                    entries[name] = entry
                except (ExportError, ModelError) as exc:
                    failures[name] = TeacherFile(None, FP32, [str(exc)])
    files = {
        name: TeacherFile(folder / entry["path"], entry["precision"], entry["reasons"])
        for name, entry in entries.items()
        if name in formats
    }
    return files | failures


def _exporter(teacher: Teacher, dataset: Dataset, folder: Path) -> Exporter:
    rows = evenly_spaced_indices(len(dataset.test), _COMPARED)
    some = dataset.test.take(np.asarray(rows, np.int64))
    images = teacher.fit.prepare(teacher.images(some.images)[:])
    # Its answers are taken anew: those that the run kept are logits, also of a teacher that ends in softmax
    logits, classes = teacher.run(images), [str(number) for number in range(teacher.width())]
    reference = Reference("test", images, some.ids.tolist(), logits, None, classes)
    digest = None if teacher.model is not None else teacher.digest
    network = freeze(teacher.network(), teacher.fit.input_shape, teacher.what, digest)
    return Exporter(network, "teacher", folder, "", lambda precision: reference, None, {})


def _kept(folder: Path) -> dict[str, dict[str, Any]]:
    """What lies in the cache, whole, by format."""
    entries = read_list(folder, folder).get("artefacts", [])
    whole = [one for one in entries if (folder / one["path"]).is_file()]
    return {one["format"]: one for one in whole if content_digest(folder / one["path"]) == one["sha256"]}
