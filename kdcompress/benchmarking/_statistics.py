"""Statistics of timings: percentiles of calls, and ratios of two models with a bootstrap interval over rounds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress.benchmarking._t_distribution import t_quantile

CONFIDENCE = 0.95
RESAMPLES = 5000
BLOCK = 3  # rounds
MIN_ROUNDS = 6  # two blocks, the fewest from which a bootstrap can estimate a spread
_SEED = 0
_NS_PER_MS = 1e6
Times = NDArray[np.int64]


@dataclass(frozen=True)
class Ratio:
    """A ratio of times.

    Attributes:
        value: Estimate.
        low: Lower end of the 95 % interval; None if there are too few rounds.
        high: Upper end, likewise.
    """

    value: float
    low: float | None
    high: float | None

    @property
    def distinguishable(self) -> bool:
        """Whether the interval excludes 1."""
        return self.low is not None and self.high is not None and not self.low <= 1 <= self.high


def summarise(turns: Sequence[Times], batch_size: int) -> dict[str, Any]:
    """Summarise the times of calls; no outliers are removed.

    Percentiles interpolate between order statistics (Hyndman and Fan 1996, definition 7).

    Args:
        turns: Times of calls in ns, by turn.
        batch_size: Images per call.

    Returns:
        `n`, `p50_ms`, `p90_ms`, `p99_ms`, `mean_ms`, `max_ms`, `throughput_per_s` in images, and `quantiles_ms`, the
        0th to 100th percentile.
    """
    times = np.concatenate(turns) / _NS_PER_MS
    quantiles = np.percentile(times, np.arange(101))
    mean = float(times.mean())
    return {
        "n": len(times),
        **{f"p{percent}_ms": float(quantiles[percent]) for percent in (50, 90, 99)},
        "mean_ms": mean,
        "max_ms": float(times.max()),
        "throughput_per_s": 1000 * batch_size / mean,
        "quantiles_ms": [float(value) for value in quantiles],
    }


def ratio(numerator: Sequence[Times], denominator: Sequence[Times]) -> Ratio:
    """Estimate the ratio of the times of two models that took turns.

    The estimate is the geometric mean over rounds of the ratio of the median times of both turns in a round; drifts of
    the machine that are slower than a round cancel out. A mean is used because shared machines have a fast and a slow
    state, between which a median would jump as their shares change; the geometric mean because it does not depend on
    which model is the denominator (Fleming and Wallace 1986). The interval is the percentile interval of a circular
    block bootstrap (Politis and Romano 1992) with blocks of 3 successive rounds, because neither calls within a turn
    (Kalibera and Jones 2013) nor successive rounds are independent. Its tails are those of Student's t for the number
    of blocks (the expanded percentile interval of Hesterberg 2015), without which it would be too narrow for few
    blocks.

    Args:
        numerator: Times of calls of one model, by turn.
        denominator: Those of the other; rounds that only one model completed are left out.

    Returns:
        The ratio with its 95 % interval.
    """
    log_ratios = np.log([np.median(a) / np.median(b) for a, b in zip(numerator, denominator)])  # noqa: B905 (as Python 3.9 has it, on devices)
    value, n = float(np.exp(log_ratios.mean())), len(log_ratios)
    if n < MIN_ROUNDS:
        return Ratio(value, None, None)
    blocks = n // BLOCK
    starts = np.random.default_rng(_SEED).integers(0, n, (RESAMPLES, blocks))
    resampled = (starts[..., np.newaxis] + np.arange(BLOCK)) % n
    means = np.exp(log_ratios[resampled].mean(axis=(1, 2)))
    tail = _tail(blocks)
    low, high = np.quantile(means, [tail, 1 - tail])
    return Ratio(value, float(low), float(high))


def _tail(blocks: int) -> float:
    """Compute the fraction of resamples on either side of the interval."""
    quantile = math.sqrt(blocks / (blocks - 1)) * t_quantile(CONFIDENCE, blocks - 1)
    return NormalDist().cdf(-quantile)
