from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from mhist_folder import mhist_folder
from sklearn.metrics import roc_auc_score
from two_class_runs import small
from typer.testing import CliRunner

import kdcompress
from kdcompress.cli._app import app
from kdcompress.data import make_source
from kdcompress.errors import RecipeError
from kdcompress.models import Forward, load_saved_model
from kdcompress.progress import Progress


def test_students_of_two_classes_are_chosen_and_judged_by_auc(tmp_path: Path) -> None:
    folder = mhist_folder(tmp_path / "mhist", train=64, test=32)
    data = {"name": "mhist", "dir": str(folder)}
    out = tmp_path / "sweep"
    result = kdcompress.sweep(
        {"name": "own", "data": data},
        teacher=small("big", 8),
        student=small("little", 2),
        epochs=2,
        seeds=2,
        temperatures=[1, 4],
        out=out,
        settings={"teacher.check": False, "split.validation_fraction": 0.25, "training.choose_by": "auc"},
    )
    assert result["metric"] == "auc"
    assert "points of AUC" in result["sentence"]
    test = make_source(data).load(Progress()).test
    students = sorted(
        roc_auc_score(test.labels, np.diff(Forward(load_saved_model(path))(test.images))[:, 0])
        for path in (out / "trials").glob("*/student.keras")
    )
    told = sorted([*result["student"]["by_seed"], *result["baseline"]["by_seed"]])
    assert np.allclose(students, told)
    shown = CliRunner().invoke(app, ["report", str(out)])
    assert shown.exit_code == 0, shown.output
    page = (out / "report.html").read_text()
    assert "AUC on test" in page and "Accuracy on" not in page


def test_a_sweep_that_could_not_be_judged_does_not_begin(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (24, 12, 12, 3)).astype(np.uint8), np.arange(24) % 2
    parts = {"x_train": x, "y_train": y, "x_test": x[:8] // 2, "y_test": y[:8], "x_val": x[:4] // 3, "y_val": y[:4] * 0}
    np.savez(tmp_path / "own.npz", **parts)
    with pytest.raises(RecipeError, match="needs both classes in validation, which has images of 0 alone"):
        kdcompress.sweep(
            {"name": "own", "data": {"name": "arrays", "dir": str(tmp_path / "own.npz")}},
            teacher=small("big", 8),
            student=small("little", 2),
            epochs=1,
            out=tmp_path / "sweep",
            settings={"teacher.check": False},
        )
    assert not list((tmp_path / "sweep").rglob("student.keras"))
