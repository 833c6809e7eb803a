"""A sweep that never ran: the least that sweep.json must hold."""

from __future__ import annotations

from typing import Any

SWEEP: dict[str, Any] = {
    "recipe": "mnist-demo",
    "dataset": {"name": "mnist", "source": "x", "n_train": 9, "n_val": 3, "n_test": 3},
    "space": {"seeds": [0, 1]},
    "metric": "accuracy",
    "trials": [],
    "settings": [],
    "best": {"method": "hinton", "temperature": 4.0, "alpha": 0.5, "val": None, "reason": None},
    "teacher": {"test": 0.9},
    **{
        role: {"test": {"mean": 0.8, "low": None, "high": None, "n": 2}, "by_seed": [0.8, 0.8]}
        for role in ("student", "baseline")
    },
    "gain": {"mean": 0.0, "low": None, "high": None, "n": 2, "by_seed": [0.0, 0.0]},
    "sentence": "no gain shown",
    "warnings": [],
}
