"""Training with a projector: it is resumed with the student, and stays out of the file or becomes its head."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tiny_models
from conftest import Recorder

from kdcompress.config.sections import ViewsSection
from kdcompress.config.training import TrainingSection
from kdcompress.data import Samples
from kdcompress.errors import ModelError
from kdcompress.methods import make_method
from kdcompress.models import Forward, load_saved_model, save_model, seed_everything
from kdcompress.progress import Progress
from kdcompress.teachers import Classifier
from kdcompress.training.checkpoints import TrainingState, get_values
from kdcompress.training.feed import Feed
from kdcompress.training.fitting import train_phase, trained_model
from kdcompress.training.phase import Phase
from kdcompress.training.projection import Space

WIDTH = 6
METHODS = ("embedding", "srrl", "simkd")
SHAPE = (28, 28, 1)


def random(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 1, shape).astype(np.float32)


def space() -> Space:
    return Space(WIDTH, Classifier(random(WIDTH, 10), random(10, seed=1)))


class _StopAtError(Exception):
    pass


class StopAt(Progress):
    """Breaks off after an epoch."""

    def __init__(self, epoch: int) -> None:
        super().__init__()
        self._epoch = epoch

    def epoch(self, phase: str, epoch: int, total: int, row: Any) -> None:
        if epoch == self._epoch:
            raise _StopAtError


def train(
    small: Samples, folder: Path, method: dict[str, Any], progress: Progress | None = None, **training: Any
) -> tuple[Phase, Any, TrainingState]:
    seed_everything(0)
    model = tiny_models.student()
    made, n = make_method(method), len(small)
    targets = {"logits": random(n, 1, 10, seed=2), "embedding": random(n, 1, WIDTH, seed=3).astype(np.float16)}
    feed = Feed(small, ViewsSection(), {name: targets[name] for name in made.wants}, batch_size=50, seed=0)
    section = TrainingSection.model_validate({"epochs": 4, "batch_size": 50, **training})
    phase = Phase("student", "k", made, section, folder / "c.npz", space=space(), seed=7)
    state = train_phase(phase, model, feed, small.take(np.arange(60)), progress or Progress(), lambda rows: None)
    return phase, model, state


@pytest.mark.parametrize("name", METHODS)
def test_a_broken_training_ends_with_the_weights_of_an_unbroken_one(name: str, small: Samples, tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    *_, whole = train(small, tmp_path / "one", {"name": name})
    with pytest.raises(_StopAtError):
        train(small, tmp_path / "two", {"name": name}, StopAt(2))
    *_, resumed = train(small, tmp_path / "two", {"name": name})
    assert len(whole.variables) > len(get_values(tiny_models.student().variables)), "the projector is in the checkpoint"
    for kind in ("variables", "optimizer", "best"):
        for one, other in zip(getattr(whole, kind), getattr(resumed, kind), strict=True):
            assert np.array_equal(one, other)


@pytest.mark.parametrize("name", ["embedding", "srrl"])
def test_the_projector_is_not_in_the_student(name: str, small: Samples, tmp_path: Path) -> None:
    phase, model, state = train(small, tmp_path, {"name": name})
    assert trained_model(phase, model, state, SHAPE) is model
    assert model.count_params() == tiny_models.student().count_params()


def test_simkd_ends_in_the_projector_and_the_teacher_s_own_layer(small: Samples, tmp_path: Path) -> None:
    phase, model, state = train(small, tmp_path, {"name": "simkd"})
    final = trained_model(phase, model, state, SHAPE)
    save_model(final, tmp_path / "student.keras")
    images = small.images[:20]
    again = load_saved_model(tmp_path / "student.keras")
    logits = Forward(again)(images)
    assert logits == pytest.approx(Forward(final)(images), abs=1e-5)
    projected = Forward(keras.Model(again.inputs, again.layers[-1].input))(images)
    last = space().classifier
    assert last is not None
    assert logits == pytest.approx(projected @ last.kernel + last.bias, abs=1e-4)
    assert "dense_1" not in [layer.name for layer in again.layers], "the student's own head is gone"


def test_simkd_learns_the_embedding(small: Samples, tmp_path: Path) -> None:
    """Targets that are a function of the pixels are learned: the distance falls to a part of what it was."""
    weights = random(28 * 28, WIDTH) / 28
    embedding = (small.images.reshape(len(small), -1) / 255 @ weights).astype(np.float16)[:, None]
    feed = Feed(small, ViewsSection(), {"embedding": embedding}, batch_size=50, seed=0)
    seed_everything(0)
    section = TrainingSection(epochs=12, batch_size=50, learning_rate=1e-2)
    phase = Phase("student", "k", make_method({"name": "simkd"}), section, tmp_path / "c.npz", space=space())
    state = train_phase(phase, tiny_models.plain_mlp(), feed, small, Progress(), lambda rows: None)
    losses = [row["targets_loss"] for row in state.rows]
    assert losses[-1] < losses[0] / 4


def test_labels_first_come_in_with_the_head(small: Samples, tmp_path: Path, recorder: Recorder) -> None:
    stages = [{"epochs": 2, "trainable": "all", "learning_rate": 1e-3}, {"epochs": 2, "trainable": "head"}]
    method = {"name": "embedding", "label_free_epochs": 2, "alpha": 0.0}
    before = [np.array(value) for value in tiny_models.student().get_weights()]
    *_, state = train(small, tmp_path, method, recorder, stages=stages)
    rows = state.rows
    assert rows[1]["loss"] == pytest.approx(rows[1]["targets_loss"], rel=1e-5)
    assert rows[3]["loss"] == pytest.approx(rows[3]["label_loss"], rel=1e-5)
    assert rows[3]["val_loss"] < rows[1]["val_loss"]
    assert len(before) < len(state.best)


def test_where_the_teacher_s_layer_is_needed_and_not_known(small: Samples, tmp_path: Path) -> None:
    phase = Phase("student", "k", make_method({"name": "simkd"}), TrainingSection(epochs=1), tmp_path / "c.npz")
    with pytest.raises(ModelError, match="applies the teacher's last layer to the student, and it is known only where"):
        Phase(**{**vars(phase), "space": Space(WIDTH)}).make_projection(tiny_models.plain_mlp())


def test_a_student_without_an_embedding(tmp_path: Path) -> None:
    layers = keras.layers
    student = keras.Sequential([keras.Input(SHAPE), layers.Conv2D(10, 28), layers.Flatten()])
    method = make_method({"name": "srrl"})
    phase = Phase("student", "k", method, TrainingSection(epochs=1), tmp_path / "c.npz", space=space())
    with pytest.raises(ModelError, match=r"student: the last layer .* is a Conv2D.*such as hinton and dist, take any"):
        phase.make_projection(student)
