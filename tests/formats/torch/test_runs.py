"""A run whose teacher is a PyTorch module of the user's: distilled, verified, exported, timed, reported."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch_models
from tiny_runs import distill

import kdcompress
from kdcompress.errors import ModelError, UsageError

torch = torch_models.require()
MODULE = """
import torch_models

def big():
    return torch_models.cnn(10, 1)

def other():
    return torch_models.cnn(10, 1, seed=1)

def nothing():
    return 1
"""
SETTINGS = {"teacher.model": "torch_teachers:big", "teacher.preprocessing.scale": "1/255"}


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's module, in the current folder."""
    path = tmp_path / "torch_teachers.py"
    path.write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    return path


@pytest.mark.slow
def test_from_module_to_report(module: Path, tmp_path: Path) -> None:
    run = distill(tmp_path / "run", settings=SETTINGS)
    assert run.result["teacher"]["params"] == 72 + 4 * 8 + 1152 + 4 * 16 + 170
    module.unlink()  # the run has all that it needs
    verified = kdcompress.verify(run)
    assert verified["flops_ratio_from"] == "macs"
    assert verified["teacher"]["params"] == run.result["teacher"]["params"]
    assert verified["teacher"]["macs"] == 14 * 14 * 8 * 9 + 7 * 7 * 16 * 72 + 160
    assert kdcompress.export(run, "onnx", parity_samples=50)["passed"]
    pytest.importorskip("onnxscript", reason="onnxscript is not installed (the extra `torch`)")
    timed = kdcompress.bench(run, threads=[1], duration=0.05)
    assert [row["name"] for row in timed["models"]] == ["teacher", "student"]
    assert timed["comparisons"][0]["speedup"] > 0
    assert kdcompress.report(run)


def test_targets_are_cached_by_the_weights(module: Path, tmp_path: Path) -> None:
    first = distill(tmp_path / "a", settings=SETTINGS, baseline=False, epochs=1)
    second = distill(tmp_path / "b", settings={**SETTINGS, "seed": 1}, baseline=False, epochs=1)
    other = {**SETTINGS, "teacher.model": "torch_teachers:other"}
    third = distill(tmp_path / "c", settings=other, baseline=False, epochs=1)
    assert [run.result["targets"]["cached"] for run in (first, second, third)] == [False, True, False]


def test_verify_counts_a_module_alone(module: Path) -> None:
    counted = kdcompress.verify("torch_teachers:big", input_shape=(28, 28, 1))["model"]
    assert (counted["path"], counted["macs"]) == ("big", 14 * 14 * 8 * 9 + 7 * 7 * 16 * 72 + 160)
    with pytest.raises(UsageError, match="name one with --input-shape"):
        kdcompress.verify("torch_teachers:big")


def test_what_is_no_model_is_refused(module: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"is of type int; it must be a Keras 3 model or a torch\.nn\.Module"):
        distill(tmp_path / "run", settings={"teacher.model": "torch_teachers:nothing"})
    with pytest.raises(UsageError, match="export takes a Keras model, and big is of type Sequential"):
        kdcompress.export("torch_teachers:big", "onnx")
