"""The steps of a compression, in their order."""

from __future__ import annotations

import importlib
from typing import Any

from kdcompress.compression._base import Compressed, Step, Tuning
from kdcompress.config.compress import CompressSection
from kdcompress.models import seed_everything

# Imported when a compression needs them: some load tf_keras
_STEPS = {
    "channels": "kdcompress.compression.channels.step:ChannelsStep",
    "prune": "kdcompress.compression.prune:PruneStep",
    "cluster": "kdcompress.compression.cluster:ClusterStep",
    "qat": "kdcompress.compression.qat:QatStep",
    "qat-tfmot": "kdcompress.compression.legacy.qat:TfmotQatStep",
}


def make_steps(section: CompressSection) -> list[Step]:
    """Make the steps of a compression.

    Args:
        section: Its settings.

    Returns:
        The steps, in their order.
    """
    names = [f"{name}-tfmot" if (name, section.qat) == ("qat", "tfmot") else name for name in section.steps]
    return [_load(name)() for name in names]


def compress(model: Any, tuning: Tuning, earlier: dict[str, dict[str, Any]] | None = None) -> Compressed:
    """Compress a student by all steps of the section.

    Args:
        model: Plain Keras 3 model from pixels to outputs (batch, head).
        tuning: What it is tuned with.
        earlier: What earlier steps did to the student, by their names.

    Returns:
        The compressed student.
    """
    student = Compressed(model, facts=earlier or {})
    for step in make_steps(tuning.section):
        seed_everything(tuning.seed)  # layers that a step makes anew, such as Dropout, draw their seeds
        student = step.apply(student, tuning)
        student.facts[step.name]["summary"] = step.summarize(student.facts[step.name])
    return student


def _load(name: str) -> type[Step]:
    module, _, attribute = _STEPS[name].partition(":")
    step: type[Step] = getattr(importlib.import_module(module), attribute)
    return step
