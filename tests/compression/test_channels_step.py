"""The step: rounds with tuning between, budgets relative to the teacher, what it records and says."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest

import kdcompress
from kdcompress.compression._base import Compressed
from kdcompress.compression.channels import latency
from kdcompress.compression.channels.losses import batches_of, sample_losses
from kdcompress.compression.channels.step import ChannelsStep
from kdcompress.config.compress import CompressSection
from kdcompress.config.sections import ViewsSection
from kdcompress.data import Samples
from kdcompress.errors import ModelError
from kdcompress.exporting import Options, make_format
from kdcompress.exporting._network import freeze
from kdcompress.methods import make_method
from kdcompress.training.feed import Feed
from kdcompress.training.supervision import compile_student
from kdcompress.verification.flops import count_flops

SHAPE = (28, 28, 1)


class Tuning:
    """What the step uses of a compression; its training only adds a little to the weights."""

    def __init__(self, small: Samples, recorder: Any, **section: Any) -> None:
        self.section, self.progress = CompressSection(**section), recorder
        self.method = make_method({"name": "hinton", "alpha": 0.3, "temperature": 4.0})
        logits = np.random.default_rng(0).normal(size=(len(small), 1, 10)).astype("f")
        self.feed = Feed(small, ViewsSection(), {"logits": logits}, 50, 0)
        self.train_samples, self.input_shape = small, SHAPE
        self.teacher_costs: dict[str, Any] = {"params": None, "flops": None}
        self.ensemble: Any = None
        self.experiment = SimpleNamespace(data=SimpleNamespace(dataset=None))
        self.trained: list[tuple[str, int]] = []
        self.kept: dict[str, Any] = {}

    def once(self, name: str, compute: Any) -> Any:
        if name not in self.kept:
            self.kept[name] = json.loads(json.dumps(compute()))
        return self.kept[name]

    def train(self, name: str, model: Any, step: Any) -> None:
        self.trained.append((name, model.count_params()))
        model.set_weights([weight * 1.01 for weight in model.get_weights()])


def student() -> Any:
    keras.utils.set_random_seed(0)
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input(SHAPE),
            layers.Rescaling(1 / 255),
            layers.Conv2D(16, 3, strides=2, use_bias=False, name="conv"),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Flatten(),
            layers.Dropout(0.2),
            layers.Dense(64, activation="relu", name="hidden"),
            layers.Dense(10, name="logits"),
        ],
        name="little",
    )


@pytest.mark.parametrize("importance", ["taylor", "l1"])
def test_rounds(small: Samples, recorder: Any, importance: str) -> None:
    tuning: Any = Tuning(small, recorder, channels=0.5, rounds=2, importance=importance)
    model = student()
    weights = model.get_weights()
    result = ChannelsStep().apply(Compressed(model), tuning)
    facts = result.facts["channels"]
    assert [name for name, _ in tuning.trained] == ["channels-1", "channels-2"]
    assert [layer.kernel.shape[-1] for layer in result.model.layers if hasattr(layer, "kernel")] == [8, 32, 10]
    assert [entry["share"] for entry in facts["rounds"]] == [0.25, 0.5]
    assert [entry["params"] for entry in facts["rounds"]] == [params for _, params in tuning.trained]
    assert all(0 <= entry["difference"] <= 1e-5 for entry in facts["rounds"])
    assert facts["groups"] == [
        {"layers": ["conv"], "channels": 16, "kept": 8},
        {"layers": ["hidden"], "channels": 64, "kept": 32},
    ]
    assert facts["whole"] == [{"layers": ["logits"], "reason": "makes the model's outputs"}]
    assert facts["params"] == [model.count_params(), result.model.count_params()]
    assert json.loads(json.dumps(facts)) == facts
    for before, after in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
    again: Any = Tuning(small, recorder, channels=0.5, rounds=2, importance=importance)
    repeated = ChannelsStep().apply(Compressed(model), again).model
    for first, second in zip(result.model.get_weights(), repeated.get_weights(), strict=True):
        np.testing.assert_array_equal(first, second)


def test_the_loss_is_that_of_training(small: Samples, recorder: Any) -> None:
    tuning: Any = Tuning(small, recorder, channels=0.5)
    model = student()
    supervised = compile_student(model, tuning.method, 1e-3, tuning.feed)
    loss = sample_losses(tuning.method, tuning.feed)
    image, labels, weights = next(iter(batches_of(tuning.feed, 1)))
    per_image = np.asarray(loss(model(image, training=False), labels, weights))
    assert per_image.shape == (50,)
    assert per_image.mean() == pytest.approx(supervised.evaluate(image, labels, verbose=0)[0], rel=1e-5)
    assert len(list(batches_of(tuning.feed, 120))) == 3
    assert len(list(batches_of(tuning.feed, 10**6))) == len(small) // 50


def test_budgets_of_parameters_and_flops(small: Samples, recorder: Any) -> None:
    tuning: Any = Tuning(small, recorder, max_flops_ratio=0.25, max_params_ratio=0.5)
    model = student()
    tuning.teacher_costs = {"params": model.count_params(), "flops": count_flops(model, SHAPE)}
    result = ChannelsStep().apply(Compressed(model), tuning)
    ratios = result.facts["channels"]["ratios"]
    assert result.model.count_params() / model.count_params() == ratios["max_params_ratio"] <= 0.5
    assert count_flops(result.model, SHAPE) / count_flops(model, SHAPE) == ratios["max_flops_ratio"] <= 0.25


def test_a_met_budget_changes_nothing(small: Samples, recorder: Any) -> None:
    tuning: Any = Tuning(small, recorder, max_params_ratio=0.5)
    model = student()
    tuning.teacher_costs["params"] = 10 * model.count_params()
    result = ChannelsStep().apply(Compressed(model), tuning)
    assert result.model is model and tuning.trained == []
    assert result.facts["channels"]["share"] == 0
    assert "channels: max_params_ratio = 0.5: met as it is, no channel has to go, ratio 0.1" in recorder.notes


def test_refusals(small: Samples, recorder: Any) -> None:
    def refuse(text: str, model: Any, **section: Any) -> None:
        with pytest.raises(ModelError) as caught:
            ChannelsStep().apply(Compressed(model), Tuning(small, recorder, **section))  # type: ignore[arg-type]
        assert text in str(caught.value) and "\n" not in str(caught.value)

    refuse("relative to the teacher, whose flops are unknown; give channels = 0.5", student(), max_flops_ratio=0.5)
    refuse("max_latency_ratio compares with the teacher", student(), max_latency_ratio=0.5)
    refuse("(the run has no teacher); give max_flops_ratio", student(), max_latency_ratio=0.5)
    refuse("channels = 0.01 removes no channel of little", student(), channels=0.01)
    linear = keras.Sequential(
        [keras.Input(SHAPE), keras.layers.Flatten(), keras.layers.Dense(10, name="d")], name="lin"
    )
    refuse("lin has no channels that can be removed (d: makes the model's outputs)", linear, channels=0.5)


def test_layers_left_whole_are_named(small: Samples, recorder: Any) -> None:
    layers = keras.layers
    tuning: Any = Tuning(small, recorder, channels=0.5)
    image = keras.Input(SHAPE)
    x = layers.Dense(16, activation="relu", name="first")(layers.Flatten()(image))
    x = layers.LayerNormalization(name="norm")(layers.Dense(16, name="second")(x))
    model = keras.Model(image, layers.Dense(10, name="logits")(x))
    facts = ChannelsStep().apply(Compressed(model), tuning).facts["channels"]
    assert "channels: those of second, norm stay: LayerNormalization norm combines channels" in recorder.notes
    assert facts["whole"][0] == {
        "layers": ["second", "norm"],
        "reason": "LayerNormalization norm combines channels",
    }


def test_latency_is_measured_on_onnxruntime(
    small: Samples, recorder: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(latency, "_DURATION_S", 0.05)
    model, tuning = student(), Tuning(small, recorder, channels=0.5)
    path = tmp_path / "teacher.onnx"
    make_format("onnx").write(freeze(model, SHAPE), path, "fp32", Options(), None, {})
    teacher = latency.TimedFile(path, small.images[:2])
    assert 0.2 < latency.latency_ratio(model, tuning, teacher) < 5  # type: ignore[arg-type]


@pytest.mark.slow
def test_a_budget_of_latency_takes_the_runs_teacher(
    finished: Path, recorder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(latency, "_DURATION_S", 0.05)
    kdcompress.compress(finished, max_latency_ratio=1000, epochs=1, progress=recorder)
    document = json.loads((finished / "students" / "latency-1000" / "compress.json").read_text())
    assert document["steps"]["channels"]["share"] == 0
    assert 0 < document["steps"]["channels"]["ratios"]["max_latency_ratio"] < 1000
