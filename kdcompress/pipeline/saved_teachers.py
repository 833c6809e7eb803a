"""Copies of the teachers in a run folder, so that nothing later depends on the originals."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kdcompress.pipeline.ensemble import TeacherEnsemble
from kdcompress.runs.folder import RunFolder

_MANIFEST_KEY = "teachers"


@dataclass(frozen=True)
class SavedTeacher:
    """Entry of a teacher in the manifest of a run.

    Attributes:
        name: teacher, or teacher-1, teacher-2, ...
        file: Name of its copy in the run folder; None for logits without a model.
        digest: Digest of the original.
        input_shape: Shape (H, W, C) of its input.
    """

    name: str
    file: str | None
    digest: str
    input_shape: tuple[int, int, int]

    def path_in(self, run: RunFolder) -> Path | None:
        """Return the path of the copy, or None if there is none.

        Args:
            run: Run folder.
        """
        return run / self.file if self.file else None


def save_teachers(ensemble: TeacherEnsemble, run: RunFolder) -> None:
    """Save a copy of each teacher and record it in the manifest.

    Args:
        ensemble: The teachers.
        run: Run folder.
    """
    entries = []
    for name, teacher in zip(ensemble.names, ensemble.teachers, strict=True):
        file = f"{name}{teacher.copy_suffix}" if teacher.copy_suffix else None
        if file is not None:
            teacher.save_copy(run / file)
            for path in _files_of(run, file):
                run.commit(path, digest=teacher.digest)
        shape = list(teacher.adapter.input_shape)
        entries.append({"name": name, "file": file, "digest": teacher.digest, "input_shape": shape})
    run.update_manifest(**{_MANIFEST_KEY: entries})


def read_saved_teachers(run: RunFolder) -> dict[str, SavedTeacher]:
    """Read the entries of saved teachers, and check their copies.

    Args:
        run: Run folder.

    Returns:
        Entries by name, in the recipe's order; empty if no teacher has been saved.

    Raises:
        RunError: A copy is missing or has changed.
    """
    teachers = {}
    for entry in run.manifest().get(_MANIFEST_KEY, []):
        if entry["file"] is not None:
            run.check_file(entry["file"])
        height, width, channels = entry["input_shape"]
        teachers[entry["name"]] = SavedTeacher(entry["name"], entry["file"], entry["digest"], (height, width, channels))
    return teachers


def _files_of(run: RunFolder, file: str) -> list[str]:
    """The names of a copy's files: a file, the external data beside it, or the files of a folder."""
    if (run / file).is_dir():
        files = sorted(path for path in (run / file).rglob("*") if path.is_file())
        return [path.relative_to(run.path).as_posix() for path in files]
    return [name for name in (file, f"{file}.data") if (run / name).is_file()]
