"""Zeros: the smallest weights of each kernel become 0."""

from __future__ import annotations

from typing import Any, ClassVar

from kdcompress.compression._base import Compressed, Step, Tuning
from kdcompress.compression._copying import copy_model
from kdcompress.compression._order import check_order
from kdcompress.compression.legacy.kernels import describe_kernels, select_layers
from kdcompress.compression.legacy.pruning import wrap_for_pruning
from kdcompress.compression.legacy.tuning import tune_wrapped
from kdcompress.compression.legacy.twins import copy_back
from kdcompress.errors import ModelError

_NOTE = (
    "prune: zeros in no order bring no speed on CPU and no smaller file; only gzip makes use of them "
    "(channels bring both)"
)


class PruneStep(Step):
    """Zeros in the kernels of Dense and Conv2D layers; the layer that makes the logits keeps all its weights."""

    name: ClassVar[str] = "prune"

    @classmethod
    def summarize(cls, facts: dict[str, Any]) -> str:
        """Say how many weights are 0."""
        kernels = facts["kernels"].values()
        zeros, weights = (sum(kernel[key] for kernel in kernels) for key in ("zeros", "weights"))
        return f"{zeros:,} of {weights:,} weights of {len(kernels)} kernels are 0 ({100 * zeros / weights:.4g} %)"

    def apply(self, student: Compressed, tuning: Tuning) -> Compressed:
        """Prune by magnitude while the student is tuned with the teacher."""
        check_order(self.name, student)
        tuning.progress.note(_NOTE)
        fraction = tuning.section.prune or 0.0
        model = copy_model(student.model)
        selection = select_layers(model)
        selection = selection.without(list(selection.layers[-1:]), "makes the logits")
        if not selection.layers:
            raise ModelError(
                "prune needs a Dense or Conv2D layer before the one that makes the logits, and "
                f"{model.name} has none; leave prune out"
            )
        phase = tuning.phase(self.name, model, type(self))
        wrappers, schedule = wrap_for_pruning(selection.layers, fraction, phase.epochs, tuning.feed.steps_per_epoch)
        tune_wrapped(phase, model, wrappers, tuning, schedule)
        for layer in selection.layers:
            copy_back(wrappers[id(layer)].layer.weights, layer)
        facts = {"fraction": fraction, "kernels": describe_kernels(selection.layers), "left": selection.left}
        return student.after(self.name, model, facts)
