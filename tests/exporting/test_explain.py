from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import kdcompress
from kdcompress.cli._app import app
from kdcompress.data import make_source, split_dataset
from kdcompress.errors import ExportError, UsageError
from kdcompress.exporting import Options, make_format
from kdcompress.exporting._choice import keep_metric, pick, rank_layers
from kdcompress.exporting._effects import Effect, Laboratory, signal_to_noise
from kdcompress.exporting._network import Network
from kdcompress.exporting._parity import Reference
from kdcompress.models import Forward, load_saved_model
from kdcompress.progress import Progress
from kdcompress.runs.folder import RunFolder
from kdcompress.runs.integrity import read_run_recipe
from kdcompress.runs.names import QUANTIZATION


class Table:
    """A laboratory whose layers cost bytes, and drop the metric by amounts that add up."""

    def __init__(self, drops: dict[str, float], **together: float) -> None:
        self.layers, self._drops, self._together = tuple(drops), drops, together
        self.measured: list[Effect] = []

    def without(self, float_layers: Collection[str]) -> Effect:
        drop = sum(value for name, value in self._drops.items() if name not in float_layers)
        drop += self._together.get("_".join(sorted(set(self._drops) - set(float_layers))), 0)
        names = tuple(name for name in self.layers if name in float_layers)
        effect = Effect(names, 100 + 300 * len(names), -100 * drop, 1 - drop, 0.9 - drop, drop)
        self.measured.append(effect)
        return effect

    def alone(self, layer: str) -> Effect:
        return self.without(set(self.layers) - {layer})


def kept(table: Any, limit: float) -> tuple[str, ...]:
    return keep_metric(table, rank_layers(table), limit).float_layers


def test_the_fewest_layers_that_hold_a_limit_stay_in_float() -> None:
    table = Table({"a": 0.001, "b": 0.03, "c": 0.0, "d": 0.01})
    assert rank_layers(table)[:3] == ["b", "d", "a"]  # type: ignore[arg-type]
    assert kept(table, 0.05) == ()
    assert kept(table, 0.02) == ("b",)
    assert kept(table, 0.002) == ("b", "d")
    assert kept(table, 0.0) == ("a", "b", "d")


def test_a_layer_that_the_limit_does_not_need_is_quantized_again() -> None:
    # b is loud alone, but it is a and c that hurt together
    table = Table({"a": 0.01, "b": 0.02, "c": 0.01}, a_b_c=0.5, a_c=0.5)
    assert kept(table, 0.03) == ("a",)
    table = Table({"a": 0.02, "b": 0.03, "c": 0.02, "d": 0.001}, a_b_c_d=-0.03, b_d=-0.02, b_c_d=0.1, a_b_d=0.1)
    assert kept(table, 0.02) == ("a", "c")


def test_a_limit_that_only_float_holds_is_said_and_so_is_one_that_nothing_holds() -> None:
    table: Any = Table({"a": 0.01, "b": 0.02})
    with pytest.raises(ExportError, match=r"0 holds only with all 2 layers in float \(the metric falls by 3.00 points"):
        kept(table, 0.0)
    table = Table({"a": 0.01, "b": 0.02}, **{"": 0.005})
    with pytest.raises(ExportError, match=r"0.001 cannot be held, even with all 2 layers in float .* allow a larger"):
        kept(table, 0.001)


def test_picks_are_the_smallest_a_balanced_and_the_closest_file() -> None:
    table: Any = Table({"a": 0.01, "b": 0.05, "c": 0.0, "d": 0.0, "e": 0.0, "f": 0.0})
    picks = pick(table, rank_layers(table))
    assert {name: effect.float_layers for name, effect in picks.items()} == {
        "smallest": (), "balanced": ("b",), "closest": ("a", "b"),
    }  # fmt: skip


def test_signal_to_noise_is_in_decibels() -> None:
    logits = np.array([[3.0, 4.0]], np.float32)
    assert signal_to_noise(logits, logits + np.float32([[0.3, 0.4]])) == pytest.approx(20, abs=1e-4)
    assert signal_to_noise(logits, logits) is None


@pytest.mark.parametrize("name", ["onnx", "tflite"])
def test_effects_of_a_layer_are_those_of_its_file(
    name: str, network: Network, reference: Reference, calibration: np.ndarray, tmp_path: Path
) -> None:
    writer, few = make_format(name), reference.take(list(range(200)))
    int8 = writer.calibrate(network, Options(), calibration)
    assert int8 is not None
    laboratory = Laboratory(writer, int8, few, tmp_path)
    effect = laboratory.without(["head"])
    path = tmp_path / f"head{writer.suffix}"
    writer.write(network, path, "int8", Options(float_layers=("head",)), calibration, {})
    logits = writer.open(path).run(few.images)
    assert effect.agreement == np.mean(logits.argmax(-1) == few.logits.argmax(-1))
    assert effect.value == pytest.approx(np.mean(logits.argmax(-1) == few.labels))
    assert effect.snr == pytest.approx(
        10 * np.log10((few.logits**2).sum() / ((logits - few.logits) ** 2).sum()), rel=1e-4
    )
    whole = laboratory.without([])
    assert whole.bytes < effect.bytes
    alone = [laboratory.alone(layer).snr for layer in int8.layers]
    assert min(alone) > whole.snr, "all layers together are noisier than one"
    assert laboratory.without(["head"]) is effect, "each variant is measured once"


def test_a_run_is_explained_on_validation_and_keeps_it(finished: Path) -> None:
    result = kdcompress.explain(finished, "onnx")
    recipe = read_run_recipe(RunFolder(finished))
    val = split_dataset(make_source(recipe.data).load(Progress()), recipe.split).val
    assert (result.source, result.n, result.metric) == ("validation", len(val), "accuracy")
    (entry,) = result.formats
    assert {layer.name for layer in entry.layers} == {"rescaling", "dense", "batch_normalization", "dense_1"}
    assert [layer.alone.snr_db for layer in entry.layers] == sorted(layer.alone.snr_db or 999 for layer in entry.layers)
    logits = Forward(load_saved_model(finished / "student.keras"))(val.images)
    accuracy = float(np.mean(logits.argmax(-1) == val.labels))
    assert entry.int8.metric_drop == pytest.approx(accuracy - (entry.int8.metric or 0))
    assert RunFolder(finished).has_file("explain.json")
    saved = json.loads((finished / "explain.json").read_text())
    assert saved["formats"] == result.to_dict()["formats"]
    assert not (finished / "exports").exists()
    for file in (entry.picks.smallest, entry.picks.balanced, entry.picks.closest):
        assert file.command.startswith(f"kdcompress export {finished} --format onnx --precision int8")
    assert entry.picks.smallest.bytes <= entry.int8.bytes * 1.01


def test_keep_metric_ships_the_file_that_holds_the_limit(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def leave_the_last(laboratory: Laboratory, ranking: list[str], limit: float) -> Effect:
        return laboratory.without(["dense_1"])

    monkeypatch.setattr("kdcompress.exporting._explanation.keep_metric", leave_the_last)
    result = kdcompress.export(finished, "onnx", keep_metric=0.002)
    (entry,) = result.artefacts
    assert (entry.path, entry.precision, entry.float_layers) == ("exports/student-int8.onnx", "int8", ["dense_1"])
    assert result.explanation is not None
    kept = result.explanation.formats[0].kept
    assert kept is not None
    assert (kept.limit, kept.float_layers) == (0.002, ["dense_1"])
    assert json.loads((finished / "exports/exports.json").read_text())["artefacts"][0]["float_layers"] == ["dense_1"]


def test_the_command_prints_ranked_layers_and_the_commands_of_the_picks(finished: Path) -> None:
    done = CliRunner().invoke(app, ["export", str(finished), "--explain", "--format", "tflite"])
    assert done.exit_code == 0, done.stderr
    for text in ("it alone in float", "dense_1", "all in int8", "smallest", "balanced", "closest", "explain.json: on"):
        assert text in done.stdout


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--explain", "--precision", "fp32"), "--explain is of int8 files and writes none, got --precision fp32"),
        (("--explain", "--float", "dense"), "--explain measures every layer of a run's int8 files: leave --float out"),
        (("--keep-metric", "2"), "--keep-metric must be a fraction in [0, 1], got 2.0"),
        (
            ("--keep-metric", "0.1", "--precision", "fp16"),
            "--keep-metric is for --precision int8, which is",
        ),
        (("--keep-metric", "0.1", "--float", "a"), "--float names the layers that --keep-metric would search"),
    ],
)
def test_options_that_do_not_go_together_are_refused(finished: Path, options: tuple[str, ...], message: str) -> None:
    done = CliRunner().invoke(app, ["export", str(finished), *options])
    assert done.exit_code == 2
    assert message in done.stderr


def test_a_model_without_a_run_and_trained_integers_are_refused(finished: Path) -> None:
    with pytest.raises(UsageError, match="--explain measures on validation images with labels, which a run has"):
        kdcompress.explain(finished / "student.keras")
    with pytest.raises(UsageError, match="--keep-metric measures on validation images"):
        kdcompress.export(finished / "student.keras", keep_metric=0.1)
    (finished / QUANTIZATION).write_text("{}")
    RunFolder(finished).commit(QUANTIZATION)
    with pytest.raises(UsageError, match=r"the integers of .* are trained"):
        kdcompress.explain(finished, "onnx")
