"""`verify` and `export` on the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import tiny_models
from typer.testing import CliRunner

from kdcompress.cli._app import app
from kdcompress.exporting import _parity
from kdcompress.models import save_model


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_verify_shows_both_models_their_ratios_and_one_sentence(finished: Path) -> None:
    done = run("verify", finished)
    assert done.exit_code == 0
    for words in ("teacher's layer", "student's layer", "parameters", "recall of 7", "calibration error", "McNemar"):
        assert words in done.stdout
    last = done.stdout.strip().splitlines()[-1]
    assert last.startswith("the student has ")
    assert "times its FLOPs" in last
    assert "(they GREW)" in last  # 12,954 parameters against the convolutional teacher's


def test_a_gate_that_fails_is_said_and_exits_3(finished: Path) -> None:
    done = run("verify", finished, "--max-flops-ratio", "0.0001", "--max-params-ratio", "9", "--json")
    assert done.exit_code == 3
    result = json.loads(done.stdout)
    assert [gate["passed"] for gate in result["gates"]] == [True, False]
    assert "kdcompress: gate max_flops_ratio fails" in done.stderr
    assert "max_params_ratio" not in done.stderr


def test_verify_of_a_model_file_shows_its_layers(tmp_path: Path) -> None:
    save_model(tiny_models.teacher(), tmp_path / "model.keras")
    done = run("verify", tmp_path / "model.keras")
    assert done.exit_code == 0
    assert "conv2d" in done.stdout.lower()
    assert "share" in done.stdout
    assert set(json.loads(run("verify", tmp_path / "model.keras", "--json").stdout)) == {"model"}


def test_export_shows_a_line_for_each_file(finished: Path) -> None:
    done = run("export", finished, "--precision", "fp32", "--precision", "int8")
    assert done.exit_code == 0
    for name in ("student-fp32.onnx", "student-int8.onnx", "student-fp32.tflite", "student-int8.tflite"):
        assert f"exports/{name}" in done.stdout
    assert "1,000/1,000" in done.stdout
    assert "compared on test" in done.stdout


def test_an_export_that_fails_parity_exits_3_with_the_reason(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_parity, "FP32_TOLERANCE", 1e-12)
    done = run("export", finished, "--format", "onnx", "--json")
    assert done.exit_code == 3
    result = json.loads(done.stdout)
    assert result["artefacts"][0]["path"].endswith(".failed.onnx")
    assert "student-fp32.failed.onnx fails parity: logits differ by up to" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["export", "RUN", "--format", "onxx"], 2, "unknown format 'onxx' (did you mean 'onnx'?)"),
        (["export", "RUN", "--precision", "int4"], 2, "unknown precision 'int4'"),
        (["export", "RUN", "--opset", "22"], 2, "--opset must be 13 to 18"),
        (["export", "RUN", "--input-shape", "28,28"], 2, "--input-shape takes H,W,C"),
        (["export", "RUN", "--input-shape", "28,28,1"], 2, "are for a model"),
        (["export", "nowhere"], 2, "nowhere does not exist"),
        (["verify", "nowhere.keras"], 2, "nowhere.keras does not exist"),
        (["verify", "RUN", "--max-params-ratio", "-1"], 2, "--max-params-ratio must be a number above 0"),
        (["verify", "RUN", "--max-metric-drop", "5"], 2, "0.01 is one point"),
        (["verify", "RUN/recipe.toml"], 1, "recipe.toml"),
        (["verify", "RUN/student.keras", "--max-params-ratio", "1"], 2, "name a run"),
        (["export", "RUN/student.keras", "--precision", "int8"], 2, "give --calibration FOLDER"),
    ],
)
def test_mistakes_are_one_line(arguments: list[str], code: int, words: str, finished: Path) -> None:
    done = run(*(argument.replace("RUN", str(finished)) for argument in arguments))
    assert done.exit_code == code
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
