"""The projector of a method: layers beside the student, from its embedding to one of the teacher's width."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kdcompress.errors import ModelError
from kdcompress.methods import Method
from kdcompress.models import find_embedding, seed_everything
from kdcompress.teachers import EMBEDDING, LOGITS, Classifier, Targets
from kdcompress.training.packing import Packing


@dataclass(frozen=True)
class Space:
    """The space of a teacher's embeddings.

    Attributes:
        width: Width of an embedding.
        classifier: The teacher's last layer, from an embedding to logits; None where it is not known.
    """

    width: int
    classifier: Classifier | None = None


@dataclass(frozen=True)
class Pair:
    """A student and its projector, as one set of variables.

    Attributes:
        student: Keras model.
        projection: Its projector; None for a method without one.
    """

    student: Any
    projection: Projection | None

    @property
    def variables(self) -> list[Any]:
        """The variables of the student, followed by those of the projector."""
        return [*self.student.variables, *(self.projection.variables if self.projection else [])]

    @property
    def trainable_variables(self) -> list[Any]:
        """Those that are trained."""
        return [variable for variable in self.variables if variable.trainable]

    @property
    def non_trainable_variables(self) -> list[Any]:
        """Those that are not: statistics, seeds of random layers, and frozen layers."""
        return [variable for variable in self.variables if not variable.trainable]


@dataclass(frozen=True)
class Projection:
    """The projector of one training, with the teacher's last layer behind it where the method wants that.

    Attributes:
        layers: Layers from the student's embedding to one of the teacher's width.
        width: That width.
        classifier: Frozen Dense layer from there to logits; None where it is not wanted.
    """

    layers: Sequence[Any]
    width: int
    classifier: Any = None

    @property
    def variables(self) -> list[Any]:
        """The variables that are trained or change in training."""
        return [variable for layer in self.layers for variable in layer.variables]

    def packing(self, method: Method) -> Packing:
        """The layout of the outputs that a method wants, side by side.

        Args:
            method: The method.
        """
        widths = {EMBEDDING: self.width, LOGITS: self.classifier.units if self.classifier is not None else 0}
        return Packing({name: (widths[name],) for name in method.wants})

    def __call__(self, embedding: Any) -> dict[str, Any]:
        """Project embeddings.

        Args:
            embedding: Embeddings (batch, width of the student) or its feature maps (batch, H, W, width).

        Returns:
            The projected `embedding`, and its `logits` where there is a classifier.
        """
        import keras

        if len(embedding.shape) == 4:
            embedding = keras.layers.GlobalAveragePooling2D(name="projector_pooling")(embedding)
        for layer in self.layers:
            embedding = layer(embedding)
        outputs = {EMBEDDING: embedding}
        return outputs if self.classifier is None else {**outputs, LOGITS: self.classifier(embedding)}


def space_of(targets: Targets) -> Space | None:
    """Return the space of the embeddings among targets; None if there are none.

    Args:
        targets: Targets of a transfer set.
    """
    rows = targets.arrays.get(EMBEDDING)
    return None if rows is None else Space(rows.shape[-1], targets.classifier)


def make_projection(method: Method, space: Space | None, student: Any, seed: int) -> Projection | None:
    """Make the projector of a training with its initial values.

    Args:
        method: The method.
        space: The space of the teacher's embeddings; None where they are not wanted.
        student: Keras model, whose embedding is projected.
        seed: Seed of the initial values.

    Returns:
        The projector, built; None for a method without one.

    Raises:
        ModelError: The student has no embedding, or the method needs the teacher's last layer, which is not known.
    """
    if space is None:
        return None
    seed_everything(seed)
    layers = method.projector(space.width)
    if not layers:
        return None
    check_space(method, space)
    wanted = method.replaces_head or LOGITS in method.wants
    classifier = _frozen(space.classifier) if wanted and space.classifier is not None else None
    projection = Projection(layers, space.width, classifier)
    got = projection(_tap(student))[EMBEDDING].shape[-1]  # builds the layers
    if got != space.width:
        raise ModelError(
            f"the projector of method {method.name} ends in {got} numbers, the teacher's embedding in {space.width}"
        )
    return projection


def check_space(method: Method, space: Space) -> None:
    """Check that the teacher's last layer is known where a method applies it.

    Args:
        method: The method.
        space: The space of the teacher's embeddings.

    Raises:
        ModelError: It is not.
    """
    if (method.replaces_head or LOGITS in method.wants) and space.classifier is None:
        raise ModelError(
            f"method {method.name} applies the teacher's last layer to the student, and it is known only where the "
            "embedding is what that layer reads: leave teacher.embedding out, or take method 'embedding'"
        )


def with_projection(student: Any, projection: Projection, method: Method) -> Any:
    """Make a model that gives a student's outputs and the projector's.

    Args:
        student: Keras model, or its trainable part.
        projection: The projector.
        method: The method.

    Returns:
        A Keras model with the outputs `student`, and `projected`, those of `method.wants` side by side.
    """
    import keras

    projected = projection(_tap(student))
    wanted = [projected[name] for name in method.wants]
    beside = keras.ops.concatenate(wanted, axis=-1) if len(wanted) > 1 else wanted[0]
    own = projected[LOGITS] if method.replaces_head else student.outputs[0]
    return keras.Model(student.inputs, {"student": own, "projected": beside}, name=student.name)


def replace_head(student: Any, projection: Projection) -> Any:
    """Make a student that ends in the projector and the teacher's last layer.

    Args:
        student: Keras model.
        projection: The projector.

    Returns:
        A Keras model that shares its layers with both.
    """
    import keras

    return keras.Model(student.inputs, projection(_tap(student))[LOGITS], name=student.name)


def check_projectable(student: Any) -> None:
    """Check that a student has an embedding.

    Args:
        student: Keras model.

    Raises:
        ModelError: It has none that is known.
    """
    _tap(student)


def _tap(student: Any) -> Any:
    try:
        return find_embedding(student).tensor
    except ModelError as exc:
        raise ModelError(f"student: {exc}; methods that compare outputs, such as hinton and dist, take any") from exc


def _frozen(classifier: Classifier) -> Any:
    import keras

    layer = keras.layers.Dense(classifier.kernel.shape[1], trainable=False, name="teacher_logits")
    layer.build((None, classifier.kernel.shape[0]))
    layer.set_weights([np.asarray(classifier.kernel), np.asarray(classifier.bias)])
    return layer
