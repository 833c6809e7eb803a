"""Targets of several arrays reach a method's loss by name, with the labels where it needs them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import tiny_models
from keras import ops
from pydantic import Field

from kdcompress.config.sections import ViewsSection
from kdcompress.config.training import TrainingSection
from kdcompress.data import Samples
from kdcompress.methods import Method
from kdcompress.models import seed_everything
from kdcompress.progress import Progress
from kdcompress.training.feed import Feed
from kdcompress.training.fitting import train_phase
from kdcompress.training.packing import Packing
from kdcompress.training.phase import Phase

EMBEDDING = (2, 3)


class Named(Method):
    """Sums of what it is given, of which each can be told from the result."""

    alpha: float = Field(0.5, ge=0, le=1)
    wants: ClassVar[tuple[str, ...]] = ("logits", "embedding")
    needs_labels: ClassVar[bool] = True

    def targets_loss(self, targets: Mapping[str, Any], outputs: Any, labels: Any = None) -> Any:
        assert targets["embedding"].shape[1:] == EMBEDDING
        picked = ops.take_along_axis(targets["logits"], ops.expand_dims(labels, -1), axis=-1)[:, 0]
        return picked + 100 * ops.sum(targets["embedding"], axis=(1, 2)) + 0 * ops.sum(outputs, axis=-1)


class Ramp(Method):
    """The distillation loss comes in epoch by epoch."""

    def weight_at(self, epoch: int) -> float:
        return min(1.0, 0.25 * epoch)

    def targets_loss(self, targets: Mapping[str, Any], outputs: Any, labels: Any = None) -> Any:
        return ops.mean((targets["logits"] - outputs) ** 2, axis=-1)


@pytest.mark.parametrize("labels", [(), (10,)])
def test_what_is_packed_comes_out_again(labels: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    packing = Packing({"logits": (10,), "embedding": EMBEDDING}, labels)
    arrays = {name: rng.normal(size=(4, *shape)).astype(np.float32) for name, shape in packing.shapes.items()}
    truth = rng.integers(0, 10, 4) if labels == () else rng.random((4, 10))
    packed = packing.pack(arrays, truth)
    assert packed.shape == (4, *packing.shape) == (4, 16 + (10 if labels else 1))
    back, labels_back = packing.unpack(packed)
    for name, array in arrays.items():
        assert np.array_equal(np.asarray(back[name]), array)
    assert np.asarray(labels_back) == pytest.approx(truth)


def test_an_array_alone_stays_as_it_is() -> None:
    packing = Packing({"logits": (4, 4, 3)})
    array = np.zeros((2, 4, 4, 3), np.float32)
    assert packing.shape == (4, 4, 3)
    assert packing.pack({"logits": array}, np.zeros(2, np.int64)) is array
    assert packing.unpack(array) == ({"logits": array}, None)


def test_a_loss_gets_named_targets_and_labels(small: Samples, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    n = len(small)
    targets = {"logits": rng.random((n, 1, 10)).astype("f4"), "embedding": rng.random((n, 1, *EMBEDDING)).astype("f4")}
    feed = Feed(small, ViewsSection(), targets, batch_size=n, seed=0, labels_with_targets=True)
    phase = Phase("student", "k", Named(), TrainingSection(epochs=1, batch_size=n), tmp_path / "checkpoint.npz")
    seed_everything(0)
    state = train_phase(phase, tiny_models.plain(), feed, small, Progress(), lambda rows: None)
    picked = targets["logits"][np.arange(n), 0, small.labels]
    by_hand = picked + 100 * targets["embedding"].sum(axis=(1, 2, 3))
    assert state.rows[0]["targets_loss"] == pytest.approx(by_hand.mean(), rel=1e-5)


def test_a_weight_may_change_from_epoch_to_epoch_and_the_training_goes_on_with_it(
    small: Samples, tmp_path: Path
) -> None:
    targets = {"logits": np.random.default_rng(0).normal(size=(len(small), 1, 10)).astype("f4")}
    feed = Feed(small, ViewsSection(), targets, batch_size=50, seed=0)

    def trained(folder: str, *epochs: int) -> tuple[list[dict[str, float]], list[Any]]:
        seed_everything(0)
        model = tiny_models.plain()
        for stop in epochs:
            phase = Phase("student", "k", Ramp(), TrainingSection(epochs=6, batch_size=50), tmp_path / folder / "c.npz")
            if stop < 6:
                with pytest.raises(KeyboardInterrupt):
                    train_phase(phase, model, feed, small, Progress(), _stop_at(stop))
            else:
                state = train_phase(phase, model, feed, small, Progress(), lambda rows: None)
        return state.rows, [np.asarray(value) for value in model.get_weights()]

    rows, weights = trained("whole", 6)
    for epoch, row in enumerate(rows):
        w = min(1.0, 0.25 * epoch)
        assert row["loss"] == pytest.approx((1 - w) * row["label_loss"] + w * row["targets_loss"], rel=1e-4)
    again, same = trained("broken", 2, 6)
    assert [row["loss"] for row in again] == [row["loss"] for row in rows]
    assert all(np.array_equal(one, other) for one, other in zip(weights, same, strict=True))


def _stop_at(epoch: int) -> Any:
    def on_rows(rows: list[dict[str, float]]) -> None:
        if len(rows) == epoch:
            raise KeyboardInterrupt

    return on_rows
