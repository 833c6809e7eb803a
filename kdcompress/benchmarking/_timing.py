"""The clock at work: warm-up until times settle, then models take turns, A B A B, so that a drift meets all of them.

A model is opened anew for each of its turns and closed after it. So no other model's threads spin meanwhile, and what
chance gives one opening of a model (where its weights lie in memory) is averaged over, and seen by the interval, which
otherwise takes it for a property of the model (Mytkowicz et al. 2009).
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
# A round for every 0.1 s of a model, within these
_ROUNDS, _ROUND_S = (30, 300), 0.1
# Each turn begins with uncounted calls: caches, and the runtime's plan of memory, which it makes in its first calls
_UNCOUNTED_CALLS, _UNCOUNTED_SHARE = 2, 0.1
_LEAST_CALLS = 2
# Times have settled when the medians of three successive windows lie within 5 %
_WINDOW_S, _WINDOW_CALLS, _WINDOWS, _WITHIN = 0.01, 3, 3, 1.05
_WARM_UP_S = 1.0


@dataclass(frozen=True)
class Plan:
    """How many rounds of turns, and how long a turn is counted, in seconds."""

    rounds: int
    turn_s: float

    @classmethod
    def of(cls, duration_s: float) -> Plan:
        """The plan that counts at least `duration_s` of each model."""
        fewest, most = _ROUNDS
        rounds = min(max(math.ceil(duration_s / _ROUND_S), fewest), most)
        return cls(rounds, duration_s / rounds)

    @property
    def facts(self) -> dict[str, Any]:
        """What a result records."""
        return {
            "order": "A B A B",
            "rounds": self.rounds,
            "turn_ms": 1000 * self.turn_s,
            "opened_anew": "each turn",
            "uncounted_share_of_turn": _UNCOUNTED_SHARE,
            "uncounted_calls_at_least": _UNCOUNTED_CALLS,
            "counted_calls_at_least": _LEAST_CALLS,
            "warm_up": f"until the medians of {_WINDOWS} windows lie within {100 * (_WITHIN - 1):.0f} %",
            "clock": "perf_counter_ns",
            "outliers_removed": False,
            "garbage_collector_during_turns": False,
        }


@dataclass
class Contender:
    """A model that takes part: how it is opened, and the inputs that its calls go through in turn, again and again."""

    open: Callable[[], Call]
    inputs: Sequence[Any]
    turns: list[Times] = field(default_factory=list)
    warm_up: dict[str, Any] = field(default_factory=dict)


def take_turns(
    contenders: Sequence[Contender], plan: Plan, on_round: Callable[[int], None], clock: Clock = time.perf_counter_ns
) -> None:
    """Fill the `turns` of each contender, round by round; a KeyboardInterrupt leaves what was finished in them."""
    for contender in contenders:
        with _undisturbed():
            contender.warm_up = warm_up(contender.open(), contender.inputs, clock)
    for index in range(plan.rounds):
        for contender in contenders:
            with _undisturbed():
                contender.turns.append(_turn(contender.open(), contender.inputs, plan.turn_s * _NS, clock))
        on_round(index + 1)


def warm_up(call: Call, inputs: Sequence[Any], clock: Clock) -> dict[str, Any]:
    """Call until times have settled, or for a second: {"calls", "ms", "settled", "spread"}.

    `spread` is the largest over the smallest median of the last three windows.
    """
    begin, calls, medians = clock(), 0, []
    while True:
        times = _calls(call, inputs, calls, _WINDOW_S * _NS, _WINDOW_CALLS, clock)
        calls += len(times)
        medians.append(float(np.median(times)))
        spread = max(medians[-_WINDOWS:]) / min(medians[-_WINDOWS:])
        elapsed, enough = clock() - begin, len(medians) >= _WINDOWS
        if enough and (spread <= _WITHIN or elapsed >= _WARM_UP_S * _NS):
            return {"calls": calls, "ms": elapsed / 1e6, "settled": spread <= _WITHIN, "spread": spread}


def _turn(call: Call, inputs: Sequence[Any], turn_ns: float, clock: Clock) -> Times:
    uncounted = _calls(call, inputs, 0, turn_ns * _UNCOUNTED_SHARE, _UNCOUNTED_CALLS, clock)
    return _calls(call, inputs, len(uncounted), turn_ns, _LEAST_CALLS, clock)


def _calls(call: Call, inputs: Sequence[Any], first: int, least_ns: float, least_calls: int, clock: Clock) -> Times:
    """The times of calls in ns, until both least values are reached; inputs from the one numbered `first` on."""
    times: list[int] = []
    n, begin, now = len(inputs), clock(), 0
    while len(times) < least_calls or now - begin < least_ns:
        given = inputs[(first + len(times)) % n]
        start = clock()
        call(given)
        now = clock()
        times.append(now - start)
    return np.asarray(times, np.int64)


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Without Python's garbage collector, which with TensorFlow in the process takes longer than a small model."""
    on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if on:
            gc.enable()
