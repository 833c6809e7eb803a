"""SavedModels as teachers, run through their serving signature."""

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
from kdcompress.formats.saved_model.selection import constant_inputs
from kdcompress.teachers import (
    InputAdapter,
    OutputSpec,
    Selection,
    Teacher,
    check_constants,
    make_input_adapter,
    select_name,
)


class SavedModelTeacher(Teacher):
    """Runs the signature `serving_default` of a SavedModel, or its only one."""

    module = "tensorflow"
    traceable = True
    copy_suffix = ".saved_model"

    def __init__(
        self, path: Path, signature: Any, section: SingleTeacherSection, adapter: InputAdapter, description: str
    ) -> None:
        self.path: Path = path
        self.adapter, self.description, self._signature = adapter, description, signature
        specs = signature.structured_input_signature[1]
        self._image = select_name(list(specs), section.input, description, "teacher.input")
        self._output = select_name(list(signature.structured_outputs), section.output, description, "teacher.output")
        others = {name: spec.dtype.name for name, spec in sorted(specs.items()) if name != self._image}
        check_constants(others, section.constants, self._image, description)
        self._constants = section.constants
        self.selection = Selection(self._image, self._output, section.constants)
        self.digest = json_digest([content_digest(path), self._image, self._output, section.constants])

    @classmethod
    def owns(cls, path: Path) -> bool:
        """Return whether a folder contains saved_model.pb."""
        return (path / "saved_model.pb").is_file()

    @classmethod
    def open(cls, path: Path, section: SingleTeacherSection, spec: OutputSpec, description: str) -> SavedModelTeacher:
        """Check and load the SavedModel."""
        signature = open_signature(path)
        inputs = signature.structured_input_signature[1]
        image = inputs[select_name(list(inputs), section.input, description, "teacher.input")]
        if image.shape.rank not in (None, 4):
            raise ModelError(
                f"{description} takes inputs of shape {image.shape}; a teacher takes a batch of images, of rank 4"
            )
        declared = image.shape.as_list()[1:] if image.shape.rank else None
        adapter = make_input_adapter(section.preprocessing, declared, spec, description)
        return cls(path, signature, section, adapter, description)

    def run(self, batch: NDArray[Any]) -> NDArray[np.float32]:
        """Run the signature in batches."""
        import tensorflow as tf

        shape = self._specs[self._image].shape

        def call(images: NDArray[Any]) -> NDArray[np.float32]:
            return np.asarray(self.call(tf.convert_to_tensor(images)), np.float32)

        return run_in_batches(call, batch, shape[0] if shape.rank else None)

    def call(self, images: Any) -> Any:
        """Compute the selected output.

        Args:
            images: Tensor of prepared images in the layout of the model.

        Returns:
            Tensor of outputs, (n, classes).
        """
        import tensorflow as tf

        constants = constant_inputs(self._signature, self._constants, images)
        image = tf.cast(images, self._specs[self._image].dtype)
        return self._signature(**{self._image: image}, **constants)[self._output]

    @property
    def _specs(self) -> dict[str, Any]:
        return dict(self._signature.structured_input_signature[1])

    def network(self) -> Callable[[Any, bool], Any]:
        """Return a callable on prepared images; raises ModelError for the NCHW layout, which is not exported."""
        if self.adapter.nchw:
            raise ModelError(f"{self.description} takes NCHW images, and is not exported")
        return lambda images, training: self.call(images)

    def save_copy(self, path: Path) -> None:
        """Copy the folder."""
        with scratch_folder(path.parent) as scratch:
            move_into_place(Path(shutil.copytree(self.path, scratch / path.name)), path)


TEACHER = SavedModelTeacher
