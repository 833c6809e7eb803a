from __future__ import annotations

import json
from pathlib import Path

import keras
import numpy as np
import pytest
import tiny_models

import kdcompress
from kdcompress.errors import ModelError, RunError, UsageError
from kdcompress.models import load_saved_model
from kdcompress.runs.folder import RunFolder


def test_a_run_is_measured_and_the_result_kept(finished: Path) -> None:
    result = kdcompress.verify(finished, max_params_ratio=5.0, max_flops_ratio=1e-6)
    for role in ("teacher", "student"):
        model = load_saved_model(finished / f"{role}.keras")
        cost = result[role]
        assert cost["params"] == model.count_params()
        assert cost["trainable_params"] == sum(weight.numpy().size for weight in model.trainable_weights)
        assert cost["params"] == cost["trainable_params"] + cost["non_trainable_params"]
        assert cost["bytes"] == (finished / f"{role}.keras").stat().st_size
        assert cost["weight_bytes"] == 4 * sum(weight.numpy().size for weight in model.weights)
        assert sum(layer["flops"] for layer in cost["layers"]) == cost["flops"]
        assert sum(layer["share"] for layer in cost["layers"]) == pytest.approx(1)
    # By hand: 784 x 16 and 16 x 10 multiplications
    assert result["student"]["macs"] == 784 * 16 + 16 * 10
    assert result["ratios"]["params"] == result["student"]["params"] / result["teacher"]["params"]
    assert result["ratios"]["flops"] == result["student"]["flops"] / result["teacher"]["flops"]
    assert result["flops_ratio_from"] == "flops"
    assert [gate["passed"] for gate in result["gates"]] == [True, False]
    assert result["passed"] is False
    kept = json.loads((finished / "verify.json").read_text())
    assert kept["student"] == result["student"]
    assert RunFolder(finished).has_file("verify.json")


def test_the_metrics_are_those_of_the_logits_that_the_run_kept(finished: Path) -> None:
    result = kdcompress.verify(finished)
    told = json.loads((finished / "metrics.json").read_text())
    outputs = np.load(finished / "outputs/test.npz")
    for role in ("teacher", "student", "baseline"):
        assert result[role]["metrics"]["accuracy"] == told[role]["metrics"]["accuracy"]
    answers = {role: outputs[f"{role}_logits"].argmax(-1) for role in ("teacher", "student")}
    assert result["comparison"]["agreement"] == np.mean(answers["teacher"] == answers["student"])
    assert result["metric"] == "accuracy"
    assert result["dataset"]["name"] == "mnist"
    drop = told["teacher"]["metrics"]["accuracy"] - told["student"]["metrics"]["accuracy"]
    assert result["metric_drop"] == pytest.approx(drop)
    assert result["gates"] == []
    assert result["passed"] is True


def test_no_data_and_no_images_are_needed(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object) -> None:
        raise AssertionError("verify must not read data")

    monkeypatch.setattr("kdcompress.data.sources.mnist.Mnist.load", gone, raising=False)
    assert kdcompress.verify(finished)["student"]["params"] > 0


def test_bytes_are_counted_without_the_optimizer(tmp_path: Path) -> None:
    model = tiny_models.plain()
    model.save(tmp_path / "bare.keras")
    model.compile("adam", "mse")
    model.fit(np.zeros((4, 28, 28, 1)), np.zeros((4, 10)), verbose=0)
    model.save(tmp_path / "trained.keras")
    sizes = {name: (tmp_path / f"{name}.keras").stat().st_size for name in ("bare", "trained")}
    assert sizes["trained"] > 2 * sizes["bare"]
    counted = kdcompress.verify(tmp_path / "trained.keras")["model"]
    assert counted["bytes"] == pytest.approx(sizes["bare"], rel=0.05)
    assert counted["params"] == 7850
    assert (tmp_path / "trained.keras").stat().st_size == sizes["trained"]


def test_every_export_can_be_verified_on_its_own(finished: Path) -> None:
    student = kdcompress.verify(finished / "student.keras")["model"]
    for entry in kdcompress.export(finished, ["all"])["artefacts"]:
        counted = kdcompress.verify(finished / entry["path"])["model"]
        assert counted["bytes"] == entry["bytes"]
        assert counted["macs"] == student["macs"], entry["path"]


def test_what_cannot_be_verified_says_why(finished: Path, tmp_path: Path) -> None:
    anywhere = tmp_path / "any.keras"
    keras.Sequential(
        [keras.Input((None, None, 3)), keras.layers.Conv2D(2, 3), keras.layers.GlobalAveragePooling2D()]
    ).save(anywhere)
    with pytest.raises(ModelError, match="--input-shape H,W,C"):
        kdcompress.verify(anywhere)
    assert kdcompress.verify(anywhere, input_shape=(10, 10, 3))["model"]["macs"] == 8 * 8 * 3 * 3 * 3 * 2
    with pytest.raises(UsageError, match="name a run, not a model"):
        kdcompress.verify(anywhere, input_shape=(10, 10, 3), max_params_ratio=1.0)
    (finished / "outputs/test.npz").unlink()
    with pytest.raises(RunError, match=r"outputs/test\.npz is gone"):
        kdcompress.verify(finished)
