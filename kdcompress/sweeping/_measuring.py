"""The metric of a sweep on the test images."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kdcompress.data import Samples
from kdcompress.errors import TrainingError
from kdcompress.metrics.classification import METRIC_NAMES, basic_metrics
from kdcompress.metrics.finite import check_finite


def metric_on_test(logits: NDArray[np.float32], test: Samples, role: str, metric: str) -> float:
    """Compute a metric of a model on test.

    Args:
        logits: Class logits (n, classes).
        test: The test samples.
        role: student or teacher, for messages.
        metric: accuracy or auc.

    Returns:
        The metric, a fraction.

    Raises:
        TrainingError: Logits are not finite, or the metric is undefined.
    """
    check_finite(logits, test.ids, role)
    value = basic_metrics(logits, test.labels)[metric]
    if value is None:
        raise TrainingError(f"the {METRIC_NAMES[metric]} on test is undefined: all test images are of one class")
    return value
