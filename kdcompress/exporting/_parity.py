"""Parity check: whether an exported model computes what the Keras model computes, at two batch sizes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress.data import LazyImages, iter_blocks
from kdcompress.exporting._base import FP32, ExportedModel, Images, Logits
from kdcompress.exporting._stability import Run, describe_instability
from kdcompress.metrics.classification import METRIC_NAMES, compute_metrics, primary_metric, top1
from kdcompress.metrics.comparison import recall_change
from kdcompress.progress import Progress

BATCHES = (1, 64)
_READ = 4 * max(BATCHES)  # images per block: a runtime reallocates its buffers when the batch size changes
FP32_TOLERANCE = 1e-4  # largest difference of logits in fp32, as a fraction of the largest |logit|
UNLABELLED_AGREEMENT = 0.95  # required top-1 agreement of smaller precisions where labels, and so metrics, are missing


@dataclass(frozen=True)
class Reference:
    """Images with the outputs of the Keras model.

    Attributes:
        source: Description of the images.
        images: (n, H, W, C).
        ids: IDs of the images.
        logits: Outputs of the Keras model, (n, classes).
        labels: (n,), or None.
        classes: Class names.
        run: The Keras model, with which a failure is looked into.
    """

    source: str
    images: Images | LazyImages
    ids: list[str]
    logits: Logits
    labels: NDArray[np.int64] | None
    classes: list[str]
    run: Run | None = None

    @cached_property
    def metrics(self) -> dict[str, Any] | None:
        """Metrics of the Keras model; None without labels."""
        return None if self.labels is None else compute_metrics(self.logits, self.labels, self.classes)

    @property
    def metric(self) -> str | None:
        """Key of the metric whose drop is limited; None without labels."""
        if self.metrics is None:
            return None
        name = primary_metric(len(self.classes))
        return name if self.metrics[name] is not None else "accuracy"  # AUC needs both classes

    def take(self, index: list[int]) -> Reference:
        """Select a subset.

        Args:
            index: Indices of images.

        Returns:
            The reference with these images only.
        """
        labels = None if self.labels is None else self.labels[index]
        ids = [self.ids[i] for i in index]
        return Reference(self.source, self.images[index], ids, self.logits[index], labels, self.classes, self.run)


def check_parity(
    exported: ExportedModel, reference: Reference, precision: str, max_metric_drop: float
) -> dict[str, Any]:
    """Compare an exported model with the Keras model.

    fp32 passes if no logit differs by more than 1e-4 of the largest |logit|, and top-1 changes only where the two
    largest logits are closer than that. Smaller precisions pass if the metric drops by at most `max_metric_drop`, or,
    without labels, if top-1 agrees on 95 % of the images.

    Args:
        exported: The exported model.
        reference: Images with the outputs of the Keras model.
        precision: Precision of the export.
        max_metric_drop: Fraction.

    Returns:
        `parity`, `metrics`, `metric`, `metric_drop`, `recall_change`, `passed` and `reasons`, as `exports.json` has
        them.
    """
    by_batch_size = _logits(exported, reference.images)
    worst = max(by_batch_size, key=lambda logits: _difference(logits, reference.logits))
    expected = top1(reference.logits)
    flipped = sorted({int(i) for logits in by_batch_size for i in np.flatnonzero(top1(logits) != expected)})
    finite = bool(np.isfinite(worst).all())
    gap = np.abs(worst - reference.logits) if finite else None
    n = len(reference.ids)
    parity = {
        "source": reference.source,
        "n": n,
        "batch_sizes": list(BATCHES),
        "max_abs_diff": None if gap is None else float(gap.max()),
        "mean_abs_diff": None if gap is None else float(gap.mean()),
        "largest_logit": float(np.abs(reference.logits).max()),
        "top1_agreement": 1 - len(flipped) / n,
        "flipped": [reference.ids[i] for i in flipped],
    }
    result = {"parity": parity, **_metrics(worst, reference)}
    if not finite:
        reasons = ["its outputs are not finite"]
    elif precision == FP32:
        reasons = _fp32_problems(parity, flipped, reference)
    else:
        reasons = _drop_problems(result, parity, max_metric_drop)
    return {**result, "passed": not reasons, "reasons": reasons}


def agreement_warning(entry: dict[str, Any]) -> str | None:
    """Warn of an export that passed although its predictions differ on many images.

    Args:
        entry: Entry of `exports.json`.

    Returns:
        The warning, or None.
    """
    changed = 1 - entry["parity"]["top1_agreement"]
    if not entry["passed"] or changed <= 1 - UNLABELLED_AGREEMENT:
        return None
    metric = entry["metric"] and METRIC_NAMES[entry["metric"]]
    reason = f", because its {metric} drops by no more than allowed" if metric else ""
    share = f"{100 * changed:.1f} % of the images"
    return f"{entry['path']} predicts another class than the Keras model on {share}; it passes{reason}"


def report_policy(policy: str, name: str, logits: Logits, reference: Reference, progress: Progress) -> None:
    """Say that a model of another dtype policy is exported in float32, and warn if that predicts other classes.

    Args:
        policy: Dtype policy of the model.
        name: Name of the model.
        logits: Its outputs, (n, classes).
        reference: The images with the outputs of the same weights in float32.
        progress: Receives the note or warning.
    """
    same, n = int(np.sum(top1(logits) == top1(reference.logits))), len(logits)
    text = (
        f"{name} computes in {policy}: exported from the same weights in float32, and compared with that, which "
        f"predicts the same class on {same:,} of {n:,} images"
    )
    if same < UNLABELLED_AGREEMENT * n:
        progress.warn(f"{text}; if these are too few, train it under the policy float32")
    else:
        progress.note(text)


def _logits(exported: ExportedModel, images: Images | LazyImages) -> list[Logits]:
    """Compute the logits in batches of each of the BATCHES, reading the images once."""
    outputs: list[list[Logits]] = [[] for _ in BATCHES]
    for block in iter_blocks(images, _READ):
        for batches, size in zip(outputs, BATCHES, strict=True):
            batches += [exported.run(block[i : i + size]) for i in range(0, len(block), size)]
    return [np.concatenate(batches) for batches in outputs]


def _difference(logits: Logits, reference: Logits) -> float:
    return float(np.abs(logits - reference).max()) if np.isfinite(logits).all() else float("inf")


def _metrics(logits: Logits, reference: Reference) -> dict[str, Any]:
    expected, name = reference.metrics, reference.metric
    if reference.labels is None or expected is None or name is None:
        return {"metrics": None, "metric": None, "metric_drop": None, "recall_change": None}
    metrics = compute_metrics(logits, reference.labels, reference.classes)
    return {
        "metrics": metrics,
        "metric": name,
        "metric_drop": None if metrics[name] is None else expected[name] - metrics[name],
        "recall_change": recall_change(logits, reference.logits, reference.labels, reference.classes),
    }


def _fp32_problems(parity: dict[str, Any], flipped: list[int], reference: Reference) -> list[str]:
    problems, tolerance = [], FP32_TOLERANCE * parity["largest_logit"]
    if parity["max_abs_diff"] > tolerance:
        problems.append(
            f"logits differ by up to {parity['max_abs_diff']:.3g}, above {tolerance:.3g} "
            f"({FP32_TOLERANCE:g} of the largest logit)"
        )
    largest = np.sort(reference.logits[flipped], axis=-1)[:, -2:]
    clear = int(np.sum(largest[:, 1] - largest[:, 0] > tolerance)) if flipped else 0
    if clear:
        problems.append(f"top-1 differs on {clear} images that are not ties")
    if problems and reference.run is not None:
        images = next(iter_blocks(reference.images, _READ))
        problems += filter(None, [describe_instability(reference.run, images, reference.logits, tolerance)])
    return problems


def _drop_problems(result: dict[str, Any], parity: dict[str, Any], limit: float) -> list[str]:
    if result["metric"] is None:
        if parity["top1_agreement"] >= UNLABELLED_AGREEMENT:
            return []
        return [f"top-1 agrees on {100 * parity['top1_agreement']:.1f} % of the images, below 95 %"]
    drop, name = result["metric_drop"], result["metric"]
    if drop is not None and drop <= limit:
        return []
    return [f"{name} falls by {100 * drop:.2f} points, above {100 * limit:g}" if drop is not None else f"no {name}"]
