"""One training phase (teacher, student or baseline): a plain Keras `fit` that can be broken off and goes on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress.config.sections import ViewsSection
from kdcompress.config.training import Stage, TrainingSection
from kdcompress.data import Images, Samples
from kdcompress.errors import ModelError
from kdcompress.methods import Method
from kdcompress.models import Forward
from kdcompress.progress import Progress
from kdcompress.training.checkpoints import Row, TrainingState, set_values
from kdcompress.training.features import FrozenLayers, compute_features
from kdcompress.training.feed import Feed
from kdcompress.training.packing import Packing
from kdcompress.training.stages import ALL, first_trainable_layer, freeze_layers, split_model
from kdcompress.training.weights import LossWeights

FEATURES_FOLDER = "features"  # a folder beside the checkpoint


@dataclass(frozen=True)
class Phase:
    """What is trained, and what for: `name` is teacher, student or baseline; `key` names all that it depends on.

    `features` is a folder for what frozen layers give, which trainings of the same images share; beside the checkpoint
    unless it is named.
    """

    name: str
    key: str
    method: Method
    training: TrainingSection
    checkpoint: Path
    features: Path | None = None


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


def compile_student(
    student: Any,
    method: Method,
    learning_rate: float,
    feed: Feed,
    weights: LossWeights | None = None,
) -> Any:
    """Compile the student with an output for each loss: of labels, of targets, of the method's own.

    Keras weighs, sums and logs the losses by name: loss = (1 - w) * label_loss + w * targets_loss (+ the method's own).

    Args:
        student: From images, or features, to outputs (batch, head).
        method: Whose losses they are.
        learning_rate: Of Adam.
        feed: What the student is trained on.
        weights: What each loss weighs; those of the first epoch by default.
    """
    import keras

    from kdcompress.training.callbacks import Adam

    image = keras.Input(feed.input_shape, name="image")
    raw = student(image)
    label_loss, accuracy = _of_labels(feed.soft)
    outputs, losses = {"label": method.class_logits(raw)}, {"label": label_loss}
    if method.needs_targets:
        outputs["targets"], losses["targets"] = raw, _targets_loss(method, feed.packing)
    for name, extra in method.extra_losses.items():
        outputs[name], losses[name] = raw, extra.loss
    supervised = keras.Model(image, outputs)
    supervised.compile(
        optimizer=Adam(learning_rate),
        loss=losses,
        loss_weights=(weights or LossWeights(method, 1)).values,
        weighted_metrics={"label": [accuracy]},
        jit_compile=False,  # on CPU, XLA doubles to quadruples a convolutional step and gains nothing for dense ones
    )
    return supervised


def _targets_loss(method: Method, packing: Packing) -> Any:
    """The method's loss as a function of what Keras hands to it: one tensor, and the outputs."""

    def targets_loss(packed: Any, outputs: Any) -> Any:
        targets, labels = packing.unpack(packed)
        return method.targets_loss(targets, outputs, labels)

    return targets_loss


def finalise(model: Any, method: Method, input_shape: tuple[int, ...]) -> Any:
    """The model as it is saved and shipped: ending in class logits. It shares its weights with `model`."""
    import keras

    if method.plain:
        return model
    if getattr(model, "inputs", None):
        return keras.Model(model.inputs, method.class_logits(model.outputs[0]), name=model.name)
    image = keras.Input(input_shape, name="image")
    return keras.Model(image, method.class_logits(model(image)), name=model.name)


def train_phase(
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
    epochs = phase.training.total_epochs
    check_stages(model, phase.training, _training_key(phase))
    state = TrainingState.load(phase.checkpoint, phase.key) or TrainingState(phase.key)
    if state.epoch:
        set_values(model.variables, state.variables)
        on_rows(state.rows)
        progress.note(f"{phase.name}: going on after epoch {state.epoch} of {epochs}")
    for stage in phase.training.plan:
        if state.epoch < stage.end:
            if phase.training.stages:
                progress.note(f"{phase.name}: {_told(stage)}")
            with freeze_layers(model, stage.trainable):
                _run_stage(phase, stage, _learner(phase, stage, model, feed, val, progress), state, progress, on_rows)
    set_values(model.variables, state.best)
    return state


def _told(stage: Stage) -> str:
    learns = {ALL: "all layers", "head": "the head"}.get(stage.trainable, f"all from {stage.trainable} on")
    first = stage.begin + 1
    epochs = f"epoch {first}" if first == stage.end else f"epochs {first} to {stage.end}"
    return f"{epochs}: {learns}, learning rate {stage.learning_rate:g}"


def check_stages(model: Any, training: TrainingSection, key: str) -> None:
    """ModelError for a stage of a layer that the model has not, before any stage is trained; `key` is the recipe's."""
    for number, stage in enumerate(training.plan):
        try:
            first_trainable_layer(model, stage.trainable)
        except ModelError as exc:
            raise ModelError(f"{key}.stages.{number}.trainable: {exc}") from exc


@dataclass(frozen=True)
class _Learner:
    """What learns in a stage, of which model it is (a part), what it is fed and what it is judged by."""

    part: Any
    model: Any
    feed: Feed
    val: Images | NDArray[np.float32]
    labels: NDArray[np.int64]


def _learner(phase: Phase, stage: Stage, model: Any, feed: Feed, val: Samples, progress: Progress) -> _Learner:
    """The whole model on images, or, where some of it is frozen, the rest of it on what the frozen part gives."""
    whole = _Learner(model, model, feed, val.images, val.labels)
    if stage.trainable == ALL:
        return whole
    parts = split_model(model, stage.trainable, feed.samples.images[:2])
    if parts is None:
        progress.note(
            f"{phase.name}: frozen layers run in every epoch: more than one tensor leaves them, or they are random"
        )
        return whole
    name, folder = f"{phase.name} {stage.trainable}", phase.features or phase.checkpoint.parent / FEATURES_FOLDER
    frozen = FrozenLayers(parts.frozen)
    features = compute_features(frozen, feed.samples, feed.views, folder, name, progress)
    val_features = compute_features(frozen, val, ViewsSection(), folder, f"{name}, validation", progress)
    if features is None or val_features is None:
        return whole
    return _Learner(parts.learning, model, replace(feed, features=features), val_features.array[0], val.labels)


def _run_stage(
    phase: Phase,
    stage: Stage,
    learner: _Learner,
    state: TrainingState,
    progress: Progress,
    on_rows: Callable[[list[Row]], None],
) -> None:
    """Train what learns in one stage up to its end, with an optimizer of its own."""
    import keras

    from kdcompress.training.callbacks import EndOfEpoch, StopOnDivergence, Validator

    feed, shape, steps = learner.feed, learner.feed.input_shape, learner.feed.steps_per_epoch
    weights = LossWeights(phase.method, phase.training.total_epochs)
    supervised = compile_student(learner.part, phase.method, stage.learning_rate, feed, weights)
    if not supervised.trainable_variables:
        raise ModelError(f"{phase.name}: nothing learns in stage {stage.trainable!r}, all its layers came frozen")
    supervised.optimizer.build(supervised.trainable_variables)
    if state.epoch > stage.begin:
        set_values(supervised.optimizer.variables, state.optimizer)
    epochs = phase.training.total_epochs
    progress.begin(phase.name, epochs * steps, state.epoch * steps)
    forward = Forward(finalise(learner.part, phase.method, shape))
    validator = Validator(lambda: forward(learner.val), learner.labels, phase.training.choose_by)
    try:
        supervised.fit(
            feed.dataset(state.epoch, stage.end),
            initial_epoch=state.epoch,
            epochs=stage.end,
            steps_per_epoch=steps,
            shuffle=False,  # the feed has shuffled
            callbacks=[
                keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: weights.set_epoch(epoch)),
                StopOnDivergence(phase.name, _rate_key(phase, stage)),
                EndOfEpoch(learner.model, validator, state, phase.checkpoint, progress, phase.name, epochs, on_rows),
            ],
            verbose=0,
        )
    finally:
        progress.end()


def _rate_key(phase: Phase, stage: Stage) -> str:
    """The recipe's key of a stage's learning rate."""
    number = f".stages.{phase.training.plan.index(stage)}" if phase.training.stages else ""
    return f"{_training_key(phase)}{number}.learning_rate"


def _training_key(phase: Phase) -> str:
    return "teacher.training" if phase.name == "teacher" else "training"


def _of_labels(soft: bool) -> tuple[Any, Any]:
    """The loss and the accuracy of labels that are numbers of classes, or soft_labels."""
    from keras import losses, metrics

    if soft:
        return losses.CategoricalCrossentropy(from_logits=True), metrics.CategoricalAccuracy(name="accuracy")
    loss = losses.SparseCategoricalCrossentropy(from_logits=True)
    return loss, metrics.SparseCategoricalAccuracy(name="accuracy")
