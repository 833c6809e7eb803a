"""The order of turns and the rules of warm-up, with models whose times are scripted and a clock that obeys them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain, repeat
from typing import Any

import numpy as np
import pytest

from kdcompress.benchmarking._statistics import summarise
from kdcompress.benchmarking._timing import Contender, Plan, take_turns, warm_up

MS = 1_000_000


class Clock:
    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        return self.now


class Model:
    """Notes its calls in `diary`; the next call takes the next of `times`, in ms, which begin anew when opened anew."""

    def __init__(self, name: str, clock: Clock, diary: list[str], times: Callable[[], Iterator[float]]) -> None:
        self.name, self.clock, self.diary, self.times = name, clock, diary, times
        self.given: list[Any] = []

    def open(self) -> Callable[[Any], None]:
        times = self.times()
        self.diary.append(f"open {self.name}")

        def call(given: Any) -> None:
            self.diary.append(self.name)
            self.given.append(given)
            self.clock.now += round(next(times) * MS)

        return call


def steady(ms: float) -> Callable[[], Iterator[float]]:
    return lambda: repeat(ms)


def turns_in(diary: list[str]) -> str:
    return "".join(entry[-1] for entry in diary if entry.startswith("open"))


def test_models_take_turns_a_b_a_b_and_each_turn_opens_anew() -> None:
    clock, diary = Clock(), list[str]()
    a, b = (Contender(Model(name, clock, diary, steady(ms)).open, [0]) for name, ms in (("A", 2), ("B", 5)))
    rounds: list[int] = []
    take_turns([a, b], Plan(rounds=3, turn_s=0.02), rounds.append, clock)
    assert turns_in(diary) == "AB" + "ABABAB"  # warm-up, then three rounds
    assert rounds == [1, 2, 3]
    assert [len(turn) for turn in a.turns] == [10] * 3  # 20 ms of 2 ms each
    assert [len(turn) for turn in b.turns] == [4] * 3
    assert set(np.concatenate(b.turns)) == {5 * MS}


def test_the_first_calls_of_a_turn_are_not_counted_and_all_others_are() -> None:
    clock, diary = Clock(), list[str]()
    model = Model("A", clock, diary, lambda: chain([90, 40], repeat(1, 4), [70], repeat(1)))
    contender = Contender(model.open, [0])
    take_turns([contender], Plan(rounds=2, turn_s=0.05), lambda done: None, clock)
    found = summarise(contender.turns, 1)
    assert found["max_ms"] == 70  # the outlier counts, the two calls of planning memory do not
    assert [list(turn) for turn in contender.turns] == [[MS] * 4 + [70 * MS]] * 2


def test_a_slow_model_is_called_twice_a_turn_at_least() -> None:
    clock = Clock()
    contender = Contender(Model("A", clock, [], steady(900)).open, [0])
    take_turns([contender], Plan(rounds=2, turn_s=0.03), lambda done: None, clock)
    assert [len(turn) for turn in contender.turns] == [2, 2]


def test_inputs_follow_each_other_again_and_again() -> None:
    clock = Clock()
    model = Model("A", clock, [], steady(10))
    take_turns([Contender(model.open, ["x", "y", "z"])], Plan(rounds=1, turn_s=0.04), lambda done: None, clock)
    assert model.given[-6:] == ["x", "y", "z", "x", "y", "z"]  # two uncounted, four counted


def test_warm_up_ends_when_three_windows_agree() -> None:
    clock = Clock()
    model = Model("A", clock, [], lambda: chain([40] * 3, [20] * 3, [10.4] * 3, repeat(10)))
    found = warm_up(model.open(), [0], clock)
    # windows of 3 calls: 40, 20, 10.4, 10, 10; the last three lie within 5 %
    assert found == {"calls": 15, "ms": pytest.approx(271.2), "settled": True, "spread": pytest.approx(1.04)}


def test_warm_up_gives_up_after_a_second_and_says_so() -> None:
    clock = Clock()
    growing = (10 * 1.1**index for index in range(10_000))
    found = warm_up(Model("A", clock, [], lambda: growing).open(), [0], clock)
    assert not found["settled"]
    assert found["ms"] >= 1000
    assert found["spread"] > 1.05


def test_an_interrupt_keeps_what_was_finished() -> None:
    clock = Clock()
    calls = iter(range(10_000))

    def interrupted() -> Iterator[float]:
        while True:
            if next(calls) == 30:
                raise KeyboardInterrupt
            yield 10

    a, b = (
        Contender(Model("A", clock, [], steady(10)).open, [0]),
        Contender(Model("B", clock, [], interrupted).open, [0]),
    )
    with pytest.raises(KeyboardInterrupt):
        take_turns([a, b], Plan(rounds=30, turn_s=0.05), lambda done: None, clock)
    # B: 9 calls of warm-up, then 7 a turn (2 uncounted): the 31st falls in its fourth turn
    assert (len(a.turns), len(b.turns)) == (4, 3)


@pytest.mark.parametrize(("duration", "rounds"), [(0.03, 30), (1, 30), (10, 100), (600, 300)])
def test_a_plan_counts_the_duration_it_was_asked_for(duration: float, rounds: int) -> None:
    plan = Plan.of(duration)
    assert plan.rounds == rounds
    assert plan.rounds * plan.turn_s == pytest.approx(duration)
