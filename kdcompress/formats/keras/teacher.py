"""Keras models as teachers: from the zoo, a .keras or .h5 file, module:function, or in memory."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress.config.sections import SingleTeacherSection
from kdcompress.errors import ModelError
from kdcompress.formats.keras.selection import select_part
from kdcompress.models import (
    Forward,
    build_model,
    declared_shape,
    find_embedding,
    is_keras_model,
    load_saved_model,
    model_digest,
    save_model,
)
from kdcompress.teachers import Classifier, Embedder, InputAdapter, OutputSpec, Teacher, make_input_adapter


class KerasTeacher(Teacher):
    """Runs a Keras model in inference mode; its weights and batch normalization statistics are never changed."""

    suffixes = (".keras", ".h5", ".hdf5")
    module = "keras"
    traceable = True
    copy_suffix = ".keras"

    def __init__(self, model: Any, adapter: InputAdapter, description: str = "the teacher") -> None:
        self.model, self.adapter, self.description = model, adapter, description
        self.digest = model_digest(model)
        self._forward, self._whole = Forward(model), model

    @classmethod
    def open(cls, path: Path, section: SingleTeacherSection, spec: OutputSpec, description: str) -> KerasTeacher:
        """Load and check a Keras file."""
        teacher = cls.of_model(load_saved_model(path), section, spec, description)
        teacher.path = path
        return teacher

    @classmethod
    def owns_model(cls, model: Any) -> bool:
        """Return whether an object is a Keras model."""
        return is_keras_model(model)

    @classmethod
    def of_model(cls, model: Any, section: SingleTeacherSection, spec: OutputSpec, description: str) -> KerasTeacher:
        """Create a teacher from a Keras model.

        Args:
            model: Keras model.
            section: Section of the recipe.
            spec: Expected classes and image shape.
            description: Name in messages.

        Returns:
            The teacher.

        Raises:
            ModelError: The model does not match the spec.
        """
        part = select_part(model, section, description)
        declared = declared_shape(part, description)
        adapter = make_input_adapter(section.preprocessing, declared, spec, description)
        teacher = cls(build_model(part, adapter.input_shape, description), adapter, description)
        teacher._whole = model
        return teacher

    def run(self, batch: NDArray[Any]) -> NDArray[np.float32]:
        """Run the model at inference."""
        return self._forward(batch)

    def open_embedder(self, name: str | None) -> Embedder:
        """Return the part of the model up to a layer, or to what its head reads."""
        import keras

        try:
            found = find_embedding(self.model, name)
        except ModelError as exc:
            raise ModelError(f"{self.description}: {exc}; teacher.embedding names the layer") from exc
        part = keras.Model(self.model.inputs[0], found.tensor)
        return Embedder(found.layer, Forward(part), None if found.head is None else _classifier(found.head))

    def check_head(self) -> None:
        """Allow it."""

    def write_with_head(self, path: Path, head: Classifier, stored: Mapping[str, Any] | None = None) -> Path:
        """Write the model up to its embedding with a Dense layer behind it, as a .keras file."""
        import keras

        name = self.section.embedding
        embedding = self.model.outputs[0] if name is None else find_embedding(self.model, name).tensor
        if len(embedding.shape) == 4:
            embedding = keras.layers.GlobalAveragePooling2D(name="probe_pooling")(embedding)
        layer = keras.layers.Dense(head.kernel.shape[1], dtype="float32", name="probe")
        model = keras.Model(self.model.inputs[0], layer(embedding), name=self.model.name)
        layer.set_weights([head.kernel, head.bias])
        file = path.with_suffix(self.copy_suffix)
        save_model(model, file)
        return file

    def network(self) -> Any:
        """Return the Keras model."""
        return self.model

    def save_copy(self, path: Path) -> None:
        """Save the model, with all its inputs and outputs, as a .keras file."""
        save_model(self._whole, path)


TEACHER = KerasTeacher


def _classifier(head: Any) -> Classifier:
    """The kernel and bias of a Dense layer."""
    kernel = np.asarray(head.kernel, np.float32)
    bias = np.zeros(kernel.shape[1], np.float32) if head.bias is None else np.asarray(head.bias, np.float32)
    return Classifier(kernel, bias)
