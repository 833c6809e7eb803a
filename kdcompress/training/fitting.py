"""One training phase (teacher, student or baseline): a plain Keras `fit` that can be broken off and goes on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kdcompress.data import Samples
from kdcompress.methods import Method
from kdcompress.progress import Progress
from kdcompress.sections import TrainingSection
from kdcompress.training.checkpoints import Row, TrainingState, assign
from kdcompress.training.feed import Feed


@dataclass(frozen=True)
class Phase:
    """What is trained, and what for: `name` is teacher, student or baseline; `key` names all that it depends on."""

    name: str
    key: str
    method: Method
    training: TrainingSection
    checkpoint: Path


def use_determinism() -> bool:
    """Ask TensorFlow for the same bits at every run on this machine (it then stays so for the process).

    Op determinism alone does not do: with several operations at a time, the moving statistics of BatchNorm still
    differ in their last bits, so operations run one after another, each on all cores. Returns False where it is too
    late for that, because TensorFlow has run something already, as in a notebook.
    """
    import tensorflow as tf

    tf.config.experimental.enable_op_determinism()
    try:
        tf.config.threading.set_inter_op_parallelism_threads(1)
    except RuntimeError:
        return False
    return True


def supervise(student: Any, method: Method, learning_rate: float, input_shape: tuple[int, ...]) -> Any:
    """The student as a compiled model with an output for each loss: of labels, of targets, of the method's own.

    Keras weighs, sums and logs the losses by name: loss = (1 - w) * label_loss + w * targets_loss (+ the method's own).
    """
    import keras

    image = keras.Input(input_shape, name="image")
    raw = student(image)
    outputs, losses, weights = {"label": method.class_logits(raw)}, {"label": _label_loss()}, {}
    weights["label"] = method.label_weight
    if method.needs_targets:
        outputs["targets"], losses["targets"], weights["targets"] = raw, method.targets_loss, method.distillation_weight
    for name, part in method.further.items():
        outputs[name], losses[name], weights[name] = raw, part.loss, part.weight
    supervised = keras.Model(image, outputs)
    supervised.compile(
        optimizer=keras.optimizers.Adam(learning_rate),
        loss=losses,
        loss_weights=weights,
        weighted_metrics={"label": [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]},
        jit_compile=False,  # on CPU, XLA doubles to quadruples a convolutional step and gains nothing for dense ones
    )
    return supervised


def finalise(model: Any, method: Method, input_shape: tuple[int, ...]) -> Any:
    """The model as it is saved and shipped: ending in class logits. It shares its weights with `model`."""
    import keras

    if method.plain:
        return model
    if getattr(model, "inputs", None):
        return keras.Model(model.inputs, method.class_logits(model.outputs[0]), name=model.name)
    image = keras.Input(input_shape, name="image")
    return keras.Model(image, method.class_logits(model(image)), name=model.name)


def run_phase(
    phase: Phase,
    model: Any,
    feed: Feed,
    val: Samples,
    progress: Progress,
    on_rows: Callable[[list[Row]], None],
) -> TrainingState:
    """Train `model` as `phase` says, from its checkpoint if there is one, and leave it at its best validation epoch.

    `on_rows` receives all rows of the phase after each epoch. Errors: TrainingError when the loss is not finite.
    """
    from kdcompress.training.callbacks import EpochEnd, StopOnDivergence

    epochs, steps = phase.training.epochs, feed.steps_per_epoch
    shape = feed.samples.images.shape[1:]
    supervised = supervise(model, phase.method, phase.training.learning_rate, shape)
    supervised.optimizer.build(supervised.trainable_variables)
    state = TrainingState.load(phase.checkpoint, phase.key) or TrainingState(phase.key)
    if state.epoch:
        assign(model.variables, state.variables)
        assign(supervised.optimizer.variables, state.optimizer)
        on_rows(state.rows)
        progress.note(f"{phase.name}: going on after epoch {state.epoch} of {epochs}")
    if state.epoch < epochs:
        progress.begin(phase.name, epochs * steps, state.epoch * steps)
        final = finalise(model, phase.method, shape)
        end = EpochEnd(model, final, val, state, phase.checkpoint, progress, phase.name, on_rows)
        try:
            supervised.fit(
                feed.dataset(state.epoch, epochs),
                initial_epoch=state.epoch,
                epochs=epochs,
                steps_per_epoch=steps,
                shuffle=False,  # the feed has shuffled
                callbacks=[StopOnDivergence(phase.name), end],
                verbose=0,
            )
        finally:
            progress.end()
    assign(model.variables, state.best)
    return state


def _label_loss() -> Any:
    import keras

    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)
