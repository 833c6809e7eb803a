"""What models start from: the recipe's keys, what caches and runs depend on, and what the user is told."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from conftest import Recorder
from own_images import pictures

from kdcompress.api._distill import plan
from kdcompress.config.checks import check_files
from kdcompress.config.recipe import Recipe, resolve
from kdcompress.errors import RecipeError, RunError
from kdcompress.methods import make_method
from kdcompress.models import load_model
from kdcompress.pipeline.data import RecipeData
from kdcompress.pipeline.experiment import Experiment
from kdcompress.pipeline.student import StudentFactory
from kdcompress.pipeline.zoo import ZooTeacher
from kdcompress.runs.folder import RunFolder

NARROW = {"student.model": "mobilenetv2", "student.width": 0.35}


def asked(**overrides: Any) -> Recipe:
    """The demo recipe with dotted keys, whose dots are written as two underscores."""
    return resolve("mnist-demo", {key.replace("__", "."): value for key, value in overrides.items()}, files=False)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "w.h5"
    path.write_bytes(b"some weights")
    return path


@pytest.fixture
def own(tmp_path: Path) -> dict[str, Any]:
    """A recipe on a few images of 96 pixels, with a narrow student that starts from a file."""
    pictures(tmp_path / "images" / "train", 6, size=(96, 96))
    pictures(tmp_path / "images" / "test", 2, size=(96, 96))
    model = load_model(
        "mobilenetv2", (96, 96, 3), 5, "student", initialization=resolve("mnist-demo", NARROW).student.initialization
    )
    model.save_weights(tmp_path / "start.weights.h5")
    training = {"epochs": 1, "batch_size": 4}
    model_section = {"model": "mobilenetv2", "width": 0.35, "pretrained": str(tmp_path / "start.weights.h5")}
    return {
        "name": "own",
        "data": {"name": "folder", "dir": str(tmp_path / "images")},
        "split": {"validation_fraction": 0.2},
        "training": training,
        "teacher": {**model_section, "training": training},
        "student": dict(model_section),
    }


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"student.pretrained": "imagenett"}, "student.pretrained must be none, imagenet or a weights file "
         "(.h5, .hdf5, .keras), got 'imagenett' (did you mean 'imagenet'?)"),
        ({"student.pretrained": "imagenet"}, "student.pretrained = 'imagenet' is for mobilenetv2, "
         "resnet50v2 and the keras:NAME that take it (kdcompress list models); mnist_mlp takes none, leave it out"),
        ({"student.width": 0.5}, "student.width = 0.5 is for ds_cnn, mobilenetv2, tiny_cnn and the keras:NAME "
         "that take it (kdcompress list models); mnist_mlp takes none"),
        ({"teacher.model": "resnet50v2", "teacher.width": 0.5}, "teacher.width = 0.5 is for ds_cnn, mobilenetv2, "
         "tiny_cnn and"),
        ({"teacher.model": "a:b", "teacher.pretrained": "w.h5"}, "a:b takes none, leave it out"),
        ({"student.model": "mobilenetv2", "student.width": 0}, "student.width must be > 0, got 0"),
        ({"teacher.model": "", "teacher.members": [{"model": "resnet50v2"}, {"model": "mnist_cnn", "width": 2.0}]},
         "teacher.members.1.width = 2.0 is for ds_cnn, mobilenetv2, tiny_cnn and the keras:NAME that take it "
         "(kdcompress list models); mnist_cnn takes none"),
    ],
)  # fmt: skip
def test_settings_that_a_model_does_not_know(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(RecipeError) as caught:
        resolve("mnist-demo", settings, files=False)
    assert words in str(caught.value)


def test_a_path_is_relative_to_the_recipe_file(file: Path, tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text(
        'name = "r"\n[data]\nname = "mnist"\n[teacher]\nmodel = "resnet50v2"\npretrained = "imagenet"\n'
        '[student]\nmodel = "mobilenetv2"\npretrained = "w.h5"\nwidth = 0.5\n'
    )
    recipe = resolve(tmp_path / "r.toml")
    assert (recipe.student.pretrained, recipe.student.width) == (str(file.resolve()), 0.5)
    assert (recipe.teacher.pretrained, recipe.teacher.width) == ("imagenet", 1.0)
    assert recipe.files == {"student-weights": str(file.resolve())}
    file.unlink()
    with pytest.raises(RecipeError, match=r"student\.pretrained: weights file .*w\.h5 does not exist"):
        check_files(recipe)


def test_where_weights_lie_does_not_decide_a_run(file: Path, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere" / "w.h5"
    moved.parent.mkdir()
    shutil.copy(file, moved)
    digests = [
        asked(student__model="mobilenetv2", student__pretrained=str(one)).digest
        for one in (file, moved, "none", "imagenet", tmp_path / "other.h5")
    ]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 4


def test_another_model_drops_the_start_of_the_former(file: Path) -> None:
    base = asked(
        student__model="mobilenetv2", student__width=0.5, student__pretrained=str(file), teacher__model="resnet50v2",
        teacher__pretrained="imagenet",
    ).to_dict()  # fmt: skip
    recipe = resolve(base, {"student.model": "mnist_mlp", "teacher.model": "mobilenetv2"})
    assert (recipe.student.pretrained, recipe.student.width, recipe.teacher.pretrained) == ("none", 1.0, "imagenet")
    same = resolve(base, {"student.model": "mobilenetv2"})
    assert (same.student.pretrained, same.student.width) == (str(file), 0.5)
    given = resolve(base, {"student.model": "resnet50v2", "student.pretrained": "imagenet"})
    assert (given.student.pretrained, given.student.width) == ("imagenet", 1.0)


def test_members_take_over_what_their_teacher_starts_from() -> None:
    base = asked(teacher__model="mobilenetv2", teacher__pretrained="imagenet", teacher__width=0.5).to_dict()
    names = ("mobilenetv2", "resnet50v2", "mnist_cnn", "a:b")
    members = [*({"model": name} for name in names), {"model": "mobilenetv2", "pretrained": "none"}]
    recipe = resolve(base, {"teacher.model": "", "teacher.members": members})
    starts = [(one.pretrained, one.width) for one in recipe.teacher.teachers]
    assert starts == [("imagenet", 0.5), ("imagenet", 1.0), ("none", 1.0), ("none", 1.0), ("none", 0.5)]


def test_a_kept_teacher_depends_on_what_is_in_the_file(own: dict[str, Any], tmp_path: Path) -> None:
    data = RecipeData(resolve(own), Recorder())
    method = make_method({"name": "hinton"}).bind(data.classes)

    def key(**teacher: Any) -> dict[str, Any]:
        recipe = resolve({**own, "teacher": {**own["teacher"], **teacher}}, files=False)
        return ZooTeacher(recipe, recipe.teacher, data.split, method).key

    path = Path(own["teacher"]["pretrained"])
    moved = tmp_path / "moved.weights.h5"
    shutil.copy(path, moved)
    assert key(pretrained=str(moved)) == key()
    others = [key(pretrained="none"), key(pretrained="imagenet"), key(width=1.0), key(pretrained="none", width=1.0)]
    with h5py.File(moved, "a") as tree:
        tree["layers/dense/vars/1"][0] += 1
    others.append(key(pretrained=str(moved)))
    assert all(one != key() for one in others)
    assert len({str(one) for one in others}) == len(others)


@pytest.mark.parametrize("role", ["student", "teacher"])
def test_replaced_weights_are_noticed(role: str, file: Path, tmp_path: Path) -> None:
    recipe = asked(**{f"{role}__model": "mobilenetv2", f"{role}__pretrained": str(file)})
    run = RunFolder(tmp_path / "run")
    run.path.mkdir()
    files = {role: Path(name) for role, name in recipe.files.items()}
    run.check_model_files(files)
    if role == "teacher":
        file.write_bytes(b"second weights")
        run.check_model_files(files)  # not used yet
        run.update_manifest(teachers=[])
    file.unlink()
    run.check_model_files(files)  # gone: the run need not open it any more
    file.write_bytes(b"other weights")
    with pytest.raises(RunError) as caught:
        run.check_model_files(files)
    assert f"{role}'s weights file {file} was replaced since run" in str(caught.value)


def test_the_user_is_told_once_for_each_model(own: dict[str, Any], tmp_path: Path, recorder: Recorder) -> None:
    recipe = resolve(own)
    planned = plan(recipe, tmp_path / "run", recorder)
    count = f"104 of 105 layers with weights from {own['student']['pretrained']} (up to Conv_1_bn); fresh: logits"
    told = [note for note in recorder.notes if "layers with weights" in note]
    assert sorted(told) == [f"student mobilenetv2: {count}", f"teacher mobilenetv2: {count}"]
    assert planned["student"]["params"] == planned["teacher"]["params"]


def test_student_and_baseline_start_alike(own: dict[str, Any], recorder: Recorder) -> None:
    recipe = resolve(own)
    students = StudentFactory(Experiment(recipe, RecipeData(recipe, recorder)))
    method = students.experiment.method
    one, other = (students.build(method).get_weights() for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
    assert len([note for note in recorder.notes if note.startswith("student")]) == 1


@pytest.mark.parametrize(
    "model", ["mnist_mlp", "resnet50v2", "tiny_cnn", "keras:VGG16", "keras_hub:resnet_18_imagenet", "a:b"]
)
def test_the_defaults_are_accepted_for_every_model(model: str) -> None:
    """One recipe with both settings serves many models."""
    plain = resolve("mnist-demo", {"student.model": model}, files=False)
    settings = {"student.model": model, "student.pretrained": "none", "student.width": 1.0}
    assert resolve("mnist-demo", settings, files=False).digest == plain.digest
