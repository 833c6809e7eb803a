"""Training of one model (teacher, student or baseline) by Keras `fit`, stage by stage, resumed from a checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from kdcompress.config.cluster import check_divisible
from kdcompress.config.sections import ViewsSection
from kdcompress.config.training import Stage
from kdcompress.data import Images, Samples
from kdcompress.errors import ModelError
from kdcompress.models import Forward
from kdcompress.progress import Progress
from kdcompress.training.checkpoints import Row, TrainingState, set_values
from kdcompress.training.features import FrozenLayers, compute_features
from kdcompress.training.feed import Feed
from kdcompress.training.group import ALONE, Group
from kdcompress.training.group_checks import check_losses_divide, check_same_start, naming_lost_worker
from kdcompress.training.phase import Phase, check_stages
from kdcompress.training.projection import Pair
from kdcompress.training.sharing import share_batch
from kdcompress.training.stages import ALL, freeze_layers, split_model
from kdcompress.training.supervision import build_losses, compile_student, finalise
from kdcompress.training.weights import LossWeights

# Trains a model as `train_phase` does, in this process or elsewhere
Trainer: TypeAlias = Callable[[Phase, Any, Feed, Samples, Progress, Callable[[list[Row]], None]], TrainingState]


def use_determinism() -> bool:
    """Make TensorFlow deterministic for the rest of the process, so that every run on this machine gives the same bits.

    Op determinism does not suffice: with several operations at a time, the moving statistics of BatchNorm still differ
    in their last bits, so operations run one after another, each on all cores.

    Returns:
        False if TensorFlow has run an operation before, as in a notebook, and threads can no longer be configured.
    """
    import tensorflow as tf

    tf.config.experimental.enable_op_determinism()
    try:
        tf.config.threading.set_inter_op_parallelism_threads(1)
    except RuntimeError:
        return False
    return True


def train_phase(
    phase: Phase,
    model: Any,
    feed: Feed,
    val: Samples,
    progress: Progress,
    on_history: Callable[[list[Row]], None],
    group: Group = ALONE,
) -> TrainingState:
    """Train a model in place, from its checkpoint if there is one, and leave it with its best weights.

    Several workers call this with the same arguments but their group. They compute what one process computes, up to the
    rounding of sums; the first one validates, writes the checkpoint and has the best weights in the end.

    Args:
        phase: The training.
        model: Keras model with outputs (batch, head).
        feed: Training data.
        val: Validation samples, which select the best epoch.
        progress: Listener.
        on_history: Called after each epoch with the history so far, one row per epoch.
        group: The workers that train the model together.

    Returns:
        The state after the last epoch; its values are those of the model, followed by those of the projector.

    Raises:
        ModelError: The model does not have the layers of the stages, or no embedding that the method projects.
        RecipeError: The batch does not divide among the workers.
        TrainingError: The loss is not finite, or a worker is gone.
    """
    check_stages(model, phase.training, phase.training_key)
    check_divisible(feed.batch, group.world, phase.training_key)
    state = TrainingState.load(phase.checkpoint, phase.key) or TrainingState(phase.key)
    check_same_start(group, phase.key, state.epoch)
    feed = replace(feed, rank=group.rank, world=group.world)
    pair = Pair(model, phase.make_projection(model))
    if state.epoch:
        set_values(pair.variables, state.variables)
        on_history(state.rows)
        progress.note(f"{phase.name}: going on after epoch {state.epoch} of {phase.epochs}")
    for stage in phase.training.plan:
        if state.epoch < stage.end:
            if phase.training.stages:
                progress.note(f"{phase.name}: {_describe(stage)}")
            with freeze_layers(model, stage.trainable):
                learner = _make_learner(phase, stage, pair, feed, val, progress, group)
                _train_stage(phase, stage, learner, state, progress, on_history, group)
    if group.leads:
        set_values(pair.variables, state.best)
    return state


def trained_model(phase: Phase, model: Any, state: TrainingState, input_shape: tuple[int, ...]) -> Any:
    """Return a model as it is saved after its training: with its best weights, and the head that its method gives it.

    Args:
        phase: The training.
        model: The Keras model.
        state: The state after the last epoch.
        input_shape: Shape (H, W, C) of an image.

    Returns:
        A Keras model that ends in class logits and shares its layers with `model`.
    """
    pair = Pair(model, phase.make_projection(model))
    set_values(pair.variables, state.best)
    return finalise(model, phase.method, input_shape, pair.projection)


def _describe(stage: Stage) -> str:
    layers = {ALL: "all layers", "head": "the head"}.get(stage.trainable, f"all from {stage.trainable} on")
    first = stage.begin + 1
    epochs = f"epoch {first}" if first == stage.end else f"epochs {first} to {stage.end}"
    return f"{epochs}: {layers}, learning rate {stage.learning_rate:g}"


@dataclass(frozen=True)
class _Learner:
    """What a stage trains, and on which data.

    Attributes:
        part: The part of the model that is trained, from images or features to outputs.
        pair: The whole model and its projector.
        feed: Training data of the part.
        val: Validation inputs of the part.
        labels: Labels of the validation samples.
    """

    part: Any
    pair: Pair
    feed: Feed
    val: Images | NDArray[np.float32]
    labels: NDArray[np.int64]


def _make_learner(
    phase: Phase, stage: Stage, pair: Pair, feed: Feed, val: Samples, progress: Progress, group: Group
) -> _Learner:
    """The whole model on images, or its trainable part on the outputs of the frozen layers, where it can be split."""
    model = pair.student
    whole = _Learner(model, pair, feed, val.images, val.labels)
    if stage.trainable == ALL:
        return whole
    parts = split_model(model, stage.trainable, feed.samples.images[:2])
    if parts is None:
        progress.note(
            f"{phase.name}: frozen layers run in every epoch: more than one tensor leaves them, or they are random"
        )
        return whole
    name, folder, frozen = f"{phase.name} {stage.trainable}", phase.features_folder, FrozenLayers(parts.frozen)
    features = compute_features(frozen, feed.samples, feed.views, folder, name, progress)
    val_features = compute_features(frozen, val, ViewsSection(), folder, f"{name}, validation", progress)
    room = b"" if features is None or val_features is None else b"room"
    if b"" in group.gather(room) or features is None or val_features is None:  # all train the same part
        return whole
    return _Learner(parts.trainable, pair, replace(feed, features=features), val_features.array[0], val.labels)


def _train_stage(
    phase: Phase,
    stage: Stage,
    learner: _Learner,
    state: TrainingState,
    progress: Progress,
    on_history: Callable[[list[Row]], None],
    group: Group,
) -> None:
    """Train up to the end of a stage, with a new optimizer."""
    import keras

    from kdcompress.training.callbacks import EndOfEpoch, StopOnDivergence, Validator

    feed, steps = learner.feed, learner.feed.steps_per_epoch
    weights = LossWeights(phase.method, phase.epochs)
    projection = learner.pair.projection
    supervised = compile_student(learner.part, phase.method, stage.learning_rate, feed, weights, group, projection)
    if not supervised.trainable_variables:
        raise ModelError(f"{phase.name}: nothing learns in stage {stage.trainable!r}, all its layers came frozen")
    supervised.optimizer.build(supervised.trainable_variables)
    if state.epoch > stage.begin:
        set_values(supervised.optimizer.variables, state.optimizer)
    progress.begin(phase.name, phase.epochs * steps, state.epoch * steps)
    forward = Forward(finalise(learner.part, phase.method, feed.input_shape, projection))
    validator = Validator(lambda: forward(learner.val), learner.labels, phase.training.choose_by)
    callbacks = [
        keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: weights.set_epoch(epoch)),
        StopOnDivergence(phase.name, phase.learning_rate_key(stage)),
        EndOfEpoch(phase, learner.pair, validator, state, progress, on_history, group),
    ]
    check_losses_divide(supervised, feed, phase.name)
    batches = feed.dataset(state.epoch, stage.end)
    build_losses(supervised, batches.element_spec)
    try:
        with share_batch(supervised, group), naming_lost_worker(group):
            supervised.fit(
                batches,
                initial_epoch=state.epoch,
                epochs=stage.end,
                steps_per_epoch=steps,
                shuffle=False,  # the feed is shuffled already
                callbacks=callbacks,
                verbose=0,
            )
    finally:
        progress.end()
