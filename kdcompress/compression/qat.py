"""Quantization-aware training in Keras 3."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from kdcompress.batches import default_batch_size
from kdcompress.compression._base import Compressed, Step, Tuning
from kdcompress.data import Images, iter_blocks
from kdcompress.exporting import Options, make_format
from kdcompress.exporting._base import INT8, ExportedModel
from kdcompress.exporting._calibration import SIZE, from_train
from kdcompress.exporting._network import freeze
from kdcompress.formatting import percent, points
from kdcompress.leftovers import temporary_folder
from kdcompress.metrics.classification import METRIC_NAMES, accuracy, primary_metric
from kdcompress.metrics.paired import paired_difference
from kdcompress.metrics.ranking import auc
from kdcompress.quantization import Quantization, Rounded, align_pixels, finish_rounding, fold, start_rounding
from kdcompress.training.supervision import finalise

_START_IMAGES = 1000  # training images from which ranges start


class QatStep(Step):
    """Trains a student that rounds as an int8 runtime does, and compares it with quantization after training."""

    name: ClassVar[str] = "qat"
    rate_factor: ClassVar[float] = 0.1

    @classmethod
    def summarize(cls, facts: dict[str, Any]) -> str:
        """Say which integers ship, and what both do on validation."""
        name, values = METRIC_NAMES[facts["metric"]], [percent(facts[role]) for role in ("qat", "ptq")]
        shipped = "trained integers" if facts["shipped"] == "qat" else "int8 after training"
        return f"{shipped} ship; {name} on validation {values[0]} trained, {values[1]} after training"

    def train(self, rounded: Rounded, tuning: Tuning) -> dict[str, Any]:
        """Train the network that rounds, in place.

        Args:
            rounded: The network.
            tuning: What it is trained with.

        Returns:
            Facts to record.
        """
        tuning.train(self.name, rounded.model, type(self))
        return {"engine": "native"}

    def apply(self, student: Compressed, tuning: Tuning) -> Compressed:
        """Train the integers of a student; zeros and clusters that earlier steps made remain."""
        keep_zeros, clusters = "prune" in student.facts, int(student.facts.get("cluster", {}).get("clusters", 0))
        images = from_train(tuning.train_samples, _START_IMAGES).images
        rounded = start_rounding(align_pixels(fold(student.model)), images, keep_zeros=keep_zeros, clusters=clusters)
        more = self.train(rounded, tuning)
        model, quantization = finish_rounding(rounded)
        comparison = tuning.once(self.name, lambda: compare(student.model, model, quantization, tuning))
        facts = {**_describe(rounded, quantization), **more, **comparison}
        beaten = comparison["shipped"] == "qat"
        if not beaten:
            compressed = keep_zeros or clusters > 0
            kept = compressed or tuning.section.ship == "trained"
            tuning.progress.warn(_explain(comparison, kept, compressed))
            facts["shipped"] = "qat" if kept else "ptq"
        if facts["shipped"] == "qat":
            return student.after(self.name, model, facts, quantization)
        return student.after(self.name, student.model, facts)


def compare(start: Any, model: Any, quantization: Quantization, tuning: Tuning) -> dict[str, Any]:
    """Compare trained integers with those of quantization after training, as ONNX files, on validation.

    Args:
        start: Student before the training, which is quantized after training.
        model: Student with trained integers.
        quantization: Its description.
        tuning: The data.

    Returns:
        `metric`, its value `qat` and `ptq`, `difference` with its paired 95 % interval, and `shipped`: "qat" if the
        interval is above 0, otherwise "ptq".
    """
    shape, val = tuning.input_shape, tuning.val
    calibration = from_train(tuning.train_samples, SIZE).images
    logits: dict[str, NDArray[np.float32]] = {}
    for role, candidate, trained in (("qat", model, quantization), ("ptq", start, None)):
        network = freeze(finalise(candidate, tuning.method, shape), shape, "the student", quantization=trained)
        with temporary_folder() as folder:
            path = folder / "student.onnx"
            make_format("onnx").write(network, path, INT8, Options(), None if trained else calibration, {})
            logits[role] = _logits(make_format("onnx").open(path), val.images)
    metric = primary_metric(logits["qat"].shape[-1])
    measure = auc if metric == "auc" else accuracy
    difference = paired_difference(logits["qat"], logits["ptq"], val.labels, metric)
    return {
        "metric": metric,
        **{role: measure(values, val.labels) for role, values in logits.items()},
        "difference": difference,
        "validation_images": len(val),
        "shipped": "qat" if (difference["low"] or 0.0) > 0 else "ptq",
    }


def _logits(exported: ExportedModel, images: Images) -> NDArray[np.float32]:
    blocks = iter_blocks(images, default_batch_size(images.shape[1:]))
    return np.concatenate([exported.run(block) for block in blocks])


def _describe(rounded: Rounded, quantization: Quantization) -> dict[str, Any]:
    return {
        "kernels": len(quantization.kernels),
        "float_layers": quantization.float_layers,
        "clustered_layers": [name for name, layer in rounded.kernels.items() if layer.keeps_clusters],
    }


def _explain(comparison: dict[str, Any], kept: bool, compressed: bool) -> str:
    """Say that training brought nothing, and which integers ship."""
    shipped = "are those of quantization after training"
    if kept:
        reason = "they keep the zeros and clusters" if compressed else "compress.ship asks for them"
        shipped = f"hold the trained ones all the same: {reason}"
    name, difference = METRIC_NAMES[comparison["metric"]], comparison["difference"]
    interval = ""
    if difference["low"] is not None:
        interval = f" ({points(difference['value'])} points, 95 % interval {points(difference['low'])} to "
        interval += f"{points(difference['high'])})"
    images, shares = f"{comparison['validation_images']:,}", [percent(comparison[role]) for role in ("qat", "ptq")]
    return (
        f"quantization-aware training does not beat quantization after training: on {images} validation images its "
        f"{name} is {shares[0]} against {shares[1]}{interval}; the int8 files {shipped}"
    )
