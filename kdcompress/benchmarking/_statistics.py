"""What times say: percentiles of calls, and ratios of two models with an interval over rounds of turns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.95
RESAMPLES = 5000
# Of fewer rounds a bootstrap knows too little of their spread
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
    1986). The interval is the bootstrap's percentile interval over whole rounds (Efron and Tibshirani 1993, chapter
    13), because calls within a turn are not independent (Kalibera and Jones 2013). Rounds that only one of the two
    finished are left out.
    """
    rounds = np.log([np.median(a) / np.median(b) for a, b in zip(above, below, strict=False)])
    value = float(np.exp(rounds.mean()))
    if len(rounds) < LEAST_ROUNDS:
        return Ratio(value, None, None)
    chosen = np.random.default_rng(_SEED).integers(0, len(rounds), (RESAMPLES, len(rounds)))
    means = np.exp(rounds[chosen].mean(axis=1))
    low, high = np.quantile(means, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Ratio(value, float(low), float(high))
