"""Quantization-aware training whose rounding is that of tensorflow-model-optimization."""

from __future__ import annotations

from typing import Any

from kdcompress.compression._base import Tuning
from kdcompress.compression.legacy.rounding import unwrap, wrap_for_rounding
from kdcompress.compression.legacy.tuning import tune_wrapped
from kdcompress.compression.qat import QatStep
from kdcompress.quantization import Rounded


class TfmotQatStep(QatStep):
    """QAT in which tensorflow-model-optimization rounds Dense and Conv2D kernels, and activations with a range.

    Zeros and clusters of earlier steps stay by its schemes PQAT, CQAT and PCQAT.
    """

    def train(self, rounded: Rounded, tuning: Tuning) -> dict[str, Any]:
        """Train the network with roundings of tensorflow-model-optimization in it."""
        wrapped = wrap_for_rounding(rounded)
        tune_wrapped(tuning.phase(self.name, rounded.model, type(self)), rounded.model, wrapped.replacements, tuning)
        unwrap(rounded, wrapped)
        return {"engine": "tfmot", "rounded_by_tfmot": sorted(wrapped.weights)}
