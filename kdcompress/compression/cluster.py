"""Clusters: each kernel gets few different values."""

from __future__ import annotations

from typing import Any, ClassVar

from kdcompress.compression._base import Compressed, Step, Tuning
from kdcompress.compression._order import check_order
from kdcompress.compression.legacy.clustering import clustered_weights, has_zeros, wrap_for_clustering
from kdcompress.compression.legacy.kernels import describe_kernels, read_kernel, select_layers
from kdcompress.compression.legacy.tuning import tune_wrapped
from kdcompress.compression.legacy.twins import copy_back
from kdcompress.errors import ModelError, RecipeError
from kdcompress.quantization import align_pixels, fold

_NOTE = "cluster: few values bring no speed and no smaller file; only gzip makes use of them"


class ClusterStep(Step):
    """Few values, zero included, in the kernels of Dense and Conv2D layers; the zeros of pruned kernels stay.

    BatchNorm is folded into the kernels before that, as files have it.
    """

    name: ClassVar[str] = "cluster"
    rate_factor: ClassVar[float] = 0.1

    @classmethod
    def summarize(cls, facts: dict[str, Any]) -> str:
        """Say how many values the kernels have."""
        kernels = facts["kernels"].values()
        return f"at most {max(kernel['values'] for kernel in kernels)} values in each of {len(kernels)} kernels"

    def apply(self, student: Compressed, tuning: Tuning) -> Compressed:
        """Cluster the kernels, and tune the values and which weight has which with the teacher."""
        check_order(self.name, student)
        tuning.progress.note(_NOTE)
        clusters = tuning.section.cluster or 0
        model = align_pixels(fold(student.model))  # later, BatchNorm in a kernel would give each channel its own values
        selection = select_layers(model)
        small = [layer for layer in selection.layers if read_kernel(layer).size <= clusters]
        selection = selection.without(small, f"has no more than {clusters} weights")
        if not selection.layers:
            raise ModelError(
                f"cluster needs a Dense or Conv2D layer of more than {clusters} weights, and {model.name} has none; "
                "leave cluster out"
            )
        if clusters < 3 and any(has_zeros(layer) for layer in selection.layers):
            raise RecipeError(
                f"cluster must be >= 3 after prune, since one value is 0 and the others have both signs, got {clusters}"
            )
        wrappers = wrap_for_clustering(selection.layers, clusters)
        tune_wrapped(tuning.phase(self.name, model, type(self)), model, wrappers, tuning)
        for layer in selection.layers:
            copy_back(clustered_weights(wrappers[id(layer)]), layer)
        facts = {"clusters": clusters, "kernels": describe_kernels(selection.layers), "left": selection.left}
        return student.after(self.name, model, facts)
