"""A SavedModel folder (as TensorFlow Serving has them), run through its serving signature."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress.batches import run_in_batches
from kdcompress.config.sections import SingleTeacherSection
from kdcompress.digests import content_digest, json_digest
from kdcompress.errors import ModelError
from kdcompress.files import move_into_place, scratch_folder
from kdcompress.formats.saved_model.model import open_signature
from kdcompress.teachers import InputAdapter, OutputSpec, Teacher, make_input_adapter, select_name


class SavedModelTeacher(Teacher):
    """Calls the signature `serving_default`, or the only one."""

    traceable = True
    copy_suffix = ".saved_model"

    def __init__(
        self, path: Path, signature: Any, section: SingleTeacherSection, adapter: InputAdapter, what: str
    ) -> None:
        self.path: Path = path
        self.adapter, self.description, self._signature = adapter, what, signature
        specs = signature.structured_input_signature[1]
        self._image = select_name(list(specs), section.input, what, "teacher.input")
        self._output = select_name(list(signature.structured_outputs), section.output, what, "teacher.output")
        if others := sorted(set(specs) - {self._image} - set(section.constants)):
            raise ModelError(f"{what} also takes {others[0]}; give it a value with teacher.constants.{others[0]}")
        if unknown := sorted(set(section.constants) - set(specs)):
            raise ModelError(f"teacher.constants.{unknown[0]}: {what} has no such input beside {self._image}")
        self._constants = section.constants
        self.digest = json_digest([content_digest(path), self._image, self._output, section.constants])

    @classmethod
    def owns(cls, path: Path) -> bool:
        """See Teacher.owns; a folder with saved_model.pb in it."""
        return (path / "saved_model.pb").is_file()

    @classmethod
    def open(cls, path: Path, section: SingleTeacherSection, spec: OutputSpec, what: str) -> SavedModelTeacher:
        """See Teacher.open."""
        signature = open_signature(path)
        inputs = signature.structured_input_signature[1]
        image = inputs[select_name(list(inputs), section.input, what, "teacher.input")]
        if image.shape.rank not in (None, 4):
            raise ModelError(
                f"{what} takes inputs of shape {image.shape}; a teacher takes a batch of images, of rank 4"
            )
        own = image.shape.as_list()[1:] if image.shape.rank else None
        adapter = make_input_adapter(section.preprocessing, own, spec, what)
        return cls(path, signature, section, adapter, what)

    def run(self, batch: NDArray[Any]) -> NDArray[np.float32]:
        """See Teacher.run."""
        import tensorflow as tf

        shape = self._specs[self._image].shape

        def call(images: NDArray[Any]) -> NDArray[np.float32]:
            return np.asarray(self.call(tf.convert_to_tensor(images)), np.float32)

        return run_in_batches(call, batch, shape[0] if shape.rank else None)

    def call(self, images: Any) -> Any:
        """The chosen output for a tensor of images in the model's own layout."""
        import tensorflow as tf

        specs = self._specs
        constants = {
            name: tf.constant(value, specs[name].dtype, specs[name].shape) for name, value in self._constants.items()
        }
        given = tf.cast(images, specs[self._image].dtype)
        return self._signature(**{self._image: given}, **constants)[self._output]

    @property
    def _specs(self) -> dict[str, Any]:
        return dict(self._signature.structured_input_signature[1])

    def network(self) -> Callable[[Any, bool], Any]:
        """See Teacher.network."""
        if self.adapter.nchw:
            raise ModelError(f"{self.description} takes NCHW images, and is not exported")
        return lambda images, training: self.call(images)

    def save_copy(self, path: Path) -> None:
        """See Teacher.save_copy."""
        with scratch_folder(path.parent) as scratch:
            move_into_place(Path(shutil.copytree(self.path, scratch / path.name)), path)


TEACHER = SavedModelTeacher
