"""All test metrics of a run, computed from its stored logits."""

from __future__ import annotations

from typing import Any

import numpy as np

from kdcompress.metrics.agreement import agreement_levels
from kdcompress.metrics.bootstrap import BootstrapAucs, bootstrap_aucs
from kdcompress.metrics.classification import compute_metrics
from kdcompress.metrics.comparison import compare_models
from kdcompress.metrics.threshold import choose_threshold, rates_at_threshold, second_class_probability
from kdcompress.runs.outputs import Outputs

_MULTICLASS = ("accuracy", "ece")  # metrics of a level of agreement with more than two classes


def measure_outputs(test: Outputs, val: Outputs | None, classes: list[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Compute the metrics of all models of a run, and the comparison of student and teacher.

    Args:
        test: Logits and labels of the test split.
        val: Those of the validation split, on which the threshold is chosen; None for a run without them.
        classes: Class names.

    Returns:
        Metrics by role, and the comparison, as `verify` prints them. Metrics are those of `compute_metrics`, and
        `by_agreement`, a list of levels (None without votes). With two classes there are also the 95 % interval of the
        AUC (`auc_low`, `auc_high`) and the unit that was resampled for it (`auc_interval_over`), the `threshold` of
        P(second class) chosen on `threshold_images` validation images, and the rates at that threshold (None without
        `val`). The comparison is that of `compare_models`; with two classes also `auc_difference`, student minus
        teacher, and `auc_gain`, student minus baseline: `value`, `low` and `high`, or None.
    """
    comparison = compare_models(test.logits["student"], test.logits["teacher"], test.labels, classes)
    measures = {role: compute_metrics(logits, test.labels, classes) for role, logits in test.logits.items()}
    thresholds: dict[str, float | None] = dict.fromkeys(measures)
    if len(classes) == 2:
        thresholds |= {role: _threshold(val, role) for role in measures}
        aucs = bootstrap_aucs(test.logits, test.labels, test.groups)
        for role, metrics in measures.items():
            metrics |= _interval(aucs, role)
            metrics |= {
                "threshold": second_class_probability(thresholds[role]),
                "threshold_images": None if val is None else len(val.labels),
            }
            metrics |= rates_at_threshold(test.logits[role], test.labels, thresholds[role])
        comparison["auc_difference"] = aucs.difference("student", "teacher")
        comparison["auc_gain"] = aucs.difference("student", "baseline")
    by_level = _by_agreement(test, classes, thresholds)
    for role, metrics in measures.items():
        metrics["by_agreement"] = by_level[role] if by_level else None
    return measures, comparison


def _threshold(val: Outputs | None, role: str) -> float | None:
    return None if val is None or role not in val.logits else choose_threshold(val.logits[role], val.labels)


def _interval(aucs: BootstrapAucs, role: str) -> dict[str, Any]:
    low, high = aucs.interval(role)
    return {"auc_low": low, "auc_high": high, "auc_interval_over": aucs.unit}


def _by_agreement(
    test: Outputs, classes: list[str], thresholds: dict[str, float | None]
) -> dict[str, list[dict[str, Any]]] | None:
    """Compute the metrics of each level of agreement by role; None if no image has votes."""
    levels = [] if test.votes is None else agreement_levels(test.votes)
    by_role: dict[str, list[dict[str, Any]]] = {role: [] for role in test.logits}
    for name, rows in levels:
        subset = test.take(rows)
        aucs = bootstrap_aucs(subset.logits, subset.labels, subset.groups) if len(classes) == 2 else None
        for role in by_role:
            metrics = _level_metrics(subset, role, classes, thresholds[role], aucs)
            by_role[role].append({"agreement": name, "n": len(rows), **metrics})
    return by_role if levels else None


def _level_metrics(
    subset: Outputs, role: str, classes: list[str], threshold: float | None, aucs: BootstrapAucs | None
) -> dict[str, Any]:
    logits, labels = subset.logits[role], subset.labels
    metrics = compute_metrics(logits, labels, classes)
    if aucs is None:
        return {key: metrics[key] for key in _MULTICLASS}
    low, high = aucs.interval(role)
    rates = rates_at_threshold(logits, labels, threshold)
    return {
        "accuracy": metrics["accuracy"],
        "auc": aucs.aucs[role],
        "auc_low": low,
        "auc_high": high,
        "f1": rates["f1_at_threshold"] if len(np.unique(labels)) == 2 else None,
        "sensitivity": rates["sensitivity"],
        "specificity": rates["specificity"],
        "ece": metrics["ece"],
    }
