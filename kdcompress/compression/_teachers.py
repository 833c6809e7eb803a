"""The teachers of a run in the folder of a compressed student."""

from __future__ import annotations

import contextlib
import os
import shutil
from dataclasses import replace

from kdcompress.pipeline.ensemble import TeacherEnsemble
from kdcompress.pipeline.experiment import Experiment
from kdcompress.pipeline.opening import open_single_teacher
from kdcompress.pipeline.reopening import reopen_teachers
from kdcompress.pipeline.saved_teachers import read_saved_teachers
from kdcompress.runs.folder import RunFolder
from kdcompress.teachers import check_output_count


def adopt_teachers(run: RunFolder, student: RunFolder) -> None:
    """Put the teachers of a run into the folder of a compressed student, as hard links where the disk has them.

    Args:
        run: The run.
        student: Folder of the student.

    Raises:
        RunError: A teacher of the run is missing or has changed.
    """
    if read_saved_teachers(student):
        return
    names = [entry.file for entry in read_saved_teachers(run).values() if entry.file]  # checks the files
    manifest = run.manifest()
    for recorded, facts in manifest["files"].items():
        if any(recorded in (name, f"{name}.data") or recorded.startswith(f"{name}/") for name in names):
            target = student / recorded
            target.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):
                target.unlink()
            try:
                os.link(run / recorded, target)
            except OSError:  # a file system without hard links
                shutil.copyfile(run / recorded, target)
            student.commit(recorded, digest=facts.get("digest", ""))
    student.update_manifest(teachers=manifest.get("teachers", []))


def open_adopted_teachers(experiment: Experiment, student: RunFolder) -> TeacherEnsemble:
    """Open the teachers in the folder of a compressed student; code that its recipe names needs the user's trust.

    Args:
        experiment: The recipe and its data.
        student: Folder of the student.

    Returns:
        The teachers, ready for labelling.

    Raises:
        ModelError: A teacher cannot be opened, or needs code that is not trusted.
        RunError: A file has changed.
    """
    ensemble = reopen_teachers(student, experiment.recipe)
    teachers = []
    saved = read_saved_teachers(student).values()
    for teacher, section, entry in zip(ensemble.teachers, ensemble.sections, saved, strict=True):
        opened = teacher
        if entry.file is None:  # a file of logits, which the run does not copy
            opened = open_single_teacher(section, experiment.spec)
        opened.digest = entry.digest
        check_output_count(opened, experiment.spec)
        opened.set_reading(section, experiment.data.split.train)
        teachers.append(opened)
    return replace(ensemble, teachers=tuple(teachers))
