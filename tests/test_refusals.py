"""What a run refuses or warns about, and that it then leaves nothing half-made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_models
from conftest import Recorder
from tiny_runs import distill

from kdcompress.errors import DataError, ModelError, RunError, TargetsError
from kdcompress.models import save_model
from kdcompress.verification.roles import swapped_roles_warning

pytestmark = pytest.mark.slow


def test_a_damaged_zoo_teacher_is_refused_and_trained_anew(tmp_path: Path, recorder: Recorder) -> None:
    choices = {"settings": {"teacher.model": "mnist_cnn"}, "limit": 200, "epochs": 1, "baseline": False}
    distill(tmp_path / "one", **choices)
    (kept,) = (tmp_path / "cache" / "teachers").glob("*/teacher.keras")
    kept.write_bytes(kept.read_bytes()[:-10])
    distill(tmp_path / "other", seed=1, progress=recorder, **choices)
    assert "teacher" in recorder.phases
    assert any("refused, training anew" in warning for warning in recorder.warnings)


def test_a_run_of_another_recipe_is_refused_unless_fresh(brief: Path) -> None:
    with pytest.raises(RunError, match=r"belongs to another recipe: method\.temperature is 4\.0 there, 8\.0 here"):
        distill(brief, baseline=False, epochs=1, temperature=8.0)
    run = distill(brief, baseline=False, epochs=1, temperature=8.0, fresh=True)
    assert not run.resumed


def test_a_file_changed_behind_the_run_s_back_is_refused(brief: Path) -> None:
    path = brief / "student.keras"
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(
        RunError,
        match=r"student\.keras has changed since the run wrote it; `kdcompress distill --fresh`",
    ):
        distill(brief, baseline=False, epochs=1)
    path.unlink()
    with pytest.raises(RunError, match=r"student\.keras is gone since the run wrote it"):
        distill(brief, baseline=False, epochs=1)


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"teacher.model": "tiny_models:five_classes"}, ModelError, "has 5 classes, the data has 10"),
        ({"student.model": "tiny_models:colour"}, ModelError, "takes images of 32x32x3"),
        (
            {"student.model": "tiny_models:softmax"},
            ModelError,
            r"ends in probabilities \(softmax\); it must end in logits",
        ),
        ({"teacher.model": "tiny_models:raises"}, ModelError, "out of cheese"),
        ({"data.dir": "/nowhere/digits", "data.source": "auto"}, DataError, "does not exist"),
        ({"split.limit": 10}, DataError, "classes"),
    ],
)
def test_what_fails_early_leaves_nothing(tmp_path: Path, settings: dict[str, Any], error: type, words: str) -> None:
    with pytest.raises(error, match=words):
        distill(tmp_path / "run", settings=settings)
    assert not (tmp_path / "run").exists()


def test_nan_from_the_teacher_names_the_sample(tmp_path: Path) -> None:
    with pytest.raises(TargetsError, match=r"for sample embedded/\d+ \(view 0\) are not finite"):
        distill(tmp_path / "run", settings={"teacher.model": "tiny_models:nan"})
    assert not (tmp_path / "run" / "student.keras").exists()


def test_a_teacher_that_was_mended_is_taken_as_it_is_now(tmp_path: Path) -> None:
    path = tmp_path / "t.keras"
    save_model(tiny_models.nan(), path)
    settings = {"teacher.model": str(path)}
    with pytest.raises(TargetsError):
        distill(tmp_path / "run", settings=settings, baseline=False, epochs=1)
    save_model(tiny_models.plain(), path)
    distill(tmp_path / "run", settings=settings, baseline=False, epochs=1)


def test_a_replaced_model_file_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "t.keras"
    save_model(tiny_models.plain(), path)
    distill(tmp_path / "run", settings={"teacher.model": str(path)}, epochs=1, baseline=False)
    save_model(tiny_models.teacher(), path)
    with pytest.raises(RunError, match=r"teacher .*t\.keras was replaced since run"):
        distill(tmp_path / "run", settings={"teacher.model": str(path)}, epochs=1, baseline=False)


def test_a_finished_run_says_its_warnings_again_and_refuses_other_data(
    tmp_path: Path, digits_dir: Path, recorder: Recorder
) -> None:
    settings = {"data.source": "auto", "split.validation_fraction": 0.2}
    distill(tmp_path / "run", settings=settings, baseline=False, epochs=1)
    distill(tmp_path / "run", settings=settings, baseline=False, epochs=1, progress=recorder)
    assert recorder.warnings[0].startswith("NOT the whole MNIST")
    assert "finished already" in recorder.notes[-1]
    with pytest.raises(RunError, match="the data changed since run"):
        distill(tmp_path / "run", settings=settings, baseline=False, epochs=1, data_dir=digits_dir)


def test_a_teacher_that_ends_in_softmax_is_noticed(tmp_path: Path, recorder: Recorder) -> None:
    distill(
        tmp_path / "run", settings={"teacher.model": "tiny_models:softmax"}, epochs=1, baseline=False, progress=recorder
    )
    assert any("ends in probabilities" in warning for warning in recorder.warnings)
    with np.load(tmp_path / "run" / "outputs" / "test.npz") as outputs:
        assert (outputs["teacher_logits"] <= 0).all()


def test_swapped_teacher_and_student_are_warned_about() -> None:
    big = {"flops": 1000, "metrics": {"accuracy": 0.99}}
    small = {"flops": 100, "metrics": {"accuracy": 0.98}}
    assert swapped_roles_warning(big, small) is None
    assert "look swapped: the student needs 10.0 times the teacher's FLOPs" in (swapped_roles_warning(small, big) or "")
    assert swapped_roles_warning(small, {"flops": 1000, "metrics": {"accuracy": 0.97}}) is None
    assert swapped_roles_warning(small, {**big, "flops": int(1.05 * small["flops"])}) is None  # a born-again network
    assert swapped_roles_warning({**small, "flops": None}, big) is None


def test_changed_data_is_refused(tmp_path: Path, digits_dir: Path) -> None:
    class Stop(Recorder):
        def epoch(self, *args: Any) -> None:
            raise KeyboardInterrupt

    settings = {"data.source": "auto", "split.validation_fraction": 0.2}
    with pytest.raises(KeyboardInterrupt):
        distill(tmp_path / "run", data_dir=digits_dir, settings=settings, limit=None, progress=Stop())
    labels = digits_dir / "train-labels-idx1-ubyte"
    content = labels.read_bytes()
    labels.write_bytes(content[:-1] + bytes([(content[-1] + 1) % 10]))
    with pytest.raises(RunError, match="the data changed since run"):
        distill(tmp_path / "run", data_dir=digits_dir, settings=settings, limit=None)
