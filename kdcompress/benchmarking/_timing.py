"""Timing of models: warm-up until times settle, then models take turns (A B A B), so that drifts affect all alike.

A model is opened again for each of its turns and closed afterwards. The threads of other models therefore do not spin
meanwhile, and the random effects of one opening (such as the addresses of its weights) are averaged and included in the
interval, instead of being attributed to the model (Mytkowicz et al. 2009).
"""

from __future__ import annotations

import contextlib
import gc
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kdcompress.benchmarking._statistics import Times

Clock = Callable[[], int]
Call = Callable[[Any], Any]

_NS = 1e9
_ROUNDS, _ROUND_S = (30, 300), 0.1  # one round per 0.1 s of a model, within these limits
# Each turn begins with uncounted calls, which fill caches and in which the runtime plans its memory
_UNCOUNTED_CALLS, _UNCOUNTED_SHARE = 2, 0.1
_MIN_CALLS = 2
# Times have settled when the medians of three successive windows are within 5 %
_WINDOW_S, _WINDOW_CALLS, _WINDOWS, _TOLERANCE = 0.01, 3, 3, 1.05
_WARM_UP_S = 1.0


@dataclass(frozen=True)
class Plan:
    """Plan of a benchmark.

    Attributes:
        rounds: Number of rounds, in each of which every model has a turn.
        turn_s: Counted seconds of a turn.
    """

    rounds: int
    turn_s: float

    @classmethod
    def of(cls, duration_s: float) -> Plan:
        """Create a plan.

        Args:
            duration_s: Seconds to count of each model, at least.

        Returns:
            The plan.
        """
        low, high = _ROUNDS
        rounds = min(max(math.ceil(duration_s / _ROUND_S), low), high)
        return cls(rounds, duration_s / rounds)

    @property
    def summary(self) -> dict[str, Any]:
        """Entries of `settings` in `bench.json`."""
        return {
            "order": "A B A B",
            "rounds": self.rounds,
            "turn_ms": 1000 * self.turn_s,
            "opened_anew": "each turn",
            "uncounted_share_of_turn": _UNCOUNTED_SHARE,
            "uncounted_calls_at_least": _UNCOUNTED_CALLS,
            "counted_calls_at_least": _MIN_CALLS,
            "warm_up": f"until the medians of {_WINDOWS} windows lie within {100 * (_TOLERANCE - 1):.0f} %",
            "clock": "perf_counter_ns",
            "outliers_removed": False,
            "garbage_collector_during_turns": False,
        }


@dataclass
class Contender:
    """A model in a benchmark.

    Attributes:
        open: Opens the model and returns a function that runs it on one input.
        inputs: Inputs, which its calls cycle through.
        turns: Times of the counted calls in ns, by turn.
        warm_up: Result of `warm_up`.
    """

    open: Callable[[], Call]
    inputs: Sequence[Any]
    turns: list[Times] = field(default_factory=list)
    warm_up: dict[str, Any] = field(default_factory=dict)


def take_turns(
    contenders: Sequence[Contender], plan: Plan, on_round: Callable[[int], None], clock: Clock = time.perf_counter_ns
) -> None:
    """Time models in turns, and append to the `turns` of each; completed turns remain after a KeyboardInterrupt.

    Args:
        contenders: The models.
        plan: Rounds and the length of turns.
        on_round: Called with the number of completed rounds.
        clock: Returns the time in ns.
    """
    for contender in contenders:
        with _gc_disabled():
            contender.warm_up = warm_up(contender.open(), contender.inputs, clock)
    for index in range(plan.rounds):
        for contender in contenders:
            with _gc_disabled():
                contender.turns.append(_turn(contender.open(), contender.inputs, plan.turn_s * _NS, clock))
        on_round(index + 1)


def warm_up(call: Call, inputs: Sequence[Any], clock: Clock) -> dict[str, Any]:
    """Call a model until its times have settled, for at most a second.

    Args:
        call: Runs the model on one input.
        inputs: Inputs to cycle through.
        clock: Returns the time in ns.

    Returns:
        `calls`, `ms`, `settled`, and `spread`, the largest over the smallest median of the last three windows.
    """
    begin, calls, medians = clock(), 0, []
    while True:
        times = _calls(call, inputs, calls, _WINDOW_S * _NS, _WINDOW_CALLS, clock)
        calls += len(times)
        medians.append(float(np.median(times)))
        spread = max(medians[-_WINDOWS:]) / min(medians[-_WINDOWS:])
        elapsed, enough = clock() - begin, len(medians) >= _WINDOWS
        if enough and (spread <= _TOLERANCE or elapsed >= _WARM_UP_S * _NS):
            return {"calls": calls, "ms": elapsed / 1e6, "settled": spread <= _TOLERANCE, "spread": spread}


def _turn(call: Call, inputs: Sequence[Any], turn_ns: float, clock: Clock) -> Times:
    uncounted = _calls(call, inputs, 0, turn_ns * _UNCOUNTED_SHARE, _UNCOUNTED_CALLS, clock)
    return _calls(call, inputs, len(uncounted), turn_ns, _MIN_CALLS, clock)


def _calls(call: Call, inputs: Sequence[Any], first: int, min_ns: float, min_calls: int, clock: Clock) -> Times:
    """Time calls in ns until both minima are reached, starting with the input of index `first`."""
    times: list[int] = []
    n, begin, now = len(inputs), clock(), 0
    while len(times) < min_calls or now - begin < min_ns:
        value = inputs[(first + len(times)) % n]
        start = clock()
        call(value)
        now = clock()
        times.append(now - start)
    return np.asarray(times, np.int64)


@contextlib.contextmanager
def _gc_disabled() -> Iterator[None]:
    """Disable Python's garbage collector, which takes longer than a small model if TensorFlow is loaded."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
