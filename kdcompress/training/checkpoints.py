"""Checkpoints: the state of a training after an epoch, from which it resumes with the same final weights."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from kdcompress.errors import RunError, one_line
from kdcompress.files import write_npz
from kdcompress.npz import read_npz

Arrays = list[NDArray[Any]]
Row = dict[str, float]


_REMEDY = "--fresh starts anew"


class _Metadata(BaseModel):
    key: str
    epoch: int = Field(ge=0)
    best_epoch: int = Field(ge=0)
    rows: list[Row]


@dataclass
class TrainingState:
    """State of a training after some epochs.

    Attributes:
        key: Digest of everything that the training depends on.
        epoch: Number of completed epochs.
        variables: Values of all variables of the model: weights, BatchNorm statistics, seeds of random layers.
        optimizer: Values of the optimizer's variables.
        best: Values of the model's variables after the best epoch.
        best_epoch: The best epoch, counted from 1.
        rows: One row of metrics per epoch.
    """

    key: str
    epoch: int = 0
    variables: Arrays = field(default_factory=list)
    optimizer: Arrays = field(default_factory=list)
    best: Arrays = field(default_factory=list)
    best_epoch: int = 0
    rows: list[Row] = field(default_factory=list)

    def save(self, path: Path) -> None:
        """Write the state atomically.

        Args:
            path: The checkpoint, an npz file.
        """
        metadata = {"key": self.key, "epoch": self.epoch, "best_epoch": self.best_epoch, "rows": self.rows}
        arrays: dict[str, NDArray[Any]] = {"facts": np.frombuffer(json.dumps(metadata).encode(), np.uint8)}
        for group in ("variables", "optimizer", "best"):
            arrays.update({f"{group}/{i}": value for i, value in enumerate(getattr(self, group))})
        write_npz(path, arrays)

    @classmethod
    def load(cls, path: Path, key: str) -> TrainingState | None:
        """Read a state.

        Args:
            path: The checkpoint.
            key: Key of the training.

        Returns:
            The state; None if there is no file.

        Raises:
            RunError: The file is damaged, or has another key.
        """
        try:
            npz = read_npz(path, RunError, _REMEDY)
        except FileNotFoundError:
            return None
        try:
            metadata = _Metadata.model_validate_json(npz["facts"].tobytes())
            groups = {
                group: [npz[f"{group}/{i}"] for i in range(sum(name.startswith(f"{group}/") for name in npz))]
                for group in ("variables", "optimizer", "best")
            }
        except (ValueError, KeyError) as exc:
            raise RunError(f"checkpoint {path} is damaged ({one_line(exc, 120)}); {_REMEDY}") from exc
        if metadata.key != key:
            raise RunError(
                f"checkpoint {path} belongs to a training from other data, another teacher or other initial weights, "
                "or of another version of kdcompress; --fresh starts anew"
            )
        return cls(metadata.key, metadata.epoch, best_epoch=metadata.best_epoch, rows=metadata.rows, **groups)


def get_values(variables: list[Any]) -> Arrays:
    """Return the current values of Keras variables.

    Args:
        variables: The variables.
    """
    return [np.asarray(variable.numpy()) for variable in variables]


def set_values(variables: list[Any], values: Arrays) -> None:
    """Assign values to Keras variables.

    Args:
        variables: The variables.
        values: A value for each.

    Raises:
        RunError: Their number or shapes differ.
    """
    if [tuple(variable.shape) for variable in variables] != [value.shape for value in values]:
        raise RunError("the model is not the one that the run began with; --fresh starts the run anew")
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
