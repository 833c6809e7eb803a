"""What times say: percentiles of calls, and ratios of two models with an interval over rounds of turns."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.95
RESAMPLES = 5000
BLOCK = 3  # rounds
# Two blocks; of fewer rounds a bootstrap knows too little of their spread
LEAST_ROUNDS = 6
_SEED = 0
_NS_PER_MS = 1e6
Times = NDArray[np.int64]


@dataclass(frozen=True)
class Ratio:
    """A ratio of times with its 95 % interval; the interval is None where there are too few rounds for one."""

    value: float
    low: float | None
    high: float | None

    @property
    def distinguishable(self) -> bool:
        """Whether the interval leaves 1 out."""
        return self.low is not None and self.high is not None and not self.low <= 1 <= self.high


def summarise(turns: Sequence[Times], batch_size: int) -> dict[str, Any]:
    """n, p50, p90, p99, mean and max in ms, images a second, and the 0th to 100th percentile, of every call counted.

    `turns` hold the times of calls in ns. Percentiles interpolate between order statistics (Hyndman and Fan 1996,
    definition 7). Nothing is left out as an outlier.
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


def ratio(above: Sequence[Times], below: Sequence[Times]) -> Ratio:
    """How many times as long a call takes in the turns of `above` as in those of `below`, round by round.

    The estimate is the geometric mean over the rounds of (median time of the one's turn / median time of the other's
    turn in the same round); a drift of the machine that is slower than a round cancels in it. A mean, because shared
    machines have a fast and a slow state, and a median would jump from one to the other as their shares change; of
    ratios the geometric one, because it is the same whichever of the two is divided by the other (Fleming and Wallace
    1986). The interval is the percentile interval of a circular block bootstrap (Politis and Romano 1992): blocks of
    3 successive rounds are drawn, because neither calls within a turn (Kalibera and Jones 2013) nor rounds that follow
    each other are independent. Its tails are those of Student's t for that many blocks (the expanded percentile
    interval of Hesterberg 2015), without which few blocks make too narrow an interval. Rounds that only one of the two
    finished are left out.
    """
    rounds = np.log([np.median(a) / np.median(b) for a, b in zip(above, below, strict=False)])
    value, n = float(np.exp(rounds.mean())), len(rounds)
    if n < LEAST_ROUNDS:
        return Ratio(value, None, None)
    blocks = n // BLOCK
    starts = np.random.default_rng(_SEED).integers(0, n, (RESAMPLES, blocks))
    chosen = (starts[..., np.newaxis] + np.arange(BLOCK)) % n
    means = np.exp(rounds[chosen].mean(axis=(1, 2)))
    tail = _tail(blocks)
    low, high = np.quantile(means, [tail, 1 - tail])
    return Ratio(value, float(low), float(high))


def _tail(blocks: int) -> float:
    """The part of the resamples that lies on either side of the interval."""
    from scipy.stats import norm, t

    reach = math.sqrt(blocks / (blocks - 1)) * t.ppf((1 + CONFIDENCE) / 2, blocks - 1)
    return float(norm.cdf(-reach))
