"""Whether an exported model computes what the Keras model computes: always measured, at batch 1 and at a larger one."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress.data import LazyImages, iter_blocks
from kdcompress.exporting._base import FP32, ExportedModel, Images, Logits
from kdcompress.metrics.classification import METRIC_NAMES, compute_metrics, primary_metric, top1
from kdcompress.metrics.comparison import recall_change

BATCHES = (1, 64)
_READ = 4 * max(BATCHES)  # images at once: a runtime that changes its batch size makes its buffers anew
# fp32: the largest difference of logits, as a part of the largest |logit|
FP32_TOLERANCE = 1e-4
# Without labels there is no metric: a smaller precision must give the Keras model's top-1 on this part of the images
UNLABELLED_AGREEMENT = 0.95


@dataclass(frozen=True)
class Reference:
    """Images (n, H, W, C), their ids, what the Keras model answers to them, and their labels where there are some."""

    source: str
    images: Images | LazyImages
    ids: list[str]
    logits: Logits
    labels: NDArray[np.int64] | None
    classes: list[str]

    @cached_property
    def metrics(self) -> dict[str, Any] | None:
        """The Keras model's own metrics."""
        return None if self.labels is None else compute_metrics(self.logits, self.labels, self.classes)

    @property
    def metric(self) -> str | None:
        """The name of the metric whose drop is judged, or None without labels."""
        if self.metrics is None:
            return None
        best = primary_metric(len(self.classes))
        return best if self.metrics[best] is not None else "accuracy"  # an AUC needs both classes

    def take(self, index: list[int]) -> Reference:
        """The images at `index` alone."""
        labels = None if self.labels is None else self.labels[index]
        ids = [self.ids[i] for i in index]
        return Reference(self.source, self.images[index], ids, self.logits[index], labels, self.classes)


def check_parity(opened: ExportedModel, reference: Reference, precision: str, max_metric_drop: float) -> dict[str, Any]:
    """{"parity", "metrics", "metric_drop", "recall_change", "passed", "reasons"} of an exported model.

    fp32 passes if no logit is further off than 1e-4 of the largest |logit|, and top-1 changes only where the first two
    logits lie closer than that. Smaller precisions pass if the metric falls by at most `max_metric_drop` (a fraction).
    """
    runs = _logits(opened, reference.images)
    worst = max(runs, key=lambda logits: _difference(logits, reference.logits))
    flipped = sorted({int(i) for logits in runs for i in np.flatnonzero(top1(logits) != top1(reference.logits))})
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
        reasons = ["it gives values that are not finite"]
    elif precision == FP32:
        reasons = _fp32_problems(parity, flipped, reference)
    else:
        reasons = _drop_problems(result, parity, max_metric_drop)
    return {**result, "passed": not reasons, "reasons": reasons}


def agreement_warning(entry: dict[str, Any]) -> str | None:
    """A warning about a file of `exports.json` that passed although it answers otherwise on many images."""
    changed = 1 - entry["parity"]["top1_agreement"]
    if not entry["passed"] or changed <= 1 - UNLABELLED_AGREEMENT:
        return None
    metric = entry["metric"] and METRIC_NAMES[entry["metric"]]
    why = f", because its {metric} falls by no more than allowed" if metric else ""
    share = f"{100 * changed:.1f} % of the images"
    return f"{entry['path']} answers otherwise than the Keras model on {share}; it passes{why}"


def _logits(opened: ExportedModel, images: Images | LazyImages) -> list[Logits]:
    """The answers in batches of each of the BATCHES, from one reading of the images."""
    found: list[list[Logits]] = [[] for _ in BATCHES]
    for block in iter_blocks(images, _READ):
        for parts, size in zip(found, BATCHES, strict=True):
            parts += [opened.run(block[i : i + size]) for i in range(0, len(block), size)]
    return [np.concatenate(parts) for parts in found]


def _difference(logits: Logits, reference: Logits) -> float:
    return float(np.abs(logits - reference).max()) if np.isfinite(logits).all() else float("inf")


def _metrics(logits: Logits, reference: Reference) -> dict[str, Any]:
    before, name = reference.metrics, reference.metric
    if reference.labels is None or before is None or name is None:
        return {"metrics": None, "metric": None, "metric_drop": None, "recall_change": None}
    metrics = compute_metrics(logits, reference.labels, reference.classes)
    return {
        "metrics": metrics,
        "metric": name,
        "metric_drop": None if metrics[name] is None else before[name] - metrics[name],
        "recall_change": recall_change(logits, reference.logits, reference.labels, reference.classes),
    }


def _fp32_problems(parity: dict[str, Any], flipped: list[int], reference: Reference) -> list[str]:
    problems, tolerance = [], FP32_TOLERANCE * parity["largest_logit"]
    if parity["max_abs_diff"] > tolerance:
        problems.append(
            f"logits differ by up to {parity['max_abs_diff']:.3g}, above {tolerance:.3g} "
            f"({FP32_TOLERANCE:g} of the largest logit)"
        )
    first_two = np.sort(reference.logits[flipped], axis=-1)[:, -2:]
    clear = int(np.sum(first_two[:, 1] - first_two[:, 0] > tolerance)) if flipped else 0
    if clear:
        problems.append(f"top-1 differs on {clear} images that are no ties")
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
