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

    Raises:
        UsageError: A limit is outside its range.
    """

    max_params_ratio: float | None = None
    max_flops_ratio: float | None = None
    max_bytes_ratio: float | None = None
    max_metric_drop: float | None = None

    def __post_init__(self) -> None:
        for name in ("max_params_ratio", "max_flops_ratio", "max_bytes_ratio"):
            limit = getattr(self, name)
            if limit is not None and not (limit > 0 and math.isfinite(limit)):
                raise UsageError(f"{_option(name)} must be a number above 0 (student / teacher), got {limit}")
        if self.max_metric_drop is not None:
            validate_metric_drop(self.max_metric_drop)

    @property
    def enabled(self) -> list[str]:
        """Limits that are set, as the names of their options."""
        return [_option(name) for name in vars(self) if getattr(self, name) is not None]

    def evaluate(self, ratios: dict[str, float | None], metric_drop: float | None) -> list[dict[str, Any]]:
        """Compare measured values with the limits.

        Args:
            ratios: `params`, `flops` and `bytes`, student / teacher.
            metric_drop: Teacher - student, a fraction.

        Returns:
            `name`, `limit`, `value` and `passed` for each limit that is set; None values do not pass.
        """
        values = {**{f"max_{key}_ratio": value for key, value in ratios.items()}, "max_metric_drop": metric_drop}
        verdicts = []
        for name, limit in vars(self).items():
            if limit is not None:
                value = values[name]
                verdicts.append(
                    {"name": name, "limit": limit, "value": value, "passed": value is not None and value <= limit}
                )
        return verdicts


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
