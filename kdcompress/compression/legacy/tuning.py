"""Tuning of a student whose layers tensorflow-model-optimization has wrapped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kdcompress.compression._base import Tuning
from kdcompress.compression.legacy.fitting import Schedule, fit_hybrid
from kdcompress.compression.legacy.hybrid import Hybrid
from kdcompress.training.phase import Phase


def tune_wrapped(
    phase: Phase, model: Any, wrappers: Mapping[int, Any], tuning: Tuning, schedule: Schedule | None = None
) -> None:
    """Train a model with the teacher, and leave model and wrapped layers with the values of the best epoch.

    Args:
        phase: The training.
        model: Keras 3 model.
        wrappers: Wrapped layers of tf_keras by the id of the model's layer.
        tuning: What the student is tuned with.
        schedule: What is done between the training steps.

    Raises:
        TrainingError: The loss is not finite.
    """
    fit_hybrid(
        phase,
        Hybrid(model, wrappers),
        tuning.feed,
        tuning.val,
        tuning.progress,
        lambda rows: tuning.on_history(phase.name, rows),
        schedule,
    )
