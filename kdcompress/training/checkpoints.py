"""The state of an unfinished training, one whole file an epoch: enough to go on with the same final weights."""

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


class _Facts(BaseModel):
    """What a checkpoint says beside its arrays."""

    key: str
    epoch: int = Field(ge=0)
    best_epoch: int = Field(ge=0)
    rows: list[Row]


@dataclass
class TrainingState:
    """After `epoch` epochs: all variables (weights, BatchNorm statistics, seeds of random layers), the optimizer's, the
    weights of the best epoch so far, and a row of figures for each epoch."""

    key: str
    epoch: int = 0
    variables: Arrays = field(default_factory=list)
    optimizer: Arrays = field(default_factory=list)
    best: Arrays = field(default_factory=list)
    best_epoch: int = 0
    rows: list[Row] = field(default_factory=list)

    def save(self, path: Path) -> None:
        """Write the state to `path`, whole or not at all."""
        facts = {"key": self.key, "epoch": self.epoch, "best_epoch": self.best_epoch, "rows": self.rows}
        arrays: dict[str, NDArray[Any]] = {"facts": np.frombuffer(json.dumps(facts).encode(), np.uint8)}
        for group in ("variables", "optimizer", "best"):
            arrays.update({f"{group}/{i}": value for i, value in enumerate(getattr(self, group))})
        write_npz(path, arrays)

    @classmethod
    def load(cls, path: Path, key: str) -> TrainingState | None:
        """The state in `path`, or None if there is no file; RunError if it is damaged or another training's."""
        try:
            npz = read_npz(path, RunError, _REMEDY)
        except FileNotFoundError:
            return None
        try:
            facts = _Facts.model_validate_json(npz["facts"].tobytes())
            groups = {
                group: [npz[f"{group}/{i}"] for i in range(sum(name.startswith(f"{group}/") for name in npz))]
                for group in ("variables", "optimizer", "best")
            }
        except (ValueError, KeyError) as exc:
            raise RunError(f"checkpoint {path} is damaged ({one_line(exc, 120)}); {_REMEDY}") from exc
        if facts.key != key:
            raise RunError(
                f"checkpoint {path} belongs to a training from other data, another teacher or other initial weights, "
                "or of another version of kdcompress; --fresh starts anew"
            )
        return cls(facts.key, facts.epoch, best_epoch=facts.best_epoch, rows=facts.rows, **groups)


def get_values(variables: list[Any]) -> Arrays:
    """The present values of Keras variables."""
    return [np.asarray(variable.numpy()) for variable in variables]


def set_values(variables: list[Any], values: Arrays) -> None:
    """Put `values` into Keras variables; RunError if their number or shapes differ."""
    if [tuple(variable.shape) for variable in variables] != [value.shape for value in values]:
        raise RunError("the model is not the one that the run began with; --fresh starts the run anew")
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
