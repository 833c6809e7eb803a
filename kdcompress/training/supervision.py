"""Compilation of a student with its losses, and conversion of its outputs to class logits."""

from __future__ import annotations

from typing import Any

from kdcompress.methods import Method
from kdcompress.training.averaging import averaging
from kdcompress.training.feed import Feed
from kdcompress.training.group import ALONE, Group
from kdcompress.training.packing import Packing
from kdcompress.training.projection import Projection, replace_head, with_projection
from kdcompress.training.weights import LossWeights


def compile_student(
    student: Any,
    method: Method,
    learning_rate: float,
    feed: Feed,
    weights: LossWeights | None = None,
    group: Group = ALONE,
    projection: Projection | None = None,
) -> Any:
    """Compile a student with one named output per loss: of labels, of targets, and of the method's extra losses.

    Keras weights, sums and logs the losses by name: loss = (1 - w) * label_loss + w * targets_loss (+ extra losses).

    Args:
        student: Keras model from images, or features, to outputs (batch, head).
        method: Method whose losses are used.
        learning_rate: Learning rate of Adam.
        feed: Training data.
        weights: Weight of each loss; those of the first epoch by default.
        group: The workers that train together.
        projection: Projector of the method, whose outputs the loss of targets takes in place of the student's.

    Returns:
        A compiled Keras model that shares the student's weights.
    """
    import keras

    from kdcompress.training.callbacks import Adam

    image = keras.Input(feed.input_shape, name="image")
    if projection is None:
        student_outputs = projected = student(image)
    else:
        both = with_projection(student, projection, method)(image)
        student_outputs, projected = both["student"], both["projected"]
    losses, accuracy = make_losses(method, feed, None if projection is None else projection.packing(method))
    outputs = {**dict.fromkeys(losses, student_outputs), "label": method.class_logits(student_outputs)}
    if "targets" in losses:
        outputs["targets"] = projected
    supervised = keras.Model(image, outputs)
    supervised.compile(
        optimizer=averaging(Adam, group)(learning_rate),
        loss=losses,
        loss_weights=(weights or LossWeights(method, 1)).values,
        weighted_metrics={"label": [accuracy]},
        jit_compile=False,  # on CPU, XLA doubles to quadruples a convolutional step and gains nothing for dense ones
    )
    return supervised


def build_losses(supervised: Any, batch: tuple[Any, ...]) -> None:
    """Create the variables of a student's losses, which Keras creates in the first step, and so traces that twice.

    Args:
        supervised: What `compile_student` returned.
        batch: The tf.TensorSpec of each part of a batch.
    """
    import tensorflow as tf

    if tf.distribute.has_strategy():  # with one, Keras creates them before the first step
        return
    inputs, *truth = tf.nest.map_structure(lambda spec: tf.zeros(spec.shape, spec.dtype), batch)
    outputs = {name: tf.zeros((len(inputs), *out.shape[1:]), out.dtype) for name, out in supervised.output.items()}
    supervised.compute_loss(inputs, truth[0], outputs, *truth[1:], training=False)
    supervised.reset_metrics()


def make_losses(method: Method, feed: Feed, projected: Packing | None = None) -> tuple[dict[str, Any], Any]:
    """Make the losses of a training, and the accuracy that is logged.

    Args:
        method: Method whose losses are used.
        feed: Training data.
        projected: Layout of a projector's outputs.

    Returns:
        (losses by name: that of labels, which takes class logits, of targets, and the method's extra losses, which take
        the student's outputs; accuracy, a Keras metric of labels and class logits).
    """
    label_loss, accuracy = _label_loss(feed.has_soft_labels)
    losses = {"label": label_loss}
    if method.needs_targets:
        losses["targets"] = _targets_loss(method, feed.packing, projected)
    return losses | {name: extra.loss for name, extra in method.extra_losses.items()}, accuracy


def finalise(model: Any, method: Method, input_shape: tuple[int, ...], projection: Projection | None = None) -> Any:
    """Append the method's conversion to class logits to a model, behind the head that the method gives it.

    Args:
        model: Keras model with outputs (batch, head).
        method: The method, bound to the data's classes.
        input_shape: Shape (H, W, C) of an image.
        projection: Projector that the model was trained with; it stays where the method `replaces_head`.

    Returns:
        A Keras model that ends in class logits, as it is saved and exported. It shares its weights with `model`.
    """
    import keras

    if projection is not None and method.replaces_head:
        model = replace_head(model, projection)
    if method.plain:
        return model
    if getattr(model, "inputs", None):
        return keras.Model(model.inputs, method.class_logits(model.outputs[0]), name=model.name)
    image = keras.Input(input_shape, name="image")
    return keras.Model(image, method.class_logits(model(image)), name=model.name)


def _targets_loss(method: Method, packing: Packing, projected: Packing | None) -> Any:
    """The method's loss as a function of the one tensor that Keras passes on, and the outputs."""

    def targets_loss(packed: Any, outputs: Any) -> Any:
        targets, labels = packing.unpack(packed)
        return method.targets_loss(targets, outputs if projected is None else projected.unpack(outputs)[0], labels)

    return targets_loss


def _label_loss(soft: bool) -> tuple[Any, Any]:
    """The loss and the accuracy of class indices or soft labels."""
    from keras import losses, metrics

    if soft:
        return losses.CategoricalCrossentropy(from_logits=True), metrics.CategoricalAccuracy(name="accuracy")
    loss = losses.SparseCategoricalCrossentropy(from_logits=True)
    return loss, metrics.SparseCategoricalAccuracy(name="accuracy")
