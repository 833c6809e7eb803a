"""Sweeps over all methods: those that fit are tried, each with its own settings, and the others are named."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import keras
import numpy as np
import other_models
import pytest
import two_class_runs
from conftest import Recorder
from mhist_folder import mhist_folder
from published import check_published
from typer.testing import CliRunner

import kdcompress
from kdcompress import registry
from kdcompress.cli._app import app
from kdcompress.config.recipe import resolve
from kdcompress.errors import RecipeError, UsageError
from kdcompress.methods.hinton import Hinton
from kdcompress.sweeping._options import make_space

pytestmark = pytest.mark.slow

TINY: dict[str, Any] = {"student.model": "tiny_models:plain", "data.source": "embedded", "training.batch_size": 50}


class Sharper(Hinton):
    """A method of somebody else's."""

    temperature: float = 0.5
    wants: ClassVar[tuple[str, ...]] = ("logits",)


class Asking(Hinton):
    """A method with a setting that has no default."""

    strength: float


def test_the_space_has_each_method_with_its_own_values() -> None:
    base = resolve("mnist-demo", {"method.temperature": 8.0, "method.alpha": 0.25})
    space = make_space(base, ["all"], None, None, 2, None)
    assert space.methods == tuple(registry.choices("methods"))
    settings = {setting.method: setting for setting in space.settings}
    assert (settings["hinton"].temperature, settings["hinton"].alpha) == (8.0, 0.25)  # the recipe's own
    assert (settings["dist"].temperature, settings["dist"].alpha) == (4.0, 0.5)  # its defaults
    assert settings["none"].tuned == {}
    assert space.trainings == 2 * len(space.settings)
    assert type(space).from_dict(space.to_dict()).settings == space.settings


def test_values_given_apply_to_the_methods_that_have_them() -> None:
    space = make_space(resolve("mnist-demo"), ["all"], [1, 4], None, 1, None)
    by_method = {method: len(space.settings_of(method)) for method in space.methods}
    assert (by_method["hinton"], by_method["none"]) == (2, 1)
    assert {setting.alpha for setting in space.settings_of("dist")} == {0.5}


def test_methods_of_others_join_in_and_those_that_need_more_are_left_out() -> None:
    names = ["all", f"{__name__}:Sharper", f"{__name__}:Asking"]
    space = make_space(resolve("mnist-demo"), names, None, None, 1, None)
    assert space.settings_of(names[1])[0].temperature == 0.5
    assert names[2] not in space.methods
    assert "method.strength" in space.left_out[names[2]]


def test_all_methods_are_compared_and_not_searched() -> None:
    with pytest.raises(UsageError, match="--method all compares methods, --trials searches between values, got both"):
        make_space(resolve("mnist-demo"), ["all"], [1, 4], None, 1, 5)


def test_a_value_that_no_method_accepts_is_told() -> None:
    space = make_space(resolve("mnist-demo"), ["all"], [0.0], None, 1, None)
    assert "method.temperature must be > 0" in space.left_out["hinton"]
    assert "none" in space.methods
    assert not {"hinton", "dist", "dkd"} & set(space.methods)


@pytest.fixture(scope="module")
def teacher(network: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained teacher of ten outputs."""
    path = tmp_path_factory.mktemp("teacher") / "t.keras"
    other_models.with_scaling(network).save(path)
    return path


def test_every_method_that_fits_is_trained_and_the_result_says_which_is_best(
    teacher: Path, tmp_path: Path, recorder: Recorder
) -> None:
    sweep: dict[str, Any] = {
        "teacher": teacher, "epochs": 1, "limit": 300, "seeds": 2, "settings": TINY, "out": tmp_path / "sweep",
    }  # fmt: skip
    result = kdcompress.sweep("mnist-demo", methods=["all"], progress=recorder, **sweep)
    left_out = {one["method"]: one["reason"] for one in result["left_out"]}
    tried = {setting["method"] for setting in result["settings"]}
    assert tried | left_out.keys() == set(registry.choices("methods"))
    assert {"hinton", "dist", "dkd", "none"} <= tried
    assert "outputs" in left_out["subclass"]  # the file has ten, subclasses are twenty
    assert any(note.startswith("left out: subclass: ") for note in recorder.notes)
    size = (
        f"to train: {2 * len(tried)} students of 1 epochs ({len(tried)} methods, {len(tried)} settings, 2 times each)"
    )
    assert any(note.startswith(size) for note in recorder.notes)
    assert recorder.notes.index(next(n for n in recorder.notes if n.startswith("to train"))) < recorder.notes.index(
        next(n for n in recorder.notes if "seed 0" in n)
    )
    check_published(tmp_path / "sweep" / "sweep.json")
    _check_comparison(result)
    page = Path(kdcompress.report(tmp_path / "sweep")["report"]).read_text()
    for words in ("Is it better than the others?", "Methods that do not fit", "corrected for all pairs"):
        assert words in page
    again = Recorder()
    assert kdcompress.sweep("mnist-demo", methods=["all"], progress=again, **sweep)["settings"] == result["settings"]
    assert not any("seed 0" in note for note in again.notes)
    arguments = [
        "sweep", "mnist-demo", "--method", "all", "--teacher", str(teacher), "--epochs", "1", "--limit", "300",
        "--seeds", "2", "--out", str(tmp_path / "sweep"),
    ]  # fmt: skip
    options = [word for key, value in TINY.items() for word in ("--set", f"{key}={value}")]
    done = CliRunner().invoke(app, [*arguments, *options])
    assert done.exit_code == 0, done.output
    assert "left out       subclass: " in done.stdout
    assert f"compared       {result['comparison']['sentence']}" in done.stdout


def _check_comparison(result: Any) -> None:
    """Compare what is told with what the trials say."""
    values: dict[str, list[float]] = {}
    for trial in sorted(result["trials"], key=lambda trial: trial["seed"]):
        values.setdefault(trial["method"], []).append(trial["val"])
    comparison, best = result["comparison"], result["best"]["method"]
    assert {one["method"] for one in comparison["others"]} == values.keys() - {best}
    assert comparison["pairs"] == len(values) * (len(values) - 1) // 2
    for one in comparison["others"]:
        assert one["difference"]["mean"] == pytest.approx(np.mean(values[best]) - np.mean(values[one["method"]]))
        assert one["difference"]["low"] < one["difference"]["mean"] < one["difference"]["high"]


def test_two_classes_leave_out_what_ranks_classes(tmp_path: Path, recorder: Recorder) -> None:
    folder = mhist_folder(tmp_path / "mhist", train=64, test=32)
    recipe = {"name": "own", "data": {"name": "mhist", "dir": str(folder)}, "method": {"name": "hinton"}}
    result = kdcompress.sweep(
        recipe, methods=["all"], seeds=1, epochs=1, out=tmp_path / "sweep", progress=recorder,
        teacher=two_class_runs.small("big", 8), student=two_class_runs.small("little", 2),
        settings={"teacher.check": False, "split.validation_fraction": 0.25},
    )  # fmt: skip
    left_out = {one["method"]: one["reason"] for one in result["left_out"]}
    assert left_out["dkd"].startswith("method dkd is hinton with two classes")
    assert {"dist", "hinton", "none"} <= {setting["method"] for setting in result["settings"]}
    assert "in one seed" in result["comparison"]["sentence"]


def test_where_nothing_fits_the_reason_is_that_of_the_recipe(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.keras"
    keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Flatten(), keras.layers.Dense(7)]).save(wrong)
    with pytest.raises(RecipeError, match=r"--method all: none fits; hinton: .*7"):
        kdcompress.sweep("mnist-demo", methods=["all"], teacher=wrong, limit=300, out=tmp_path / "s", settings=TINY)
