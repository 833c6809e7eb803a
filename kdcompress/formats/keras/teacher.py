"""A Keras model: from the zoo, a .keras or .h5 file, module:function, or in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress.config.sections import SingleTeacherSection
from kdcompress.models import Forward, build_model, declared_shape, load_saved_model, model_digest, save_model
from kdcompress.teachers import InputAdapter, OutputSpec, Teacher, make_input_adapter


class KerasTeacher(Teacher):
    """Runs a Keras model in inference mode; its weights and BatchNorm statistics are never touched."""

    suffixes = (".keras", ".h5", ".hdf5")
    traceable = True
    copy_suffix = ".keras"

    def __init__(self, model: Any, adapter: InputAdapter, what: str = "the teacher") -> None:
        self.model, self.adapter, self.description = model, adapter, what
        self.digest = model_digest(model)
        self._forward = Forward(model)

    @classmethod
    def open(cls, path: Path, section: SingleTeacherSection, spec: OutputSpec, what: str) -> KerasTeacher:
        """See Teacher.open."""
        teacher = cls.of_model(load_saved_model(path), section, spec, what)
        teacher.path = path
        return teacher

    @classmethod
    def of_model(cls, model: Any, section: SingleTeacherSection, spec: OutputSpec, what: str) -> KerasTeacher:
        """A teacher from a model in memory; ModelError if it does not match the spec."""
        own = declared_shape(model, what)
        adapter = make_input_adapter(section.preprocessing, own, spec, what)
        return cls(build_model(model, adapter.input_shape, what), adapter, what)

    def run(self, batch: NDArray[Any]) -> NDArray[np.float32]:
        """See Teacher.run."""
        return self._forward(batch)

    def network(self) -> Any:
        """See Teacher.network."""
        return self.model

    def save_copy(self, path: Path) -> None:
        """See Teacher.save_copy."""
        save_model(self.model, path)


TEACHER = KerasTeacher
