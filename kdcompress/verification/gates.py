"""Gates: limits that a student must meet."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from kdcompress.errors import UsageError


@dataclass(frozen=True)
class Gates:
    """Limits of a verification; None sets no limit.

    Attributes:
        max_params_ratio: Parameters, student / teacher, > 0.
        max_flops_ratio: FLOPs, student / teacher, > 0.
        max_bytes_ratio: Size of the model file, student / teacher, > 0.
        max_metric_drop: Metric, teacher - student, in [-1, 1].
        min_accuracy: The student's accuracy on test, in [0, 1].
        min_gain: Metric, student - baseline, in [-1, 1].

    Raises:
        UsageError: A limit is outside its range.
    """

    max_params_ratio: float | None = None
    max_flops_ratio: float | None = None
    max_bytes_ratio: float | None = None
    max_metric_drop: float | None = None
    min_accuracy: float | None = None
    min_gain: float | None = None

    def __post_init__(self) -> None:
        for name in ("max_params_ratio", "max_flops_ratio", "max_bytes_ratio"):
            limit = getattr(self, name)
            if limit is not None and not (limit > 0 and math.isfinite(limit)):
                raise UsageError(f"{_option(name)} must be a number above 0 (student / teacher), got {limit}")
        if self.max_metric_drop is not None:
            validate_metric_drop(self.max_metric_drop)
        if self.min_accuracy is not None and not 0 <= self.min_accuracy <= 1:
            raise UsageError(f"--min-accuracy is a fraction between 0 and 1 (0.95 is 95 %), got {self.min_accuracy}")
        if self.min_gain is not None and not -1 <= self.min_gain <= 1:
            raise UsageError(f"--min-gain is a fraction between -1 and 1 (0.01 is one point), got {self.min_gain}")

    @property
    def enabled(self) -> list[str]:
        """Limits that are set, as the names of their options."""
        return [_option(name) for name in vars(self) if getattr(self, name) is not None]

    def evaluate(
        self,
        ratios: dict[str, float | None],
        metric_drop: float | None = None,
        accuracy: float | None = None,
        gain: float | None = None,
    ) -> list[dict[str, Any]]:
        """Compare measured values with the limits.

        Args:
            ratios: `params`, `flops` and `bytes`, student / teacher.
            metric_drop: Teacher - student, a fraction.
            accuracy: The student's, a fraction.
            gain: Student - baseline, a fraction.

        Returns:
            `name`, `limit`, `value` and `passed` for each limit that is set; None values do not pass.
        """
        values = {f"max_{key}_ratio": value for key, value in ratios.items()}
        values |= {"max_metric_drop": metric_drop, "min_accuracy": accuracy, "min_gain": gain}
        limits = {name: limit for name, limit in vars(self).items() if limit is not None}
        return [
            {"name": name, "limit": limit, "value": values[name], "passed": _is_within(name, values[name], limit)}
            for name, limit in limits.items()
        ]


def format_limit(name: str, limit: str) -> str:
    """Format the limit of a gate.

    Args:
        name: Name of the gate.
        limit: The limit, formatted.

    Returns:
        Text such as "at most 0.1".
    """
    return f"at {'least' if name.startswith('min_') else 'most'} {limit}"


def _is_within(name: str, value: float | None, limit: float) -> bool:
    if value is None:
        return False
    return value >= limit if name.startswith("min_") else value <= limit


def validate_metric_drop(drop: float) -> float:
    """Validate a limit on the metric drop.

    Args:
        drop: Fraction in [-1, 1].

    Returns:
        The same value.

    Raises:
        UsageError: It is outside its range.
    """
    if not -1 <= drop <= 1:
        raise UsageError(f"--max-metric-drop is a fraction between -1 and 1 (0.01 is one point), got {drop}")
    return drop


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"
