"""Compressed students of a run: their folders, and how commands name them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kdcompress.config.recipe import read_resolved_recipe
from kdcompress.config.references import check_file_name
from kdcompress.errors import RecipeError, RunError, UsageError
from kdcompress.registry import did_you_mean
from kdcompress.runs.folder import RunFolder
from kdcompress.runs.names import COMPRESSION, RECIPE, STUDENTS

STUDENT, BASELINE = "student", "baseline"
RESERVED = (STUDENT, BASELINE, "teacher")


def student_folder(run: RunFolder, name: str) -> RunFolder:
    """Return the folder of a compressed student.

    Args:
        run: The run.
        name: Name of the student.

    Returns:
        The folder, which need not exist.

    Raises:
        UsageError: The name is none of a file, or means another model of the run.
    """
    try:
        check_file_name(name)
    except ValueError as exc:
        raise UsageError(f"the name of a compressed student {exc}, got {name[:100]!r}") from exc
    if name in RESERVED:
        raise UsageError(f"{name!r} is another model of the run: name the compressed student otherwise (--name)")
    return RunFolder(run / f"{STUDENTS}/{name}")


def student_names(run: RunFolder) -> list[str]:
    """List the finished compressed students of a run.

    Args:
        run: The run.

    Returns:
        Their names, in alphabetical order.
    """
    folder = run.path / STUDENTS
    if not folder.is_dir() or folder.is_symlink():
        return []
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
    return [name for name in names if RunFolder(folder / name).is_finished()]


def is_of_former_start(manifest: Mapping[str, Any], start: Mapping[str, Any], role: str = STUDENT) -> bool:
    """Return whether a compressed student was made of another model than is in the folder of its start now.

    Args:
        manifest: Manifest of the compressed student.
        start: Manifest of the folder in which the model is that was compressed.
        role: Its role there.
    """
    recorded, now = manifest.get("start"), start.get("files", {}).get(f"{role}.keras", {}).get("digest")
    return bool(recorded and now) and recorded != now


def _expand(source: str | Path) -> Path:
    try:
        return Path(source).expanduser()
    except RuntimeError:  # no such user: a path that does not exist
        return Path(source)


def split_source(source: str | Path) -> tuple[RunFolder, str] | None:
    """Split RUN:NAME.

    Args:
        source: Argument of a command.

    Returns:
        (the run, name of one of its students); None if the source is a path, or something else.
    """
    path = _expand(source)
    if path.exists():
        return None
    before, colon, name = str(path).rpartition(":")
    run = RunFolder(Path(before))
    return (run, name) if colon and name and run.path.is_dir() and run.is_run() else None


def find_student(source: str | Path) -> Path:
    """Find the run folder that RUN:NAME names.

    Args:
        source: RUN:NAME, or a path.

    Returns:
        The folder of the student, that of the run for `student`, or the path as it is.

    Raises:
        UsageError: The run has no such student.
    """
    split = split_source(source)
    if split is None:
        return _expand(source)
    run, name = split
    if name == STUDENT:
        return run.path
    with contextlib.suppress(UsageError):  # no name of a student
        folder = student_folder(run, name)
        if folder.is_finished():  # asked of it alone: a damaged one does not keep the others from being used
            return folder.path
        if folder.path.is_dir() and folder.is_run():
            raise RunError(
                f"the compression to {folder.path} has not finished: give its `kdcompress compress` (or "
                "`distill`) command again, or --fresh makes it anew"
            )
    names = student_names(run)
    choices = ", ".join([STUDENT, *names])
    raise UsageError(
        f"run {run.path} has no student {name[:100]!r}{did_you_mean(name, names)}; it has {choices} "
        "(`kdcompress compress` makes others)"
    )


def judged_student(source: str | Path) -> Path:
    """Find the run folder that a command judges: that of RUN:NAME, or of the student to which a recipe compresses.

    Args:
        source: RUN:NAME, or a path.

    Returns:
        As for `find_student`; of a run whose recipe has a section `compress`, the folder of the student it makes.

    Raises:
        UsageError: The run has no such student.
        RunError: The compression has not finished.
    """
    path = find_student(source)
    if split_source(source) is not None or not path.is_dir():
        return path
    run = RunFolder(path)
    if not run.is_run() or not run.is_finished() or COMPRESSION in run.manifest()["files"]:
        return path
    try:
        section = read_resolved_recipe(run / RECIPE).compress
    except RecipeError:
        return path  # the command that reads it says what is damaged
    if section is None:
        return path
    student = student_folder(run, section.default_name)
    if not student.is_finished():
        raise RunError(
            f"the compression to {section.default_name} of run {path} has not finished: give its `kdcompress distill` "
            f"command again, or name {path}:{STUDENT}, the student before it"
        )
    return student.path
