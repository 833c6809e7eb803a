"""`report` on the command line, on a run that was trained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from made_up_bench import timed
from typer.testing import CliRunner

from kdcompress.cli._app import app
from kdcompress.files import write_json
from kdcompress.runs.folder import RunFolder


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_report_of_a_trained_run_prints_where_it_is(finished: Path) -> None:
    done = run("report", finished)
    assert done.exit_code == 0
    assert done.stdout.splitlines() == [str(finished / "MODEL_CARD.md"), str(finished / "report.html")]
    assert f"`kdcompress verify {finished}`" in done.stderr
    page = (finished / "report.html").read_text(encoding="utf-8")
    assert page.count('class="tiny"') == len(page.split("data:image/png")) - 1 > 0
    assert "NOT the whole MNIST" in page


def test_json_is_one_document(finished: Path) -> None:
    result = json.loads(run("report", finished, "--json").stdout)
    assert result["report"] == str(finished / "report.html")
    assert result["missing"] == ["verify", "export", "bench"]
    assert result["ratios"]["params"] > 1
    assert set(result["metrics"]) == {"teacher", "student", "baseline"}


def test_several_runs_give_one_comparison(finished: Path, tmp_path: Path) -> None:
    done = run("report", finished, finished, "--out", tmp_path / "both")
    assert done.exit_code == 0
    assert done.stdout.strip() == str(tmp_path / "both/comparison.html")
    assert not (finished / "report.html").exists()


def test_verify_shows_the_latency_that_bench_measured(finished: Path) -> None:
    medians = {"teacher": 2.0, "student-fp32": 0.5}
    models = [timed(name, f"{name}.onnx", "onnxruntime", "fp32", median) for name, median in medians.items()]
    write_json(finished / "bench.json", {"machine": {}, "models": models, "comparisons": []})
    RunFolder(finished).commit("bench.json")
    done = run("verify", finished)
    assert "median latency, as `bench` measured it: 0.25 times the teacher's" in done.stdout
    assert json.loads((finished / "verify.json").read_text())["ratios"]["latency"] == 0.25


@pytest.mark.parametrize(
    ("given", "words"), [("nowhere", "does not exist"), ("RUN/student.keras", "report takes run folders")]
)
def test_mistakes_are_one_line(given: str, words: str, finished: Path) -> None:
    done = run("report", given.replace("RUN", str(finished)))
    assert done.exit_code == 2
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
