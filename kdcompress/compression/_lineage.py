"""Which student a compression began with, and whether the run still has it."""

from __future__ import annotations

import contextlib

from kdcompress.config.compress import CompressSection
from kdcompress.config.recipe import read_resolved_recipe
from kdcompress.errors import KDCompressError, RunError
from kdcompress.runs.folder import RunFolder
from kdcompress.runs.names import RECIPE
from kdcompress.runs.students import BASELINE, STUDENT, is_of_former_start, student_folder, student_names


def begin(run: RunFolder, folder: RunFolder, section: CompressSection) -> None:
    """Record the student that a compression begins with; one that goes on must have begun with the same.

    Args:
        run: The run.
        folder: Folder of the compressed student.
        section: Settings of the compression.

    Raises:
        RunError: The student was made anew since.
    """
    if is_outdated(run, folder, section):
        raise RunError(
            f"{folder.path} was begun with a former {section.start}, which was made anew since; --fresh begins this "
            "one anew, too"
        )
    source, role = _start_of(run, section)
    digest = source.manifest()["files"].get(f"{role}.keras", {}).get("digest", "")
    folder.update_manifest(start=digest)


def is_outdated(run: RunFolder, folder: RunFolder, section: CompressSection) -> bool:
    """Return whether a compression began with another student than the run has under that name now.

    Args:
        run: The run.
        folder: Folder of the compressed student.
        section: Settings of the compression.
    """
    source, role = _start_of(run, section)
    return is_of_former_start(folder.manifest(), source.manifest(), role)


def outdated_students(run: RunFolder, name: str) -> list[str]:
    """List the finished students of a run that were compressed from a former student of a name.

    Args:
        run: The run.
        name: Name of the student that was made anew.

    Returns:
        Their names, in alphabetical order; those before a damaged one, of which the command that reads it tells.
    """
    found = []
    with contextlib.suppress(KDCompressError):
        for other in student_names(run):
            folder = student_folder(run, other)
            section = read_resolved_recipe(folder / RECIPE).compress
            if section is not None and section.start == name and is_outdated(run, folder, section):
                found.append(other)
    return found


def _start_of(run: RunFolder, section: CompressSection) -> tuple[RunFolder, str]:
    """The folder that the student was in, and its role there."""
    of_run = section.start in (STUDENT, BASELINE)
    return (run, section.start) if of_run else (student_folder(run, section.start), STUDENT)
