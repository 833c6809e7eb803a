"""The contract of a kind of teacher; a subject is a TeacherCase, a subclass of Teacher and a file of its kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kdcompress.config.sections import SingleTeacherSection
from kdcompress.data import Samples
from kdcompress.leftovers import temporary_folder
from kdcompress.teachers import OutputSpec, Teacher
from kdcompress.testing._imports import check_light_import


@dataclass(frozen=True)
class TeacherCase:
    """A kind of teacher, a file, and images that it answers.

    Attributes:
        kind: The subclass of Teacher.
        path: A file or folder of its kind.
        samples: Images of the data, with their ids.
        classes: The names of the data's classes, in the order of the teacher's outputs.
    """

    kind: type[Teacher]
    path: Path
    samples: Samples
    classes: tuple[str, ...]

    def open(self, path: Path | None = None) -> Teacher:
        """The teacher in the file, or in another of the same model."""
        height, width, channels = self.samples.images.shape[1:]
        spec = OutputSpec((height, width, channels), self.classes)
        section = SingleTeacherSection(model=str(self.path))
        return self.kind.open(path or self.path, section, spec, f"teacher {self.path.name}")


def check_import(case: TeacherCase) -> None:
    """The module of the teacher imports no heavy library."""
    check_light_import(case.kind)


def check_owns(case: TeacherCase) -> None:
    """It knows its own files by their names, and others are not its own."""
    assert case.kind.owns(case.path)
    assert not case.kind.owns(Path("something.else"))


def check_outputs(case: TeacherCase) -> None:
    """One finite row an image, whatever the batch, and the same every time."""
    teacher = case.open()
    whole = teacher.predict(case.samples)
    assert whole.shape == (len(case.samples), len(case.classes)), f"outputs {whole.shape}"
    assert whole.dtype == np.float32
    assert np.isfinite(whole).all()
    assert np.array_equal(whole, teacher.predict(case.samples)), "it answers otherwise the second time"
    one = teacher.predict(case.samples.take(np.array([1])))
    assert np.allclose(one, whole[1:2], rtol=1e-3, atol=1e-3), "an answer depends on the rest of the batch"


def check_digest(case: TeacherCase) -> None:
    """Its digest stays when the file is opened again, for the cache is found by it."""
    assert case.open().digest == case.open().digest != ""


def check_copy(case: TeacherCase) -> None:
    """A kept copy answers as the original does."""
    teacher = case.open()
    if teacher.copy_suffix is None:
        return
    with temporary_folder() as folder:
        copy = folder / f"teacher{teacher.copy_suffix}"
        teacher.save_copy(copy)
        again = case.open(copy)
        assert np.allclose(again.predict(case.samples), teacher.predict(case.samples), atol=1e-4)


TEACHER_CHECKS: tuple[Callable[[TeacherCase], None], ...] = (
    check_import,
    check_owns,
    check_outputs,
    check_digest,
    check_copy,
)
