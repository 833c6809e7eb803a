"""Students that fit a budget of the teacher's costs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import kdcompress
from kdcompress import registry
from kdcompress.cli._app import app
from kdcompress.errors import UsageError

DIGITS = {"data.source": "embedded"}
TEACHER_PARAMS, TEACHER_FLOPS = 1_011_466, 22_042_058  # of mnist_cnn, as the paper counts


def test_students_within_a_share_of_the_flops() -> None:
    found = kdcompress.suggest("mnist-demo", settings=DIGITS, max_flops_ratio=0.2)
    assert (found.teacher.params, found.teacher.flops) == (TEACHER_PARAMS, TEACHER_FLOPS)
    names = [(row.model, row.width) for row in found.students]
    assert ("tiny_cnn", 1.0) in names
    assert ("mnist_mlp", 1.0) in names
    assert ("ds_cnn", 1.0) not in names
    flops = [row.flops for row in found.students]
    assert flops == sorted(flops, reverse=True)
    for row in found.students:
        settings = {"width": row.width} if row.model in ("tiny_cnn", "ds_cnn") else {}
        costs = kdcompress.verify(registry.load("models", row.model).build((28, 28, 1), 10, **settings))
        assert (row.params, row.flops) == (costs.model.params, costs.model.flops)
        assert row.flops_ratio == row.flops / TEACHER_FLOPS <= 0.2
        assert row.params_ratio == row.params / TEACHER_PARAMS
    assert "takes RGB images" in found.unfit["keras:MobileNetV3Small"]


def test_both_limits_hold() -> None:
    found = kdcompress.suggest("mnist-demo", settings=DIGITS, max_flops_ratio=0.2, max_params_ratio=0.01)
    assert {row.model for row in found.students} == {"tiny_cnn", "ds_cnn"}
    assert all(row.params_ratio <= 0.01 for row in found.students)


def test_the_command_shows_the_teacher_the_students_and_how_to_take_one() -> None:
    done = CliRunner().invoke(app, ["suggest", "mnist-demo", "--set", "data.source=embedded"])
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert lines[1].split()[:4] == ["mnist_cnn", "1,011,466", "22,042,058", "(the"]
    assert lines[2].split() == ["ds_cnn", "0.5", "11,178", "0.0111", "1,781,514", "0.0808"]
    assert "kdcompress distill mnist-demo --student ds_cnn --set student.width=0.5" in done.stderr
    none = CliRunner().invoke(app, ["suggest", "mnist-demo", "--max-flops-ratio", "0.001"])
    assert none.exit_code == 0
    assert "no model of the zoo fits the budget" in none.stderr


def test_limits_need_a_teacher_with_costs(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--max-flops-ratio must be a number above 0"):
        kdcompress.suggest("mnist-demo", settings=DIGITS, max_flops_ratio=0)
    np.savez(tmp_path / "answers.npz", ids=["0"], logits=np.zeros((1, 10)))
    with pytest.raises(UsageError, match="needs the teacher's costs, which are unknown: a teacher of logits"):
        kdcompress.suggest("mnist-demo", settings=DIGITS, teacher=tmp_path / "answers.npz")
