"""What happens beside the gradient steps: validation, checkpoints, progress, stopping when the loss is lost, and
freeing what a training leaves."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
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

Logs = dict[str, Any] | None


class Adam(keras.optimizers.Adam):  # type: ignore[misc]
    """Keras's Adam, after whose training the graph of the step is freed."""

    def apply_gradients(self, grads_and_vars: Any) -> Any:
        """The step as it is; it is the last that a traced training step does with gradients."""
        iterations = super().apply_gradients(grads_and_vars)
        forget_custom_gradients()
        return iterations


class StopOnDivergence(keras.callbacks.Callback):  # type: ignore[misc]
    """Raise TrainingError at the first step whose loss is not finite, before a checkpoint can hold it."""

    def __init__(self, phase: str, rate_key: str) -> None:
        super().__init__()
        self.phase, self.rate_key = phase, rate_key
        self.epoch = 0

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Remember the epoch, for the message."""
        self.epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Look at the loss of the step."""
        loss = float((logs or {})["loss"])
        if not math.isfinite(loss):
            raise TrainingError(
                f"training the {self.phase} diverged: the loss is {loss} at step {batch + 1} of epoch "
                f"{self.epoch + 1}; try a lower learning rate (--set {self.rate_key}=...)"
            )


@dataclass(frozen=True)
class Validator:
    """How a model does on validation: its class logits there, the labels, and what the best epoch is chosen by."""

    answer: Callable[[], NDArray[np.float32]]
    labels: NDArray[np.int64]
    choose_by: str = "accuracy"

    def figures(self) -> Row:
        """Accuracy, loss, and for two classes AUC on validation."""
        logits = self.answer()
        row = {"val_accuracy": accuracy(logits, self.labels), "val_loss": cross_entropy(logits, self.labels)}
        found = auc(logits, self.labels) if logits.shape[-1] == 2 else None
        return row if found is None else {**row, "val_auc": found}

    def best(self, rows: list[Row]) -> Row:
        """The best row, and among equals that with the lowest loss."""
        if self.choose_by == "loss":
            return min(rows, key=lambda row: row["val_loss"])
        return max(rows, key=lambda row: (row.get(f"val_{self.choose_by}", 0.0), -row["val_loss"]))


class EndOfEpoch(keras.callbacks.Callback):  # type: ignore[misc]
    """After each epoch: validate, keep the best weights, write the checkpoint, tell the listener."""

    def __init__(
        self,
        student: Any,
        validator: Validator,
        state: TrainingState,
        path: Path,
        progress: Progress,
        phase: str,
        epochs: int,
        on_row: Callable[[list[Row]], None],
    ) -> None:
        super().__init__()
        self.student, self.validator, self.state, self.path = student, validator, state, path
        self.progress, self.phase, self.epochs, self.on_row = progress, phase, epochs, on_row
        self.started = 0.0

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Start the clock."""
        self.started = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Show the running means of the loss and its parts."""
        parts = _parts(logs or {})
        if self.state.rows:
            parts["val_accuracy"] = self.state.rows[-1]["val_accuracy"]
        self.progress.step(self.state.epoch * self.params["steps"] + batch + 1, parts)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Close the epoch."""
        row: Row = {"epoch": epoch + 1, **_parts(logs or {}), **self.validator.figures()}
        row["seconds"] = round(time.perf_counter() - self.started, 3)
        state = self.state
        state.epoch = epoch + 1
        state.rows = [*state.rows, row]
        if self.validator.best(state.rows) is row:
            state.best_epoch = epoch + 1
            state.best = get_values(self.student.variables)
        state.variables = get_values(self.student.variables)
        state.optimizer = get_values(self.model.optimizer.variables)
        state.save(self.path)
        self.on_row(state.rows)
        self.progress.epoch(self.phase, epoch + 1, self.epochs, row)


def _parts(logs: dict[str, Any]) -> Row:
    """The loss and its parts by one set of names: Keras leaves the output's name out when there is only one."""
    parts = {name: float(value) for name, value in logs.items()}
    further = {name: value for name, value in parts.items() if name.endswith("_loss") and name != "label_loss"}
    return {
        "loss": parts["loss"],
        "label_loss": parts.get("label_loss", parts["loss"]),
        **further,
        "accuracy": parts.get("label_accuracy", parts.get("accuracy", math.nan)),
    }
