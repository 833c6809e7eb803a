"""Whole runs with few labels, their teachers, and teachers of classes that a recipe merges."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Recorder
from tiny_runs import distill

from kdcompress.config.recipe import resolve
from kdcompress.data import Dataset
from kdcompress.errors import ModelError, RecipeError
from kdcompress.pipeline.data import RecipeData
from kdcompress.pipeline.experiment import Experiment
from kdcompress.pipeline.planning import plan_run
from kdcompress.pipeline.zoo import ZooTeacher
from kdcompress.progress import Progress
from kdcompress.runs.folder import RunFolder

MERGED = {
    "superclasses.low": list("01234"),
    "superclasses.high": list("56789"),
    "student.model": "mnist_mlp",
}


def teacher_key(settings: dict[str, Any]) -> dict[str, Any]:
    recipe = resolve("mnist-demo", settings)
    data = RecipeData(recipe, Progress())
    return ZooTeacher(recipe, recipe.teacher.teachers[0], data.split, Experiment(recipe, data).method).key


def test_a_teacher_with_all_labels_is_that_of_the_recipe_without_few() -> None:
    few = {"split.labels_per_class": 5}
    whole = teacher_key({})
    assert teacher_key({**few, "teacher.labels": "all"}) == whole
    assert teacher_key({**few, "teacher.labels": "all", "split.labels_seed": 7}) == whole
    assert teacher_key({"teacher.labels": "all"}) == whole
    assert teacher_key(few) != whole
    assert teacher_key(few) != teacher_key({**few, "split.labels_seed": 7})


@pytest.mark.slow
def test_a_run_learns_from_the_images_without_labels_and_says_so(tmp_path: Path, recorder: Recorder) -> None:
    few = {"split.labels_per_class": 4, "teacher.model": "tiny_models:teacher"}
    run = distill(tmp_path / "run", settings=few, epochs=2, progress=recorder, baseline=True)
    data = run.result["dataset"]
    assert data["n_train"] == 40 and data["n_unlabelled"] == 360 - 40
    assert any(note.startswith("labels: 40 to train on, 4 of each class, and ") for note in recorder.notes)
    assert any(f"{data['n_unlabelled']:,} unlabelled images beside them" in note for note in recorder.notes)
    with (run.path / "history.csv").open() as file:
        phases = {row["phase"] for row in csv.DictReader(file)}
    assert phases == {"student", "baseline"}
    # The same again, after what a kill would leave: from the file of the student
    again = distill(tmp_path / "run", settings=few, epochs=2, baseline=True)
    assert again.result["student"] == run.result["student"]
    other = distill(
        tmp_path / "pseudo",
        settings={**few, "method.name": "pseudo", "method.threshold": 0.5},
        epochs=2,
        baseline=False,
    )
    assert other.result["student"]["metrics"] != run.result["student"]["metrics"]


def test_a_teacher_of_the_data_s_own_classes_is_told_of_the_merging(tmp_path: Path) -> None:
    end = r"\[superclasses\] merges the data's classes, and a teacher gives logits of low, high"
    with pytest.raises(ModelError, match=rf"has 10 classes, the data has 2 classes; .*{end}"):
        distill(tmp_path / "run", settings={**MERGED, "teacher.model": "tiny_models:normalized"}, epochs=1)


def test_logits_and_names_of_the_data_s_own_classes_are_told_of_the_merging(tmp_path: Path, digits: Dataset) -> None:
    ids = np.concatenate([digits.train.ids, digits.test.ids])
    np.savez(tmp_path / "logits.npz", ids=ids, logits=np.random.default_rng(0).normal(size=(len(ids), 10)))
    settings = {**MERGED, "teacher.model": str(tmp_path / "logits.npz")}
    with pytest.raises(
        ModelError, match=r"has 10 classes, the data has 2 classes; .* a teacher gives logits of low, high"
    ):
        distill(tmp_path / "run", settings=settings, epochs=1)
    settings["teacher.preprocessing.classes"] = list("0123456789")
    with pytest.raises(RecipeError, match=r"classes lacks 'low'; .* by the data's names; \[superclasses\] merges"):
        distill(tmp_path / "run2", settings=settings, epochs=1)


@pytest.mark.parametrize(("labels", "words"), [("all", " with the labels of all 360 images"), ("kept", "")])
def test_a_dry_run_says_which_labels_the_teacher_is_trained_with(labels: str, words: str, tmp_path: Path) -> None:
    settings = {"split.labels_per_class": 4, "teacher.labels": labels}
    recipe = resolve("mnist-demo", {**settings, "split.limit": 400})
    plan = plan_run(recipe, RunFolder(tmp_path / "run"), Progress()).document
    assert plan["teacher"]["todo"] == f"trained first, 12 epochs{words}"
    assert (plan["dataset"]["n_train"], plan["dataset"]["n_unlabelled"]) == (40, 320)
