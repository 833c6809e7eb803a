"""Training of a hybrid of Keras 3 and tf_keras on cached targets, resumed from a checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from kdcompress.compression.legacy.hybrid import Hybrid
from kdcompress.compression.legacy.importing import import_tf_keras
from kdcompress.data import Samples
from kdcompress.models import Forward
from kdcompress.progress import Progress
from kdcompress.training.checkpoints import Row, TrainingState, set_values
from kdcompress.training.feed import Feed
from kdcompress.training.phase import Phase
from kdcompress.training.supervision import make_losses
from kdcompress.training.weights import LossWeights


@dataclass(frozen=True)
class Schedule:
    """What a compression does in the course of a training.

    Attributes:
        before_step: Called with the number of the step, from 0 over all epochs.
        after_epoch: Called before the epoch is validated.
        first_epoch: First epoch that may be selected on validation, counted from 1.
    """

    before_step: Callable[[int], None] = lambda step: None
    after_epoch: Callable[[], None] = lambda: None
    first_epoch: int = 1


def fit_hybrid(
    phase: Phase,
    hybrid: Hybrid,
    feed: Feed,
    val: Samples,
    progress: Progress,
    on_history: Callable[[list[Row]], None],
    schedule: Schedule | None = None,
) -> TrainingState:
    """Train a hybrid in place as `train_phase` trains a Keras 3 model, and leave it with the values of its best epoch.

    `fit` of Keras 3 does not know the variables of tf_keras, and that of tf_keras cannot run layers of Keras 3, so the
    steps are taken here: the same batches, losses and weights of losses, callbacks and checkpoints.

    Args:
        phase: The training, of a single stage.
        hybrid: From images to outputs (batch, head).
        feed: Training data.
        val: Validation samples, which select the best epoch.
        progress: Listener.
        on_history: Called after each epoch with the history so far, one row per epoch.
        schedule: What is done between the steps.

    Returns:
        The state after the last epoch.

    Raises:
        TrainingError: The loss is not finite.
    """
    from kdcompress.training.callbacks import EndOfEpoch, StopOnDivergence, Validator

    schedule, stage = schedule or Schedule(), phase.training.plan[-1]
    learner = _Learner(phase, hybrid, feed, stage.learning_rate)
    state = TrainingState.load(phase.checkpoint, phase.key) or TrainingState(phase.key)
    if state.epoch:
        set_values(hybrid.variables, state.variables)
        set_values(learner.optimizer.variables, state.optimizer)
        on_history(state.rows)
        progress.note(f"{phase.name}: going on after epoch {state.epoch} of {phase.epochs}")
    if state.epoch < phase.epochs:
        forward = Forward(lambda images, training: phase.method.class_logits(hybrid(images, training)))
        validator = Validator(lambda: forward(val.images), val.labels, phase.training.choose_by, schedule.first_epoch)
        callbacks: list[Any] = [
            StopOnDivergence(phase.name, phase.learning_rate_key(stage)),
            EndOfEpoch(phase, hybrid, validator, state, progress, on_history),
        ]
        for callback in callbacks:
            callback.set_model(learner)
            callback.set_params({"steps": feed.steps_per_epoch})
        progress.begin(phase.name, phase.epochs * feed.steps_per_epoch, state.epoch * feed.steps_per_epoch)
        try:
            learner.train(state.epoch, schedule, callbacks)
        finally:
            progress.end()
    set_values(hybrid.variables, state.best)
    return state


class _Learner:
    """Takes the steps of a training.

    Args:
        phase: The training.
        hybrid: What is trained.
        feed: Training data.
        learning_rate: Learning rate of Adam.
    """

    def __init__(self, phase: Phase, hybrid: Hybrid, feed: Feed, learning_rate: float) -> None:
        import tensorflow as tf

        self.phase, self.hybrid, self.feed = phase, hybrid, feed
        self.weights = LossWeights(phase.method, phase.epochs)
        self.optimizer = import_tf_keras().optimizers.Adam(learning_rate, jit_compile=False)
        self.optimizer.build(hybrid.parameters)
        self.losses, self.accuracy = make_losses(phase.method, feed)
        self._step = tf.function(self._take_step, jit_compile=False)

    def train(self, first_epoch: int, schedule: Schedule, callbacks: list[Any]) -> None:
        """Train to the last epoch.

        Args:
            first_epoch: First epoch, counted from 0.
            schedule: What is done between the steps.
            callbacks: Keras callbacks.
        """
        steps = self.feed.steps_per_epoch
        batches = iter(self.feed.dataset(first_epoch, self.phase.epochs))
        for epoch in range(first_epoch, self.phase.epochs):
            self.weights.set_epoch(epoch)
            self.accuracy.reset_state()
            sums = dict.fromkeys(("loss", *(f"{name}_loss" for name in self.losses)), 0.0)
            logs: dict[str, float] = {}
            _call(callbacks, "on_epoch_begin", epoch)
            for batch in range(steps):
                schedule.before_step(epoch * steps + batch)
                values = {name: float(value) for name, value in self._step(*next(batches)).items()}
                sums = {name: total + values[name] for name, total in sums.items()}
                logs = values | {name: total / (batch + 1) for name, total in sums.items()}
                _call(callbacks, "on_train_batch_end", batch, logs)
            schedule.after_epoch()
            _call(callbacks, "on_epoch_end", epoch, logs)

    def _take_step(self, images: Any, labels: Mapping[str, Any], weights: Mapping[str, Any] | None = None) -> Any:
        import tensorflow as tf
        from keras import ops

        with tf.GradientTape() as tape:
            outputs = self.hybrid(images, training=True)
            logits = self.phase.method.class_logits(outputs)
            parts = {
                name: _mean(loss, labels[name], logits if name == "label" else outputs, (weights or {}).get(name))
                for name, loss in self.losses.items()
            }
            weighted = [ops.convert_to_tensor(self.weights.values[name]) * parts[name] for name in parts]
            total = tf.add_n(weighted + list(self.hybrid.losses))
        gradients = tape.gradient(total, self.hybrid.parameters)
        self.optimizer.apply_gradients(zip(gradients, self.hybrid.parameters, strict=True))
        self.hybrid.constrain()
        self.accuracy.update_state(labels["label"], logits, (weights or {}).get("label"))
        running = {"loss": total, "label_accuracy": self.accuracy.result()}
        return running | {f"{name}_loss": part for name, part in parts.items()}


def _call(callbacks: list[Any], event: str, *args: Any) -> None:
    for callback in callbacks:
        getattr(callback, event)(*args)


def _mean(loss: Any, labels: Any, outputs: Any, weights: Any) -> Any:
    """The mean of a loss over the batch, the loss of each sample weighted, as `fit` of Keras 3 has it."""
    from keras import losses, ops

    if isinstance(loss, losses.Loss):
        return loss(labels, outputs, sample_weight=weights)
    values = loss(labels, outputs)
    return ops.mean(values if weights is None else values * weights)
