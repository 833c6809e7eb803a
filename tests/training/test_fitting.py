from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tiny_models
from conftest import Recorder, few_digits

from kdcompress.config.sections import ViewsSection
from kdcompress.config.training import TrainingSection
from kdcompress.data import Dataset, Samples
from kdcompress.errors import RecipeError, RunError, TrainingError
from kdcompress.methods import make_method
from kdcompress.models import seed_everything
from kdcompress.progress import Progress
from kdcompress.training.checkpoints import TrainingState, get_values
from kdcompress.training.feed import Feed
from kdcompress.training.fitting import train_phase
from kdcompress.training.phase import Phase
from kdcompress.training.supervision import compile_student

NONE = {"name": "none"}
EPOCHS = 4


def hinton(**settings: Any) -> dict[str, Any]:
    return {"name": "hinton", **settings}


def fake_targets(n: int) -> np.ndarray:
    return np.random.default_rng(5).normal(0, 3, (n, 1, 10)).astype(np.float32)


def train(
    small: Samples,
    path: Path,
    method: dict[str, Any],
    *,
    progress: Progress | None = None,
    epochs: int = EPOCHS,
    learning_rate: float = 1e-3,
    key: str = "k",
    model_seed: int = 0,
    build: Any = tiny_models.student,
) -> tuple[Any, TrainingState]:
    seed_everything(model_seed)
    model = build()
    made = make_method(method)
    targets = {"logits": fake_targets(len(small))} if made.needs_targets else None
    feed = Feed(small, ViewsSection(), targets, batch_size=50, seed=0)
    training = TrainingSection(epochs=epochs, batch_size=50, learning_rate=learning_rate)
    phase = Phase("student", key, made, training, path / "c.npz")
    state = train_phase(phase, model, feed, small.take(np.arange(60)), progress or Progress(), lambda rows: None)
    return model, state


def same(one: Any, other: Any) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(get_values(one.weights), get_values(other.weights), strict=True))


def test_the_loss_is_the_weighted_sum_of_its_named_parts(small: Samples, tmp_path: Path) -> None:
    _, state = train(small, tmp_path, hinton(alpha=0.3, temperature=2.0), epochs=2)
    for row in state.rows:
        assert row["loss"] == pytest.approx(0.7 * row["label_loss"] + 0.3 * row["targets_loss"], rel=1e-4)


def test_a_step_is_the_step_of_a_loop_written_by_hand(small: Samples) -> None:
    import tensorflow as tf

    seed_everything(0)
    ours, by_hand = tiny_models.plain(), tiny_models.plain()
    by_hand.set_weights(ours.get_weights())
    targets = fake_targets(len(small))[:, 0]
    method = make_method(hinton(temperature=3.0, alpha=0.4))
    feed = Feed(small, ViewsSection(), {"logits": fake_targets(len(small))}, batch_size=50, seed=0)
    supervised = compile_student(ours, method, 1e-2, feed)
    images = small.images[:50].astype(np.float32)
    supervised.train_on_batch(images, {"label": small.labels[:50], "targets": targets[:50]})

    optimizer = keras.optimizers.Adam(1e-2)
    with tf.GradientTape() as tape:
        z = by_hand(images, training=True)
        hard = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(small.labels[:50], z))
        p = tf.nn.softmax(targets[:50] / 3.0)
        soft = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(p, z / 3.0)) * 9.0
        loss = 0.4 * soft + 0.6 * hard
    optimizer.apply_gradients(
        zip(tape.gradient(loss, by_hand.trainable_weights), by_hand.trainable_weights, strict=True)
    )
    for a, b in zip(ours.get_weights(), by_hand.get_weights(), strict=True):
        assert a == pytest.approx(b, abs=2e-5)


def test_alpha_0_is_no_distillation_exactly(small: Samples, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    distilled, _ = train(small, tmp_path / "a", hinton(alpha=0.0))
    plain, _ = train(small, tmp_path, NONE)
    assert same(distilled, plain)


def test_alpha_1_never_looks_at_labels(small: Samples, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    _, one = train(small, tmp_path, hinton(alpha=1.0))
    permuted = Samples(small.images, np.random.default_rng(1).permutation(small.labels), small.ids)
    _, other = train(permuted, tmp_path / "a", hinton(alpha=1.0))
    # The last weights: which epoch is best is decided on validation labels, and those were permuted too.
    assert all(np.array_equal(a, b) for a, b in zip(one.variables, other.variables, strict=True))
    assert one.rows[-1]["label_loss"] != other.rows[-1]["label_loss"]


class BreakOff(Progress):
    def __init__(self, at: int) -> None:
        self.at = at

    def step(self, done: int, parts: Any) -> None:
        if done == self.at:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def unbroken(digits: Dataset, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, TrainingState]:
    """What a training comes to that nothing stops; `small` are its images."""
    return train(few_digits(digits), tmp_path_factory.mktemp("whole"), hinton())


@pytest.mark.parametrize("at", [1, 6, 7, 15, 23])
def test_going_on_equals_never_having_stopped(
    small: Samples, unbroken: tuple[Any, TrainingState], tmp_path: Path, at: int
) -> None:
    whole, whole_state = unbroken
    with pytest.raises(KeyboardInterrupt):
        train(small, tmp_path, hinton(), progress=BreakOff(at))
    recorder = Recorder()
    again, state = train(small, tmp_path, hinton(), progress=recorder)
    if at > 6:
        assert f"going on after epoch {(at - 1) // 6} of 4" in recorder.notes[0]
    assert same(whole, again)
    for a, b in zip(whole_state.variables + whole_state.optimizer, state.variables + state.optimizer, strict=True):
        assert np.array_equal(a, b)
    figures = [[{k: v for k, v in row.items() if k != "seconds"} for row in s.rows] for s in (whole_state, state)]
    assert figures[0] == figures[1]


def test_a_finished_training_is_not_done_again(small: Samples, tmp_path: Path, recorder: Recorder) -> None:
    first, _ = train(small, tmp_path, NONE)
    again, _ = train(small, tmp_path, NONE, progress=recorder)
    assert same(first, again)
    assert recorder.phases == []


def test_the_best_epoch_on_validation_is_kept(small: Samples, tmp_path: Path) -> None:
    model, state = train(small, tmp_path, NONE, learning_rate=0.3, epochs=6)
    best = max(state.rows, key=lambda row: (row["val_accuracy"], -row["val_loss"]))
    assert state.best_epoch == best["epoch"]
    logits = np.asarray(model(small.images[:60].astype(np.float32), training=False))
    assert np.mean(logits.argmax(-1) == small.labels[:60]) == pytest.approx(best["val_accuracy"])


def test_divergence_stops_at_the_step_and_leaves_no_checkpoint_of_it(small: Samples, tmp_path: Path) -> None:
    def explosive() -> Any:
        growing = [keras.layers.Rescaling(1e30), keras.layers.Dense(10), keras.layers.Rescaling(1e30)]
        return keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Flatten(), *growing])

    with pytest.raises(
        TrainingError, match=r"training the student diverged: the loss is (nan|inf) at step \d+ of epoch 1"
    ):
        train(small, tmp_path, NONE, build=explosive)
    assert not (tmp_path / "c.npz").exists()


def test_a_checkpoint_of_another_training_or_a_damaged_one_is_refused(small: Samples, tmp_path: Path) -> None:
    train(small, tmp_path, NONE, epochs=1)
    with pytest.raises(RunError, match="belongs to a training from other data"):
        train(small, tmp_path, NONE, key="other")
    path = tmp_path / "c.npz"
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(RunError, match=r"c\.npz .*damaged"):
        train(small, tmp_path, NONE)


def test_figures_of_an_evaluation_by_hand() -> None:
    from kdcompress.metrics.classification import accuracy
    from kdcompress.metrics.softmax import cross_entropy

    logits = np.log(np.array([[0.5, 0.25, 0.25], [0.1, 0.8, 0.1]], np.float32))
    labels = np.array([0, 2])
    assert accuracy(logits, labels) == 0.5
    assert cross_entropy(logits, labels) == pytest.approx((np.log(2) + np.log(10)) / 2, rel=1e-6)


def test_an_image_without_label_has_the_teacher_s_answer_alone(small: Samples) -> None:
    """alpha = 0.4: (1 - alpha) * label + alpha * targets for those with a label, and targets alone for the others."""
    from kdcompress.data import UNLABELLED
    from kdcompress.training.feed import Feed

    labels = small.labels[:40].copy()
    labels[::4] = UNLABELLED
    samples = Samples(small.images[:40], labels, small.ids[:40])
    method = make_method(hinton(temperature=3.0, alpha=0.4))
    targets = np.random.default_rng(0).normal(size=(40, 1, 10)).astype(np.float32)
    weight = 1 / method.distillation_weight
    feed = Feed(samples, ViewsSection(), {"logits": targets}, 40, 0, unlabelled_weight=lambda epoch: weight)
    image, truth, weights = next(iter(feed.dataset(0, 1)))
    (index, _), *_ = feed.batch_indices(0)
    student = tiny_models.plain()
    supervised = compile_student(student, method, 1e-3, feed)
    found = supervised.test_on_batch(image, truth, weights, return_dict=True)

    z = np.asarray(student(samples.images[index].astype(np.float32)), np.float64)
    log_p = z - np.log(np.exp(z).sum(-1, keepdims=True))
    known = labels[index] != UNLABELLED
    hard = np.where(known, -log_p[np.arange(40), np.maximum(labels[index], 0)], 0)
    t, s = targets[index, 0] / 3.0, z / 3.0
    t, s = t - np.log(np.exp(t).sum(-1, keepdims=True)), s - np.log(np.exp(s).sum(-1, keepdims=True))
    soft = 9.0 * (np.exp(t) * (t - s)).sum(-1)
    by_hand = np.where(known, 0.6 * hard + 0.4 * soft, soft).mean()
    assert found["loss"] == pytest.approx(by_hand, rel=1e-4)
    right = z.argmax(-1)[known] == labels[index][known]
    assert found["label_accuracy"] == pytest.approx(right.mean(), abs=1e-6)


def test_soft_labels_and_class_weights_are_in_the_loss_as_worked_out_by_hand(small: Samples, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    soft_labels = rng.dirichlet(np.ones(10), len(small)).astype(np.float32)
    samples = Samples(small.images, small.labels, small.ids, soft_labels=soft_labels)
    targets = fake_targets(len(small))
    feed = Feed(samples, ViewsSection(), {"logits": targets}, batch_size=len(small), seed=0, weigh=True)
    seed_everything(0)
    model = tiny_models.plain()
    z = np.asarray(model(small.images.astype(np.float32)), np.float64)
    supervised = compile_student(model, make_method(hinton(temperature=2.0, alpha=0.4)), 0.0, feed)
    images, truth, weights = next(feed.dataset(0, 1).as_numpy_iterator())
    got = supervised.evaluate(images, truth, sample_weight=weights, batch_size=len(small), return_dict=True, verbose=0)

    def log_softmax(values: Any) -> Any:
        return values - np.log(np.exp(values).sum(-1, keepdims=True))

    share = np.bincount(small.labels, minlength=10) / len(small)
    by_class = (1 / (10 * share))[small.labels]
    hard = np.mean(by_class * -(soft_labels * log_softmax(z)).sum(-1))
    teacher, student = log_softmax(targets[:, 0] / 2.0), log_softmax(z / 2.0)
    soft = 4.0 * np.mean(by_class * (np.exp(teacher) * (teacher - student)).sum(-1))
    assert got["loss"] == pytest.approx(0.6 * hard + 0.4 * soft, rel=1e-4)


def test_the_epoch_is_chosen_by_what_was_asked(small: Samples, tmp_path: Path) -> None:
    from kdcompress.training.callbacks import Validator

    rows = [
        {"val_accuracy": 0.9, "val_auc": 0.8, "val_loss": 0.5},
        {"val_accuracy": 0.7, "val_auc": 0.9, "val_loss": 0.6},
        {"val_accuracy": 0.8, "val_auc": 0.9, "val_loss": 0.4},
        {"val_accuracy": 0.6, "val_auc": 0.7, "val_loss": 0.3},
    ]
    best = {by: Validator(lambda: np.zeros((1, 2), np.float32), small.labels, by).best(rows) for by in
            ("accuracy", "auc", "loss")}  # fmt: skip
    assert [rows.index(best[by]) for by in ("accuracy", "auc", "loss")] == [0, 2, 3]
    late = Validator(lambda: np.zeros((1, 2), np.float32), small.labels, first_epoch=2)
    assert [rows.index(late.best(rows[:n])) for n in (1, 2, 3, 4)] == [0, 1, 2, 2]


@pytest.mark.parametrize("where", ["training", "teacher.training"])
def test_auc_is_for_two_classes(where: str, tmp_path: Path) -> None:
    import kdcompress

    with pytest.raises(RecipeError, match=f"{where}.choose_by = 'auc' is for two classes, the data have 10"):
        kdcompress.distill("mnist-demo", out=tmp_path / "run", settings={f"{where}.choose_by": "auc"})
    assert not (tmp_path / "run").exists()


def test_balanced_batches_need_labels(tmp_path: Path, small: Samples) -> None:
    import kdcompress

    settings = {"training.batches": "balanced", "unlabelled.dir": str(tmp_path)}
    with pytest.raises(RecipeError, match="'balanced' needs a label for every image"):
        kdcompress.distill("mnist-demo", out=tmp_path / "run", settings=settings)


def test_what_corrects_twice_is_refused() -> None:
    from kdcompress.config.recipe import resolve

    with pytest.raises(RecipeError, match=r"training.batches corrects a second time .* got 'balanced'"):
        resolve("mnist", {"training.batches": "balanced", "training.class_weights": "balanced"})


def test_soft_labels_stay_beside_images_without_labels(small: Samples) -> None:
    soft_labels = np.random.default_rng(0).dirichlet(np.ones(10), len(small)).astype(np.float32)
    soft = Samples(small.images, small.labels, small.ids, soft_labels=soft_labels)
    bare = Samples(small.images[:50], np.full(50, -1), np.char.add("unlabelled/", small.ids[:50]))
    both = soft.join(bare)
    assert both.soft_labels is not None
    assert np.array_equal(both.soft_labels[: len(small)], soft_labels)
    feed = Feed(both, ViewsSection(), {"logits": fake_targets(len(both))}, batch_size=len(both), seed=0)
    _, truth, weights = next(feed.dataset(0, 1).as_numpy_iterator())
    index = next(feed.batch_indices(0))[0]
    assert np.array_equal(truth["label"], both.soft_labels[index])
    assert np.array_equal(weights["label"] == 0, index >= len(small))


@pytest.mark.parametrize("method", [NONE, hinton(), {"name": "dist"}], ids=lambda method: method["name"])
def test_a_step_is_traced_once(
    small: Samples, tmp_path: Path, method: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    step, traces = keras.Model.train_step, []
    monkeypatch.setattr(keras.Model, "train_step", lambda self, data: traces.append(1) or step(self, data))
    train(small, tmp_path, method, epochs=2)
    assert len(traces) == 1
