"""Keras callbacks for validation, checkpoints, progress and divergence, and an Adam that frees its graph."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from kdcompress.errors import TrainingError
from kdcompress.metrics.classification import accuracy
from kdcompress.metrics.ranking import auc
from kdcompress.metrics.softmax import cross_entropy
from kdcompress.models._inference import forget_custom_gradients
from kdcompress.progress import Progress
from kdcompress.training.checkpoints import Row, TrainingState, get_values
from kdcompress.training.group import ALONE, Group
from kdcompress.training.phase import Phase
from kdcompress.training.sharing import agree, whole_metrics

Logs = dict[str, Any] | None


class Adam(keras.optimizers.Adam):  # type: ignore[misc]
    """Adam of Keras, after whose training the graph of the step is freed."""

    def apply_gradients(self, grads_and_vars: Any) -> Any:
        """Apply gradients, and free those that TensorFlow keeps: nothing in a traced step uses them afterwards."""
        iterations = super().apply_gradients(grads_and_vars)
        forget_custom_gradients()
        return iterations


class StopOnDivergence(keras.callbacks.Callback):  # type: ignore[misc]
    """Raises TrainingError at the first step whose loss is not finite, before it gets into a checkpoint.

    Args:
        phase: Name of the phase.
        rate_key: Dotted key of the learning rate in the recipe.
    """

    def __init__(self, phase: str, rate_key: str) -> None:
        super().__init__()
        self.phase, self.rate_key = phase, rate_key
        self.epoch = 0

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Record the epoch for the message."""
        self.epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Check the loss of the step."""
        loss = float((logs or {})["loss"])
        if not math.isfinite(loss):
            raise TrainingError(
                f"training the {self.phase} diverged: the loss is {loss} at step {batch + 1} of epoch "
                f"{self.epoch + 1}; try a lower learning rate (--set {self.rate_key}=...)"
            )


@dataclass(frozen=True)
class Validator:
    """Computes the metrics on validation and selects the best epoch.

    Attributes:
        predict: Returns the class logits (n, classes) of the validation samples.
        labels: Class indices (n,).
        choose_by: accuracy, auc or loss.
        first_epoch: First epoch that may be selected, counted from 1: before it, a model is not yet what it has to be.
    """

    predict: Callable[[], NDArray[np.float32]]
    labels: NDArray[np.int64]
    choose_by: str = "accuracy"
    first_epoch: int = 1

    def metrics(self) -> Row:
        """Compute val_accuracy, val_loss and, for two classes, val_auc."""
        logits = self.predict()
        row = {"val_accuracy": accuracy(logits, self.labels), "val_loss": cross_entropy(logits, self.labels)}
        val_auc = auc(logits, self.labels) if logits.shape[-1] == 2 else None
        return row if val_auc is None else {**row, "val_auc": val_auc}

    def best(self, rows: list[Row]) -> Row:
        """Select the best row of a history; ties are broken by the lowest loss.

        Args:
            rows: One row per epoch, from the first epoch on.
        """
        eligible = rows[self.first_epoch - 1 :] or rows[-1:]
        if self.choose_by == "loss":
            return min(eligible, key=lambda row: row["val_loss"])
        return max(eligible, key=lambda row: (row.get(f"val_{self.choose_by}", 0.0), -row["val_loss"]))


class EndOfEpoch(keras.callbacks.Callback):  # type: ignore[misc]
    """After each epoch: validate, keep the best weights, save the checkpoint, report.

    Args:
        phase: The training.
        student: The whole Keras model, with its projector, whose variables are saved.
        validator: Metrics on validation.
        state: State that is updated and saved.
        progress: Listener.
        on_history: Called with the history so far, one row per epoch.
        group: The workers that train together, of which the first does all this.
    """

    _told = False

    def __init__(
        self,
        phase: Phase,
        student: Any,
        validator: Validator,
        state: TrainingState,
        progress: Progress,
        on_history: Callable[[list[Row]], None],
        group: Group = ALONE,
    ) -> None:
        super().__init__()
        self.phase, self.student, self.validator = phase, student, validator
        self.state, self.progress, self.on_history = state, progress, on_history
        self.group = group
        self.started = 0.0

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Start the clock."""
        self.started = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Report the running means of the losses."""
        parts = _rename(logs or {})
        if self.state.rows:
            parts["val_accuracy"] = self.state.rows[-1]["val_accuracy"]
        self.progress.step(self.state.epoch * self.params["steps"] + batch + 1, parts)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Validate, save the checkpoint and report the epoch."""
        state = self.state
        state.epoch = epoch + 1
        if self.group.world > 1:
            logs = whole_metrics(self.model, self.group)
            self._tell_averaged(agree(self.student, self.model.optimizer, self.group))
            if not self.group.leads:
                return
        row: Row = {"epoch": epoch + 1, **_rename(logs or {}), **self.validator.metrics()}
        row["seconds"] = round(time.perf_counter() - self.started, 3)
        state.rows = [*state.rows, row]
        if self.validator.best(state.rows) is row:
            state.best_epoch = epoch + 1
            state.best = get_values(self.student.variables)
        state.variables = get_values(self.student.variables)
        state.optimizer = get_values(self.model.optimizer.variables)
        state.save(self.phase.checkpoint)
        self.on_history(state.rows)
        self.progress.epoch(self.phase.name, epoch + 1, self.phase.epochs, row)

    def _tell_averaged(self, layers: list[str]) -> None:
        if layers and not self._told:
            self._told = True
            more = f" and {len(layers) - 3} others" if len(layers) > 3 else ""
            self.progress.warn(
                f"{self.phase.name}: the statistics that {', '.join(layers[:3])}{more} keep are of one worker's part "
                "of a batch, and their means are taken after each epoch: the model differs from that of one process"
            )


def _rename(logs: dict[str, Any]) -> Row:
    """The losses and the accuracy under fixed names: Keras omits the output's name when there is only one output."""
    values = {name: float(value) for name, value in logs.items()}
    extra = {name: value for name, value in values.items() if name.endswith("_loss") and name != "label_loss"}
    return {
        "loss": values["loss"],
        "label_loss": values.get("label_loss", values["loss"]),
        **extra,
        "accuracy": values.get("label_accuracy", values.get("accuracy", math.nan)),
    }
