"""`verify` and `export` on the command line."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
import tiny_models
from two_class_runs import distill_mhist
from typer.testing import CliRunner

from kdcompress.cli._app import app
from kdcompress.cli._terminal import Terminal
from kdcompress.cli.distill import _print_result as print_result
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


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two classes with votes, on synthetic images."""
    folder = tmp_path_factory.mktemp("drawn")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KDCOMPRESS_CACHE_DIR", str(folder / "cache"))
        return distill_mhist(folder, synthetic=True).path


def test_two_classes_show_their_auc_the_threshold_and_the_levels_of_agreement(drawn: Path) -> None:
    metrics = {
        role: found["metrics"]
        for role, found in json.loads(run("verify", drawn, "--json").stdout).items()
        if role in ("teacher", "student")
    }
    shown = run("verify", drawn).stdout
    lines = {line[:18].rstrip(): line for line in shown.splitlines()}
    for label, key in (("AUC", "auc"), ("  sensitivity", "sensitivity"), ("  specificity", "specificity")):
        for role in ("teacher", "student"):
            assert f"{100 * metrics[role][key]:.2f} %" in lines[label]
    low, high = (100 * metrics["student"][f"auc_{end}"] for end in ("low", "high"))
    assert f"{low:.2f} to {high:.2f}" in lines["  95 % interval"]
    assert "from resampled images" in lines["  95 % interval"]
    assert f"{metrics['student']['threshold']:.3g}" in lines["threshold"]
    assert "of P(SSA), chosen on 16 validation images" in lines["threshold"]
    levels = [line.split() for line in shown.splitlines() if line.startswith(("4/7", "5/7", "6/7", "7/7"))]
    assert [(level[0], level[1], level[2]) for level in levels] == [
        (f"{votes}/7", "8", "teacher") for votes in (4, 5, 6, 7)
    ]
    first = metrics["teacher"]["by_agreement"][0]
    assert levels[0][3] == f"{100 * first['accuracy']:.2f}"
    assert levels[0][-1] == f"{first['ece']:.4f}"
    assert shown.strip().splitlines()[-1].endswith("points of AUC")
    assert "the gain in AUC is" in shown
    assert re.search(r"(is better|no difference) in accuracy.*McNemar", shown)


def test_figures_on_synthetic_images_are_called_so(drawn: Path, finished: Path) -> None:
    assert "SYNTHETIC images, not tissue" in run("verify", drawn).stdout
    again = run("distill", drawn / "recipe.toml", "--out", drawn).stdout.splitlines()
    assert again[0].startswith("SYNTHETIC images, not tissue")
    assert again[1].startswith("test AUC       teacher ")
    assert again[2].startswith("test accuracy  teacher ")
    assert again[3].startswith("gain           ")  # a few steps on drawings, which may or may not be told
    others = run("verify", finished).stdout
    assert "SYNTHETIC" not in others
    assert "AUC" not in others
    assert "agreement of the annotators" not in others


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
    assert set(json.loads(run("verify", tmp_path / "model.keras", "--json").stdout)) == {"schema_version", "model"}


def test_export_shows_a_line_for_each_file(finished: Path) -> None:
    done = run("export", finished, "--precision", "fp32", "--precision", "int8")
    assert done.exit_code == 0
    for name in ("student-fp32.onnx", "student-int8.onnx", "student-fp32.tflite", "student-int8.tflite"):
        assert f"exports/{name}" in done.stdout
    assert "1,000/1,000" in done.stdout
    assert "compared on test" in done.stdout


def test_what_one_format_cannot_express_does_not_stop_the_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run("export", "tiny_models:only_onnx", "--format", "all")
    assert done.exit_code == 1
    assert "only_onnx-fp32.onnx" in done.stdout
    assert "only_onnx-fp32.saved_model" in done.stdout
    assert "kdcompress: no fp32 file for tflite: TFLite cannot express" in done.stderr
    assert sorted(p.name for p in (tmp_path / "only_onnx-exports").iterdir()) == [
        "exports.json",
        "only_onnx-fp32.onnx",
        "only_onnx-fp32.saved_model",
    ]


def test_verify_of_a_run_that_may_not_be_written_still_tells(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("kdcompress.api._verify.write_document", refuse)
    done = run("verify", finished)
    assert done.exit_code == 0
    assert "the student has" in done.stdout
    assert "verify.json was not written: Permission denied" in done.stderr


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
        (["export", "RUN", "--precision", "int7"], 2, "unknown precision 'int7'"),
        (["export", "RUN", "--opset", "22"], 2, "--opset must be 13 to 18"),
        (["export", "RUN", "--input-shape", "28,28"], 2, "--input-shape takes H,W,C"),
        (["export", "RUN", "--input-shape", "28,28,1"], 2, "are for a model"),
        (["export", "nowhere"], 2, "nowhere does not exist"),
        (["export", "RUN/.."], 2, "is neither a run folder nor a model; runs in it: run"),
        (["export", "RUN", "--format", "onnx,tfl"], 2, "unknown format 'tfl'"),
        (
            ["export", "RUN", "--calibration", "nowhere"],
            2,
            "--calibration takes a folder of images, and nowhere is none",
        ),
        (["export", "RUN", "--input-type", "uint8"], 2, "--input-type is for --format tflite --precision int8"),
        (["export", "RUN", "--data-dir", "nowhere"], 1, "data folder nowhere does not exist"),
        (["verify", "no_such_module:build"], 1, "no module 'no_such_module'"),
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


def test_gains_of_two_classes_are_of_auc_and_accuracy() -> None:
    out = io.StringIO()
    metrics = {"teacher": (0.9, 0.8), "student": (0.88, 0.79), "baseline": (0.8, 0.8)}
    roles: dict[str, Any] = {
        role: {"metrics": {"auc": auc, "accuracy": accuracy}, "params": None, "flops": None}
        for role, (auc, accuracy) in metrics.items()
    }
    dataset = {"name": "folder", "source": "folder photos", "n_test": 500}
    print_result({**roles, "dataset": dataset, "run": "run", "seconds": 1.0}, Terminal(out, io.StringIO()))
    assert "gain           +8.00 points of AUC, -1.00 points of accuracy from the teacher" in out.getvalue()
