"""The teachers of a run in the folder of a compressed student."""

from __future__ import annotations

import contextlib
import os
import shutil

from kdcompress.pipeline.saved_teachers import read_saved_teachers
from kdcompress.runs.folder import RunFolder


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
