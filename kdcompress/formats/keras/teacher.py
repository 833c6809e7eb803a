"""A Keras model: from the zoo, a .keras or .h5 file, module:function, or in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress.config.sections import OneTeacherSection
from kdcompress.models import Forward, build_model, declared_shape, load_saved_model, model_digest, save_model
from kdcompress.teachers._base import Question, Teacher
from kdcompress.teachers._fit import Fit, fit_of


class KerasTeacher(Teacher):
    """Runs a Keras model in inference mode; its weights and BatchNorm statistics are never touched."""

    suffixes = (".keras", ".h5", ".hdf5")
    traceable = True
    kept_as = ".keras"

    def __init__(self, model: Any, fit: Fit, what: str = "the teacher") -> None:
        self.model, self.fit, self.what = model, fit, what
        self.digest = model_digest(model)
        self._forward = Forward(model)

    @classmethod
    def open(cls, path: Path, section: OneTeacherSection, question: Question, what: str) -> KerasTeacher:
        """See Teacher.open."""
        teacher = cls.of_model(load_saved_model(path), section, question, what)
        teacher.path = path
        return teacher

    @classmethod
    def of_model(cls, model: Any, section: OneTeacherSection, question: Question, what: str) -> KerasTeacher:
        """A teacher from a model in memory; ModelError if it does not answer the question."""
        own = declared_shape(model, what)
        fit = fit_of(section.preprocessing, own, question.shape, question.classes, what)
        return cls(build_model(model, fit.input_shape, what), fit, what)

    def run(self, batch: NDArray[Any]) -> NDArray[np.float32]:
        """See Teacher.run."""
        return self._forward(batch)

    def network(self) -> Any:
        """See Teacher.network."""
        return self.model

    def keep(self, path: Path) -> None:
        """See Teacher.keep."""
        save_model(self.model, path)


TEACHER = KerasTeacher
