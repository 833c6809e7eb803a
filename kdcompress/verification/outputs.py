"""Every metric of a run, from the logits that it kept: of its models, and of the differences between them."""

from __future__ import annotations

from typing import Any

import numpy as np

from kdcompress.metrics.agreement import agreement_levels
from kdcompress.metrics.bootstrap import BootstrapAucs, bootstrap_aucs
from kdcompress.metrics.classification import compute_metrics
from kdcompress.metrics.comparison import compare_models
from kdcompress.metrics.threshold import choose_threshold, rates_at_threshold, second_class_probability
from kdcompress.runs.outputs import Outputs

_AT_ALL = ("accuracy", "ece")  # of a level, whatever the number of classes


def measure_outputs(test: Outputs, val: Outputs | None, classes: list[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """(metrics on test by role, comparison of student and teacher), as `verify` gives them.

    Metrics are those of `measure` and `by_agreement`, None where no votes are known. Two classes have besides: the 95 %
    interval `auc_low`, `auc_high` of the AUC and what was resampled for it, `auc_interval_over`; the `threshold` of
    P(second class) that validation chose, on how many images (`threshold_images`), and RATES at it, among them F1 of
    each level of agreement (None of a run that kept no validation outputs). The
    comparison is that of `compare`, with `auc_difference` (student minus teacher) and `auc_gain` (student minus
    baseline), {"value", "low", "high"} each, or None.
    """
    comparison = compare_models(test.logits["student"], test.logits["teacher"], test.labels, classes)
    measures = {role: compute_metrics(logits, test.labels, classes) for role, logits in test.logits.items()}
    thresholds: dict[str, float | None] = dict.fromkeys(measures)
    if len(classes) == 2:
        thresholds |= {role: _threshold(val, role) for role in measures}
        found = bootstrap_aucs(test.logits, test.labels, test.groups)
        for role, metrics in measures.items():
            metrics |= _interval(found, role)
            metrics |= {
                "threshold": second_class_probability(thresholds[role]),
                "threshold_images": None if val is None else len(val.labels),
            }
            metrics |= rates_at_threshold(test.logits[role], test.labels, thresholds[role])
        comparison["auc_difference"] = found.difference("student", "teacher")
        comparison["auc_gain"] = found.difference("student", "baseline")
    by_level = _by_agreement(test, classes, thresholds)
    for role, metrics in measures.items():
        metrics["by_agreement"] = by_level[role] if by_level else None
    return measures, comparison


def _threshold(val: Outputs | None, role: str) -> float | None:
    return None if val is None or role not in val.logits else choose_threshold(val.logits[role], val.labels)


def _interval(found: BootstrapAucs, role: str) -> dict[str, Any]:
    low, high = found.interval(role)
    return {"auc_low": low, "auc_high": high, "auc_interval_over": found.unit}


def _by_agreement(
    test: Outputs, classes: list[str], thresholds: dict[str, float | None]
) -> dict[str, list[dict[str, Any]]] | None:
    """By role a row for each level; None where no image has votes."""
    known = [] if test.votes is None else agreement_levels(test.votes)
    rows: dict[str, list[dict[str, Any]]] = {role: [] for role in test.logits}
    for name, chosen in known:
        part = test.take(chosen)
        found = bootstrap_aucs(part.logits, part.labels, part.groups) if len(classes) == 2 else None
        for role in rows:
            head = {"agreement": name, "n": len(chosen)}
            rows[role].append({**head, **_level(part, role, classes, thresholds[role], found)})
    return rows if known else None


def _level(
    part: Outputs, role: str, classes: list[str], threshold: float | None, found: BootstrapAucs | None
) -> dict[str, Any]:
    logits, labels = part.logits[role], part.labels
    all_of_it = compute_metrics(logits, labels, classes)
    if found is None:
        return {key: all_of_it[key] for key in _AT_ALL}
    low, high = found.interval(role)
    at = rates_at_threshold(logits, labels, threshold)
    return {
        "accuracy": all_of_it["accuracy"],
        "auc": found.aucs[role],
        "auc_low": low,
        "auc_high": high,
        "f1": at["f1_at_threshold"] if len(np.unique(labels)) == 2 else None,
        "sensitivity": at["sensitivity"],
        "specificity": at["specificity"],
        "ece": all_of_it["ece"],
    }
