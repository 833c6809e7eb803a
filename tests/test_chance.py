"""A student that has learned nothing is said to have, and its gain is not told."""

from __future__ import annotations

from pathlib import Path

import keras
import pytest
from keras import layers
from tiny_runs import distill
from typer.testing import CliRunner

import kdcompress
from kdcompress.cli._app import app
from kdcompress.config.training import TrainingSection
from kdcompress.pipeline.chance import likely_cause


def student(*first: keras.layers.Layer) -> keras.Model:
    return keras.Sequential([keras.Input((28, 28, 1)), *first, layers.Flatten(), layers.Dense(10)])


def test_the_likely_cause_is_named() -> None:
    training = TrainingSection(epochs=2, batch_size=100)
    scale = layers.Rescaling(1 / 255)
    assert "Rescaling(1 / 255)" in likely_cause(student(), training, 8)
    settled = likely_cause(student(scale, layers.BatchNormalization(momentum=0.9)), training, 80)
    assert "training.learning_rate, now 0.001" in settled
    cause = likely_cause(student(scale, layers.BatchNormalization()), training, 8)
    assert "momentum 0.99, whose moving statistics need about 299 steps, and training has 8" in cause
    frozen = layers.BatchNormalization(trainable=False)
    assert "learning_rate" in likely_cause(student(scale, frozen), training, 8)


def test_no_gain_is_told(tmp_path: Path) -> None:
    """A learning rate far too low, in text, JSON, verify and report."""
    run = tmp_path / "run"
    made = distill(run, settings={"training.learning_rate": 1e-9, "student.model": "mnist_mlp"})
    assert set(made.result.at_chance) == {"student", "baseline"}
    told = [text for text in made.result.warnings if "not shown to be better than a constant answer" in text]
    assert len(told) == 2
    assert "training.learning_rate, now 1e-09" in told[0]
    again = CliRunner().invoke(app, ["distill", str(run / "recipe.toml"), "--out", str(run)])
    assert "gain           cannot be told: student and baseline not shown to be better" in again.stdout
    assert kdcompress.verify(made).at_chance == ["student", "baseline"]
    kdcompress.report(made)
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "no gain can be told, since the student and the baseline are not shown to be better" in page
    assert "training.learning_rate, now 1e-09" in page


@pytest.mark.parametrize("balanced", [False, True])
def test_imbalanced_classes_are_said_unless_they_are_balanced(tmp_path: Path, balanced: bool) -> None:
    settings = {"superclasses.zero": ["0"], "superclasses.other": list("123456789")}
    if balanced:
        settings["training.class_weights"] = "balanced"
    models = {"teacher.model": "mnist_mlp", "teacher.weights": "none", "student.model": "tiny_cnn"}
    made = distill(tmp_path / "run", settings={**settings, **models})
    told = [text for text in made.result.warnings if "classes are imbalanced" in text]
    assert len(told) == (not balanced)
