"""Zeros and clusters in the kernels of a student, tuned on cached targets."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tiny_models
from keras import layers
from own_tuning import OwnTuning, convolutional, kernels, student, tune

from kdcompress.compression._base import Compressed
from kdcompress.compression.cluster import ClusterStep
from kdcompress.compression.prune import PruneStep
from kdcompress.data import Samples
from kdcompress.errors import ModelError, RecipeError
from kdcompress.models import Forward, seed_everything
from kdcompress.training.checkpoints import get_values


@pytest.mark.parametrize("build", [tiny_models.student, convolutional])
@pytest.mark.parametrize("epochs", [1, 3])
def test_the_zeros_are_exactly_the_fraction(build: Any, epochs: int, small: Samples, tmp_path: Path) -> None:
    seed_everything(0)
    model = build()
    before = get_values(model.variables)
    pruned, tuning = tune(PruneStep, student(model), small, tmp_path, prune=0.8, epochs=epochs)
    assert all(np.array_equal(a, b) for a, b in zip(before, get_values(model.variables), strict=True))
    facts = pruned.facts["prune"]
    selected = kernels(pruned.model)
    for name, described in facts["kernels"].items():
        zeros = int((selected[name] == 0).sum())
        assert zeros == described["zeros"] == selected[name].size - round(selected[name].size * 0.2)
    assert set(selected) == set(facts["kernels"]) | set(facts["left"])
    assert list(facts["left"].values())[-1] == "makes the logits"
    assert type(pruned.model) is type(model)
    assert "no speed on CPU" in tuning.progress.notes[0]
    keras.models.clone_model(pruned.model)  # a plain model


def test_epochs_before_the_last_zero_are_not_selected(small: Samples, tmp_path: Path) -> None:
    pruned, tuning = tune(PruneStep, student(tiny_models.plain_mlp()), small, tmp_path, prune=0.9, epochs=4)
    assert len(tuning.rows) == 4
    assert 0.89 < pruned.facts["prune"]["kernels"]["hidden"]["zero_fraction"] < 0.91


def test_a_kernel_has_no_more_values_than_clusters(small: Samples, tmp_path: Path) -> None:
    model = convolutional()
    clustered, _ = tune(ClusterStep, student(model), small, tmp_path, cluster=8)
    for name, kernel in kernels(clustered.model).items():
        if name in clustered.facts["cluster"]["kernels"]:
            assert len(np.unique(kernel)) <= 8
            assert len(np.unique(kernel)) == clustered.facts["cluster"]["kernels"][name]["values"]
    assert clustered.facts["cluster"]["left"] == {"depthwise": "a DepthwiseConv2D, neither Dense nor Conv2D"}


def test_clusters_keep_the_zeros(small: Samples, tmp_path: Path) -> None:
    model = tiny_models.plain_mlp()
    pruned, _ = tune(PruneStep, student(model), small, tmp_path / "prune", prune=0.8)
    both, _ = tune(ClusterStep, pruned, small, tmp_path / "cluster", cluster=8)
    before, after = kernels(pruned.model), kernels(both.model)
    assert np.array_equal(before["hidden"] == 0, after["hidden"] == 0)
    assert all(len(np.unique(kernel)) <= 8 for kernel in after.values())
    assert list(both.facts) == ["prune", "cluster"]
    agree = Forward(pruned.model)(small.images).argmax(-1) == Forward(both.model)(small.images).argmax(-1)
    assert agree.mean() > 0.4


@pytest.mark.parametrize(("step", "settings"), [(PruneStep, {"prune": 0.5}), (ClusterStep, {"cluster": 6})])
def test_a_killed_step_goes_on_to_the_same_weights(
    step: Any, settings: dict[str, Any], small: Samples, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seed_everything(0)
    model = tiny_models.student()
    whole, _ = tune(step, student(model), small, tmp_path / "a", epochs=4, **settings)

    class Killed(Exception):
        pass

    def kill(self: Any, name: str, rows: list[Any]) -> None:
        if len(rows) == 3:
            raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(OwnTuning, "on_history", kill)
        tune(step, student(model), small, tmp_path / "b", epochs=4, **settings)
    resumed, tuning = tune(step, student(model), small, tmp_path / "b", epochs=4, **settings)
    assert any("going on after epoch 3" in note for note in tuning.progress.notes)
    pairs = zip(get_values(whole.model.weights), get_values(resumed.model.weights), strict=True)
    assert all(np.array_equal(a, b) for a, b in pairs)


@pytest.mark.parametrize(("step", "settings"), [(PruneStep, {"prune": 0.5}), (ClusterStep, {"cluster": 6})])
def test_alpha_one_does_not_see_the_labels(step: Any, settings: dict[str, Any], small: Samples, tmp_path: Path) -> None:
    permuted = replace(small, labels=np.random.default_rng(0).permutation(small.labels))
    seed_everything(0)
    model = tiny_models.student()
    weights = [
        get_values(
            tune(step, student(model), samples, tmp_path / name, alpha=1.0, epochs=1, **settings)[0].model.weights
        )
        for name, samples in (("a", small), ("b", permuted))
    ]
    assert all(np.array_equal(a, b) for a, b in zip(*weights, strict=True))


def test_an_order_that_undoes_itself_is_refused(small: Samples, tmp_path: Path) -> None:
    clustered = Compressed(tiny_models.plain_mlp(), facts={"cluster": {}})
    with pytest.raises(RecipeError, match="got prune after cluster: new zeros afterwards change the clusters"):
        tune(PruneStep, clustered, small, tmp_path, prune=0.5)
    quantized = Compressed(tiny_models.plain_mlp(), quantization=object())
    with pytest.raises(RecipeError, match="got cluster after qat"):
        tune(ClusterStep, quantized, small, tmp_path, cluster=5)


def test_models_without_a_kernel_to_compress_are_refused(small: Samples, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="before the one that makes the logits, and plain has none"):
        tune(PruneStep, student(tiny_models.plain()), small, tmp_path, prune=0.5)
    with pytest.raises(ModelError, match="more than 4096 weights"):
        tune(ClusterStep, student(keras.Sequential([keras.Input((28, 28, 1)), layers.Flatten(), layers.Dense(5)])),
             small, tmp_path, cluster=4096)  # fmt: skip
    with pytest.raises(ModelError, match=r"must be functional or Sequential.*keras.Model\(inputs, outputs\)"):
        model = tiny_models.subclassed()
        model(small.images[:1].astype(np.float32))
        tune(PruneStep, student(model), small, tmp_path, prune=0.5)
    pruned, _ = tune(PruneStep, student(tiny_models.plain_mlp()), small, tmp_path, prune=0.8, epochs=1)
    with pytest.raises(RecipeError, match=r"cluster must be >= 3 after prune.*got 2"):
        tune(ClusterStep, pruned, small, tmp_path, cluster=2)
