from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from conftest import Recorder, few_digits
from keras import layers

from kdcompress.config.sections import ViewsSection
from kdcompress.config.training import TrainingSection
from kdcompress.data import Dataset, Samples
from kdcompress.errors import ModelError
from kdcompress.methods import make_method
from kdcompress.models import seed_everything
from kdcompress.progress import Progress
from kdcompress.training import features, fitting
from kdcompress.training.checkpoints import TrainingState, get_values
from kdcompress.training.feed import Feed
from kdcompress.training.fitting import train_phase
from kdcompress.training.phase import FEATURES_FOLDER, Phase
from kdcompress.training.stages import first_trainable_layer, freeze_layers, split_model

HEAD = {"trainable": "head", "epochs": 2, "learning_rate": 1e-2}
LATE = {"trainable": "join", "epochs": 1, "learning_rate": 1e-3}
ALL = {"trainable": "all", "epochs": 2, "learning_rate": 1e-3}
VIEWS = ViewsSection(count=3, rotation_deg=20)


def network(dropout: bool = False) -> Any:
    """A branch and a join, BatchNorm on both sides of the border, and statistics that are not those it begins with.

    A bias before BatchNorm has no gradient but rounding, of which Adam makes steps: there is none.
    """
    seed_everything(3)
    image = keras.Input((28, 28, 1), name="image")
    x = layers.Rescaling(1 / 255, name="scale")(image)
    x = layers.Conv2D(4, 5, strides=3, use_bias=False, name="conv")(x)
    x = layers.BatchNormalization(name="norm")(x)
    if dropout:
        x = layers.Dropout(0.3, name="dropout")(x)
    side = layers.Conv2D(4, 1, name="side")(x)
    x = layers.Add(name="add")([x, side])
    x = layers.ReLU(name="relu")(x)
    x = layers.Conv2D(4, 3, use_bias=False, name="join")(x)
    x = layers.BatchNormalization(name="late_norm")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    model = keras.Model(image, layers.Dense(10, name="logits")(x), name="branched")
    rng = np.random.default_rng(0)
    for name in ("norm", "late_norm"):
        model.get_layer(name).set_weights([rng.uniform(0.5, 1.5, 4) for _ in range(4)])
    return model


def train(
    small: Samples,
    path: Path,
    *stages: dict[str, Any],
    model: Any = None,
    views: ViewsSection = VIEWS,
    progress: Progress | None = None,
) -> tuple[Any, TrainingState]:
    path.mkdir(exist_ok=True)
    seed_everything(0)
    model = model or network()
    targets = np.random.default_rng(5).normal(0, 3, (len(small), views.count, 10)).astype(np.float32)
    feed = Feed(small, views, {"logits": targets}, batch_size=50, seed=0)
    training = TrainingSection(batch_size=50, stages=stages)
    phase = Phase("student", "k", make_method({"name": "hinton"}), training, path / "c.npz")
    state = train_phase(phase, model, feed, small.take(np.arange(60)), progress or Progress(), lambda rows: None)
    return model, state


@pytest.fixture(scope="module")
def unbroken(digits: Dataset, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any, TrainingState]:
    """The head and then all of the network, trained on the images of `small`: where, the model, and the state."""
    folder = tmp_path_factory.mktemp("unbroken")
    return folder, *train(few_digits(digits), folder, HEAD, ALL)


def close(one: list[Any], other: list[Any]) -> bool:
    return all(np.allclose(a, b, rtol=1e-3, atol=2e-5) for a, b in zip(one, other, strict=True))


def uncut(model: Any, trainable: str, sample: Any) -> None:
    """In the place of `split_model`: frozen layers are run in every step, as Keras does it."""


@pytest.mark.parametrize("stage", [HEAD, LATE])
def test_features_computed_once_train_as_frozen_layers_in_every_step_do(
    stage: dict[str, Any], small: Samples, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, once = train(small, tmp_path / "once", stage, ALL)
    assert list((tmp_path / "once" / FEATURES_FOLDER).iterdir())
    monkeypatch.setattr(fitting, "split_model", uncut)
    _, plain = train(small, tmp_path / "plain", stage, ALL)
    assert not (tmp_path / "plain" / FEATURES_FOLDER).exists()
    assert close(once.variables, plain.variables)
    assert once.best_epoch == plain.best_epoch
    assert [row["loss"] for row in once.rows] == pytest.approx([row["loss"] for row in plain.rows], rel=1e-4)
    assert [row["val_loss"] for row in once.rows] == pytest.approx([row["val_loss"] for row in plain.rows], rel=1e-4)


def test_stages_are_fits_of_a_model_frozen_and_compiled_by_hand(
    small: Samples, unbroken: tuple[Path, Any, TrainingState]
) -> None:
    _, _, state = unbroken
    by_hand = network()
    feed = Feed(small, VIEWS, None, batch_size=50, seed=0)
    targets = np.random.default_rng(5).normal(0, 3, (len(small), 3, 10)).astype(np.float32)
    method = make_method({"name": "hinton"})
    wrapped = keras.Model(by_hand.inputs, {"label": by_hand.output, "targets": by_hand.output})
    for begin, end, frozen, rate in ((0, 2, True, 1e-2), (2, 4, False, 1e-3)):
        for layer in by_hand.layers[:-1]:
            layer.trainable = not frozen
        wrapped.compile(
            keras.optimizers.Adam(rate),
            {
                "label": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
                "targets": lambda targets, outputs: method.targets_loss({"logits": targets}, outputs),
            },
            loss_weights={"label": 0.5, "targets": 0.5},
        )
        batches = feed.dataset(begin, end).as_numpy_iterator()
        orders = [pair for epoch in range(begin, end) for pair in feed.batch_indices(epoch)]
        for (images, truth), (index, view) in zip(batches, orders, strict=True):
            wrapped.train_on_batch(images, {**truth, "targets": targets[index, view]})
    assert close(state.variables, get_values(by_hand.variables))


def test_frozen_layers_and_their_statistics_stay(
    small: Samples, unbroken: tuple[Path, Any, TrainingState], tmp_path: Path
) -> None:
    before = {layer.name: layer.get_weights() for layer in network().layers}
    model, _ = train(small, tmp_path / "head", HEAD)
    for layer in model.layers[:-1]:
        assert all(np.array_equal(a, b) for a, b in zip(layer.get_weights(), before[layer.name], strict=True))
    assert not np.array_equal(model.layers[-1].get_weights()[0], before["logits"][0])
    model, _ = train(small, tmp_path / "late", LATE)
    assert np.array_equal(model.get_layer("norm").get_weights()[2], before["norm"][2])
    assert not np.array_equal(model.get_layer("late_norm").get_weights()[2], before["late_norm"][2])
    _, model, _ = unbroken
    assert not np.array_equal(model.get_layer("norm").get_weights()[2], before["norm"][2])
    assert all(layer.trainable for layer in model.layers)


class Killed(Progress):
    def __init__(self, after: int) -> None:
        self.after = after

    def epoch(self, phase: str, epoch: int, epochs: int, row: Any) -> None:
        if epoch == self.after:
            raise KeyboardInterrupt


@pytest.mark.parametrize("after", [1, 2, 3])
def test_a_training_killed_in_a_stage_or_at_a_border_ends_the_same(
    after: int, small: Samples, unbroken: tuple[Path, Any, TrainingState], tmp_path: Path
) -> None:
    _, _, whole = unbroken
    with pytest.raises(KeyboardInterrupt):
        train(small, tmp_path / "broken", HEAD, ALL, progress=Killed(after))
    _, broken = train(small, tmp_path / "broken", HEAD, ALL)
    assert all(np.array_equal(a, b) for a, b in zip(broken.variables, whole.variables, strict=True))
    assert all(np.array_equal(a, b) for a, b in zip(broken.best, whole.best, strict=True))


def test_frozen_layers_run_once_for_each_view_also_of_a_second_model(
    small: Samples, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    class Counting(features.Forward):
        def __call__(self, images: Any) -> Any:
            seen.append(len(images))
            return super().__call__(images)

    monkeypatch.setattr(features, "Forward", Counting)
    train(small, tmp_path, {**HEAD, "epochs": 10})
    assert sum(seen) == 3 * len(small) + 60
    (tmp_path / "c.npz").unlink()
    train(small, tmp_path, HEAD)  # the baseline's network is the same while it is frozen
    assert sum(seen) == 3 * len(small) + 60


def test_two_tensors_over_the_border_are_told_and_trained_plainly(
    small: Samples, tmp_path: Path, recorder: Recorder
) -> None:
    before = network()
    model, _ = train(small, tmp_path, {"trainable": "add", "epochs": 1}, progress=recorder)
    assert any("frozen layers run in every epoch" in note for note in recorder.notes)
    assert np.array_equal(model.get_layer("side").get_weights()[0], before.get_layer("side").get_weights()[0])
    assert not np.array_equal(model.get_layer("join").get_weights()[0], before.get_layer("join").get_weights()[0])


@pytest.mark.parametrize("seed", range(4))
def test_random_frozen_layers_are_not_run_once_and_for_all(seed: int, small: Samples) -> None:
    seed_everything(seed)
    model = network(dropout=True)
    with freeze_layers(model, "head"):
        assert split_model(model, "head", small.images[:2]) is None
    with freeze_layers(model, "dropout"):
        assert split_model(model, "dropout", small.images[:2]) is not None
    flipping = keras.Sequential([keras.Input((28, 28, 1)), layers.RandomFlip(), layers.Flatten(), layers.Dense(2)])
    with freeze_layers(flipping, "head"):
        # Though a draw may leave both images as they are
        assert split_model(flipping, "head", small.images[:2]) is None


class Noisy(layers.Layer):  # type: ignore[misc]
    """A layer of one's own, random in training, that keeps count of its calls."""

    def build(self, shape: Any) -> None:
        self.calls = self.add_weight(shape=(), initializer="zeros", trainable=False)

    def call(self, x: Any, training: bool = False) -> Any:
        if not training:
            return x
        self.calls.assign_add(1.0)
        return x + self.calls


def test_what_a_layer_of_ones_own_does_in_training_is_tried_and_leaves_no_trace(small: Samples) -> None:
    model = keras.Sequential([keras.Input((28, 28, 1)), Noisy(), layers.Flatten(), layers.Dense(2)])
    with freeze_layers(model, "head"):
        assert split_model(model, "head", small.images[:2]) is None
    assert float(model.layers[0].calls.numpy()) == 0


def test_a_training_with_random_frozen_layers_resumes_to_the_same(small: Samples, tmp_path: Path) -> None:
    stage = {**HEAD, "epochs": 3}
    _, unbroken = train(small, tmp_path / "unbroken", stage, model=network(dropout=True))
    with pytest.raises(KeyboardInterrupt):
        train(small, tmp_path / "broken", stage, model=network(dropout=True), progress=Killed(1))
    _, broken = train(small, tmp_path / "broken", stage, model=network(dropout=True))
    assert all(np.array_equal(a, b) for a, b in zip(broken.variables, unbroken.variables, strict=True))


def test_a_layer_on_both_sides_of_the_border_is_not_cut(small: Samples) -> None:
    image = keras.Input((28, 28, 1))
    shared = layers.Dense(4, name="shared")
    x = shared(layers.Flatten()(layers.AveragePooling2D(14, name="small")(image)))
    model = keras.Model(image, layers.Dense(2, name="last")(shared(layers.ReLU(name="between")(x))))
    with freeze_layers(model, "between"):
        assert split_model(model, "between", small.images[:2]) is None


def test_a_model_of_open_image_size_is_cut_at_the_size_of_the_data(small: Samples, tmp_path: Path) -> None:
    image = keras.Input((None, None, 1))
    x = layers.Conv2D(3, 3, name="frozen")(layers.Rescaling(1 / 255)(image))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(3, 3, name="first")(x))
    model = keras.Model(image, layers.Dense(10)(x))
    train(small, tmp_path, {"trainable": "first", "epochs": 1}, model=model)
    assert list((tmp_path / FEATURES_FOLDER).iterdir())


def test_flags_of_layers_and_of_single_variables_come_back_as_they_were() -> None:
    model = network()
    model.get_layer("side").trainable = False
    model.get_layer("conv").kernel.trainable = False
    before = [variable.path for variable in model.trainable_variables]
    with pytest.raises(KeyError), freeze_layers(model, "head"):
        assert len(model.trainable_variables) == 2
        raise KeyError
    assert [variable.path for variable in model.trainable_variables] == before


def test_a_full_disk_is_seen_before_it_is_full(
    small: Samples, tmp_path: Path, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(features, "_MAX_DISK", 0.0)
    train(small, tmp_path, HEAD, progress=recorder)
    assert any("no room for" in note for note in recorder.notes)


def test_head_is_the_last_layer_with_weights() -> None:
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3), layers.Dense(2), layers.Activation("linear")])
    assert first_trainable_layer(model, "head") == 1
    assert first_trainable_layer(model, "all") == 0


def test_a_layer_that_is_not_there_is_told_with_those_that_are() -> None:
    with pytest.raises(ModelError, match=r"no layer 'joins' \(did you mean 'join'\?\); .* from scale to logits"):
        first_trainable_layer(network(), "joins")


def test_a_subclassed_model_has_no_layers_in_order() -> None:
    class Own(keras.Model):  # type: ignore[misc]
        pass

    with pytest.raises(ModelError, match="Own is a subclassed model"):
        first_trainable_layer(Own(), "head")


def test_features_of_other_images_with_the_same_ids_are_not_taken(small: Samples, tmp_path: Path) -> None:
    train(small, tmp_path, HEAD)
    (tmp_path / "c.npz").unlink()
    inverted = Samples(255 - small.images, small.labels, small.ids)
    _, reused = train(inverted, tmp_path, HEAD)
    _, anew = train(inverted, tmp_path / "other", HEAD)
    assert all(np.array_equal(a, b) for a, b in zip(reused.variables, anew.variables, strict=True))


def test_all_stages_are_looked_at_before_the_first_is_trained(small: Samples, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no layer 'joins'"):
        train(small, tmp_path, HEAD, {"trainable": "joins"})
    assert not (tmp_path / "c.npz").exists()


def test_a_head_inside_a_model_inside_a_model_is_not_guessed(small: Samples, tmp_path: Path) -> None:
    nested = keras.Sequential([keras.Input((28, 28, 1)), layers.Rescaling(1 / 255), network()])
    with pytest.raises(ModelError, match="are in the model branched inside it, so its head cannot be told"):
        train(small, tmp_path, HEAD, model=nested)


def test_a_stage_in_which_nothing_learns_is_refused(small: Samples, tmp_path: Path) -> None:
    model = network()
    model.trainable = False
    with pytest.raises(ModelError, match="nothing learns in stage 'head', all its layers came frozen"):
        train(small, tmp_path, HEAD, model=model)


def test_what_a_killed_pass_left_is_cleared_away(small: Samples, tmp_path: Path) -> None:
    left = tmp_path / FEATURES_FOLDER / ".kdcompress-part-1-2.npy"
    left.parent.mkdir()
    left.write_bytes(b"half")
    train(small, tmp_path, HEAD)
    assert not left.exists()
    assert len(list(left.parent.glob("*.npy"))) == 2
