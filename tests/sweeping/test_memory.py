"""What a trial leaves behind when it has ended: nothing that grows with the number of trials."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import pytest
import tensorflow as tf
from keras import layers

import kdcompress
from kdcompress.models import Forward
from kdcompress.progress import Progress
from kdcompress.sweeping._memory import frozen_heap
from kdcompress.training.feed import Feed

TINY: dict[str, Any] = {
    "teacher.model": "tiny_models:teacher",
    "teacher.check": False,
    "student.model": "tiny_models:student",
    "data.source": "embedded",
    "training.batch_size": 50,
}


def alive() -> Counter[str]:
    """How many models, optimizers, graphs, functions and feeds there are."""
    gc.collect()
    kinds = (keras.Model, keras.optimizers.Optimizer, tf.Graph, tf.types.experimental.ConcreteFunction, Feed, Forward)
    # By its type, for isinstance asks proxies what they stand for, and that may be gone
    return Counter(kind.__name__ for one in gc.get_objects() for kind in kinds if issubclass(type(one), kind))


class _Counts(Progress):
    """What is alive after each trial."""

    def __init__(self) -> None:
        self.found: list[Counter[str]] = []

    def note(self, text: str) -> None:
        """A trial's line names its seed."""
        if ", seed " in text:
            self.found.append(alive())


def test_nothing_of_former_trials_is_alive(tmp_path: Path) -> None:
    counts = _Counts()
    kdcompress.sweep(
        "mnist-demo", temperatures=[1, 2, 4], seeds=1, epochs=1, limit=200, out=tmp_path / "sweep", settings=TINY,
        progress=counts,
    )  # fmt: skip
    assert len(counts.found) == 3
    assert counts.found[1] == counts.found[2]


def test_a_model_that_has_answered_is_freed_with_its_graph() -> None:
    """Keras's silu has a gradient of its own, which TensorFlow would register for good."""
    images = tf.zeros((2, 4, 4, 1)).numpy()
    model = keras.Sequential([keras.Input((4, 4, 1)), layers.Flatten(), layers.Dense(3, activation="silu")])
    before = alive()
    for _ in range(2):
        Forward(model)(images)
    assert alive() == before


@pytest.fixture
def thawed() -> Iterator[None]:
    """A process whose objects are all collected, which that of the tests is not."""
    gc.unfreeze()
    yield
    gc.freeze()


@pytest.mark.usefixtures("thawed")
def test_what_a_sweep_finds_is_not_collected_until_it_ends() -> None:
    before = len(gc.get_objects())
    with frozen_heap():
        assert len(gc.get_objects()) < before / 10
    assert gc.get_freeze_count() == 0
    assert len(gc.get_objects()) > before / 2


@pytest.mark.usefixtures("thawed")
def test_objects_that_an_application_froze_stay_so() -> None:
    gc.freeze()
    with frozen_heap():
        pass
    assert gc.get_freeze_count() > 0
