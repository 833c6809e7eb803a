"""Line-up of a bundle: its files on the runtimes that the device has."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from kdcompress.benchmarking import make_runtime, runtimes_for
from kdcompress.benchmarking._base import Reporter
from kdcompress.benchmarking._fresh import measure_fresh
from kdcompress.benchmarking._request import BenchRequest
from kdcompress.benchmarking._subjects import Group, Lineup, Subject, pair_across_runtimes
from kdcompress.device.contents import BundledFile, Contents
from kdcompress.errors import KDCompressError, MissingExtraError, ModelError, UsageError


@dataclass(frozen=True)
class Device:
    """An unpacked bundle on a device.

    Attributes:
        folder: Folder that it was unpacked to.
        contents: What it holds.
        images: Inputs of its files by key.
    """

    folder: Path
    contents: Contents
    images: dict[str, NDArray[Any]]

    def subject(self, file: BundledFile, runtime: str) -> Subject:
        """Return a file as a model to time on a runtime."""
        images = self.images[file.images]
        path = self.folder / file.path
        return Subject(file.name, path, file.shown_path, runtime, file.precision, images, file.size_bytes)

    def file_of(self, subject: Subject) -> BundledFile:
        """Return the file of a model to time."""
        return next(file for file in self.contents.files if self.folder / file.path == subject.path)


def line_up(device: Device, request: BenchRequest, progress: Reporter) -> Lineup:
    """Line up the files of a bundle, by runtime.

    Args:
        device: The unpacked bundle.
        request: Options.
        progress: Receives notes.

    Returns:
        The line-up; what has no runtime here is in `skipped`.

    Raises:
        UsageError: No file has the batch size.
        MissingExtraError: There is no runtime for any file; the message has the command that installs one.
    """
    usable: dict[str, str | None] = {}
    skipped: list[str] = []
    timed: list[Subject] = []
    for file in device.contents.files:
        for runtime in runtimes_for(device.folder / file.path, request.runtimes):
            subject = device.subject(file, runtime)
            if runtime not in usable:
                usable[runtime] = _problem(subject, progress)
            problem = usable[runtime] or _batch_problem(subject, request)
            if problem:
                skipped.append(f"{file.shown_path}: {problem}")
            else:
                timed.append(subject)
    students = [subject for subject in timed if subject.name != "teacher"]
    if not students:
        _refuse(device, request, skipped)
    teachers = {subject.runtime: subject for subject in timed if subject.name == "teacher"}
    runtimes = list(dict.fromkeys(subject.runtime for subject in students))
    groups = [Group(teachers.get(name), [one for one in students if one.runtime == name]) for name in runtimes]
    missing = {name: "it has no file to time there" for name in runtimes if teachers and name not in teachers}
    elsewhere = next((teacher for name, teacher in teachers.items() if name not in runtimes), None)
    groups, untimed = pair_across_runtimes(groups, missing, elsewhere)
    return Lineup(groups, device.contents.inputs, skipped + untimed)


def _problem(subject: Subject, progress: Reporter) -> str | None:
    """Why a runtime cannot be used; it is tried in a process of its own, which a wheel for other CPUs would end."""
    try:
        make_runtime(subject.runtime).require()
        progress.note(f"trying {subject.runtime} ...")
        measure_fresh(subject.runtime, subject.path, 1, subject.images[:1])
    except MissingExtraError as exc:
        return str(exc)
    except ModelError as exc:
        return str(exc).replace(str(subject.path), subject.shown_path)
    return None


def _batch_problem(subject: Subject, request: BenchRequest) -> str | None:
    try:
        signature = make_runtime(subject.runtime).signature(subject.path)
        for batch_size in request.batch_sizes:
            signature.check_batch(subject.path, batch_size)
    except (ModelError, UsageError) as exc:
        return str(exc).replace(str(subject.path), subject.shown_path)
    return None


def _refuse(device: Device, request: BenchRequest, skipped: list[str]) -> None:
    suffixes = sorted({file.suffix for file in device.contents.files if file.name != "teacher"})
    reasons = "; ".join(dict.fromkeys(text.partition(": ")[2] for text in skipped))
    if not reasons:
        chosen = " ".join(f"--runtime {name}" for name in request.runtimes)
        raise UsageError(f"{chosen} runs none of the files of this bundle ({', '.join(suffixes)})")
    raise KDCompressError(f"none of the files of this bundle ({', '.join(suffixes)}) can be timed: {reasons}")
