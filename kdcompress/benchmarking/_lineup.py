"""Which models are timed against which, and on what images: of a run, or of files on their own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from kdcompress import registry
from kdcompress.benchmarking import find_runtime, make_runtime
from kdcompress.benchmarking._base import Images, Shape, Signature
from kdcompress.benchmarking._request import Request
from kdcompress.digests import content_digest
from kdcompress.errors import RunError, UsageError
from kdcompress.exporting import PRECISIONS, find_format
from kdcompress.exporting._calibration import spread
from kdcompress.exporting._pipeline import read_list
from kdcompress.exporting._teacher import TeacherFiles, export_teacher
from kdcompress.models import check_image_size
from kdcompress.pipeline.reopening import open_data
from kdcompress.progress import Progress
from kdcompress.runs.folder import RunFolder
from kdcompress.runs.integrity import check_integrity, read_run_recipe
from kdcompress.runs.names import EXPORTS
from kdcompress.teachers import Fit

RESULT = "bench.json"
_MOST_VALUES = 1 << 29  # of all random images together
_IMAGES = 64  # at least; calls go through them again and again
_SEED = 0


@dataclass(frozen=True)
class Subject:
    """A model file to time on `images` (n, ...); `shown` is its path in results.

    `fit` makes such images of raw pixels, where the file does not do that itself: of a teacher from elsewhere.
    """

    name: str
    path: Path
    shown: str
    runtime: str
    precision: str | None
    images: Images
    fit: Fit | None = None

    @property
    def image_shape(self) -> Shape:
        """The size of raw images that are to be read for it."""
        return self.fit.input_shape if self.fit else self.images.shape[1:]

    def prepare(self, pixels: Images) -> Images:
        """Raw pixels (n, *image_shape) as the file takes them."""
        return self.fit.prepare(pixels) if self.fit else pixels

    @property
    def model(self) -> str:
        """The name without the precision that it may end in: the same for one model in several precisions."""
        return self.name.removesuffix(f"-{self.precision}")

    @property
    def label(self) -> str:
        """As sentences call it."""
        return f"{self.model} {self.precision}" if self.precision else self.name


@dataclass
class Group:
    """Models that take turns: `reference` is what the others are compared with, None where it may not be timed."""

    reference: Subject | None
    others: list[Subject]

    @property
    def subjects(self) -> list[Subject]:
        """All of them, the reference first."""
        return [*([self.reference] if self.reference else []), *self.others]


@dataclass
class Lineup:
    """All groups, where their images are from, and what is not timed and why."""

    groups: list[Group]
    inputs: str
    skipped: list[str] = field(default_factory=list)


def of_run(run: RunFolder, request: Request, data_dir: Path | None, progress: Progress) -> Lineup:
    """The teacher and every exported student of a run, runtime by runtime, on images of its test split.

    Errors: RunError where there are no exports or one of them is gone or changed; MissingExtraError; DataError.
    """
    if request.input_shape is not None:
        raise UsageError("a run's models are timed at its data's size; --input-shape is for model files")
    run.check_all(but=RESULT)
    entries, skipped = _exports(run)
    for runtime in {entry["runtime"] for entry in entries}:
        make_runtime(runtime).require()
    dataset = open_data(run, read_run_recipe(run), data_dir, progress)
    rows = spread(len(dataset.test), _wanted(request))
    images = dataset.test.images[rows]
    teachers = export_teacher(run, dataset, sorted({entry["format"] for entry in entries}), progress)
    groups = []
    for name, teacher in teachers.files.items():
        here = [entry for entry in entries if entry["format"] == name]
        runtime = here[0]["runtime"]
        reference = None
        if teacher.path is None or teacher.reasons:
            what = "there is no such file" if teacher.path is None else "its export fails parity"
            skipped.append(f"the teacher on {runtime}: {what} ({'; '.join(teacher.reasons)})")
        else:
            reference = _teacher(teacher.path, runtime, teacher.precision, teachers.images(dataset, rows), teachers)
            if said := _too_narrow(reference, request):
                skipped.append(f"the teacher on {runtime}: {said}")
                reference = None
        students = [
            Subject("student", run / entry["path"], entry["path"], runtime, entry["precision"], images)
            for entry in sorted(here, key=lambda one: PRECISIONS.index(one["precision"]))
        ]
        groups.append(Group(reference, students))
    return Lineup(groups, f"{len(images)} images of the run's test split", skipped)


def _teacher(path: Path, runtime: str, precision: str | None, images: Images, teachers: TeacherFiles) -> Subject:
    return Subject("teacher", path, str(path), runtime, precision, images, teachers.teacher.fit)


def _too_narrow(subject: Subject, request: Request) -> str | None:
    """Why a teacher's file cannot be timed at the batch sizes asked for, or None."""
    signature = make_runtime(subject.runtime).signature(subject.path)
    try:
        for batch_size in request.batch_sizes:
            signature.check_batch(subject.path, batch_size)
    except UsageError as exc:
        return str(exc)
    return None


def of_files(paths: Sequence[Path], request: Request) -> Lineup:
    """Model files on random pixels, 0 to 255; all are compared with the first, whatever their runtimes.

    Errors: UsageError for a file that no runtime is for, and for an image size that is not known; ModelError;
    MissingExtraError.
    """
    found = []
    for path, name in zip(paths, _names(paths), strict=True):
        runtime, signature = _looked_at(path)
        for batch_size in request.batch_sizes:
            signature.check_batch(path, batch_size)
        shape = signature.image_shape(path, request.input_shape)
        check_image_size(shape, str(path))
        images = _random(
            shape, min(_wanted(request), max(2 * max(request.batch_sizes), _MOST_VALUES // math.prod(shape)))
        )
        found.append(Subject(name, path, str(path), runtime, signature.precision, images))
    return Lineup([Group(found[0], found[1:])], f"{_wanted(request)} random images, pixels 0 to 255 (no run is given)")


def batches(images: Images, batch_size: int) -> list[Images]:
    """All images in batches of one size; the last is filled up from the start, and there are two at least."""
    n = max(2, -(-len(images) // batch_size))
    index = np.arange(n * batch_size) % len(images)
    return [images[part] for part in np.split(index, n)]


def _wanted(request: Request) -> int:
    return max(_IMAGES, 2 * max(request.batch_sizes))


def _random(shape: Shape, n: int) -> Images:
    return np.random.default_rng(_SEED).integers(0, 256, (n, *shape), np.uint8)


def _exports(run: RunFolder) -> tuple[list[dict[str, Any]], list[str]]:
    """The exports to time, each with its runtime, and a sentence on each that is not."""
    listed = read_list(run / EXPORTS, run.path)
    if not listed.get("artefacts"):
        raise RunError(f"run {run.path} has no exports to time; make some with `kdcompress export {run.path}`")
    if listed["student_digest"] != run.manifest()["files"].get("student.keras", {}).get("digest"):
        raise RunError(f"the exports of run {run.path} are of another student; give `kdcompress export` again")
    timed, skipped = [], []
    for entry in listed["artefacts"]:
        runtime = find_runtime(run / entry["path"])
        if not entry["passed"]:
            skipped.append(f"{entry['path']}: it failed parity ({'; '.join(entry['reasons'])})")
        elif runtime is None:
            skipped.append(f"{entry['path']}: no runtime is for {entry['format']}")
        else:
            _check_whole(run / entry["path"], entry)
            timed.append({**entry, "runtime": runtime})
    if not timed:
        raise RunError(f"no export of run {run.path} can be timed: {'; '.join(skipped)}")
    return timed, skipped


def _check_whole(path: Path, entry: dict[str, Any]) -> None:
    if not path.exists():
        raise RunError(f"{path} is gone since it was exported; give `kdcompress export` again")
    if content_digest(path) != entry["sha256"]:
        raise RunError(f"{path} has changed since it was exported; give `kdcompress export` again")


def _looked_at(path: Path) -> tuple[str, Signature]:
    runtime = find_runtime(path)
    if runtime is None or not path.is_file():
        known = ", ".join(f"{make_runtime(name).suffix} ({name})" for name in registry.choices("runtimes"))
        export = "; `kdcompress export` makes them" if path.suffix == ".keras" or find_format(path) else ""
        raise UsageError(f"bench times one run, or files of a runtime: {known}; got {path}{export}")
    make_runtime(runtime).require()
    check_integrity(path)
    return runtime, make_runtime(runtime).signature(path)


def _names(paths: Sequence[Path]) -> list[str]:
    """The shortest of stem, file name and path that tells the files of one runtime apart."""
    for choice in ([p.stem for p in paths], [p.name for p in paths], [str(p) for p in paths]):
        if len(set(zip(choice, (p.suffix for p in paths), strict=True))) == len(paths):
            return choice
    return [f"{path} ({index})" for index, path in enumerate(paths, start=1)]
