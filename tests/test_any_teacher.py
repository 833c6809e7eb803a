"""Whole runs with teachers and data from elsewhere."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import keras
import numpy as np
import other_models
import pytest
from conftest import Recorder

import kdcompress
from kdcompress.data import Dataset
from kdcompress.errors import RecipeError, RunError, TargetsError
from kdcompress.metrics.softmax import softmax

pytestmark = pytest.mark.slow

PLAIN = {"student.model": "tiny_models:plain", "data.source": "embedded", "split.limit": 600, "training.epochs": 2}
PIXELS = {"teacher.preprocessing.scale": "1/255"}
PYTORCH = {**PIXELS, "teacher.preprocessing.mean": other_models.MEAN, "teacher.preprocessing.std": other_models.STD}
SHUFFLED = (3, 1, 4, 0, 5, 9, 2, 6, 8, 7)
IN_ORDER = [str(digit) for digit in SHUFFLED]


def distill(out: Path, teacher: Any, settings: dict[str, Any], **choices: Any) -> kdcompress.Run:
    choices = {"baseline": False, **choices}
    return kdcompress.distill("mnist-demo", out=out, teacher=teacher, settings={**PLAIN, **settings}, **choices)


def weights(run: kdcompress.Run) -> list[np.ndarray]:
    return list(run.student().get_weights())


@pytest.fixture(scope="module")
def by_keras(network: Any, tmp_path_factory: pytest.TempPathFactory) -> kdcompress.Run:
    """The run that all others are held against: the network as a .keras file."""
    folder = tmp_path_factory.mktemp("keras")
    other_models.with_scaling(network).save(folder / "t.keras")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KDCOMPRESS_CACHE_DIR", str(folder / "cache"))
        return distill(folder / "run", folder / "t.keras", {})


def test_a_pytorch_style_teacher_gives_the_same_student_and_goes_all_the_way(
    network: Any, by_keras: kdcompress.Run, tmp_path: Path, recorder: Recorder
) -> None:
    path = other_models.onnx_file(network, tmp_path / "t.onnx", normalised=True, softmax=True, order=SHUFFLED)
    settings = {**PYTORCH, "teacher.preprocessing.classes": IN_ORDER}
    run = distill(tmp_path / "run", path, settings, progress=recorder)
    for a, b in zip(weights(run), weights(by_keras), strict=True):
        assert a == pytest.approx(b, abs=1e-3)
    assert run.result["teacher"]["metrics"] == by_keras.result["teacher"]["metrics"]
    assert any("t.onnx ends in probabilities" in warning for warning in recorder.warnings)
    # The original is not needed any more
    path.unlink()
    verdict = kdcompress.verify(run)
    assert verdict["flops_ratio_from"] == "macs"
    assert verdict["teacher"]["params"] == network.count_params()
    kdcompress.export(run, ["onnx", "tflite"])
    timed = kdcompress.bench(run, threads=[1], duration=0.05, max_slowdown=1e6)
    # The teacher does not run on litert: the student there is compared with it across runtimes, and not gated
    pairs = [(one["runtime"], one["teacher_runtime"], one["across_runtimes"]) for one in timed["comparisons"]]
    assert pairs == [("onnxruntime", "onnxruntime", False), ("litert", "onnxruntime", True)]
    assert [model["name"] for model in timed["models"]] == ["teacher", "student", "student"]
    assert [(gate["runtime"], gate["passed"]) for gate in timed["gates"]] == [("onnxruntime", True)]
    (skipped,) = timed["skipped"]
    assert "is a .onnx file" in skipped
    assert skipped.endswith("students there are compared with it on onnxruntime, across runtimes")
    verdict = kdcompress.verify(run)
    assert verdict["ratios"]["latency"] == pytest.approx(1 / timed["comparisons"][0]["speedup"], rel=0.5)
    page = Path(kdcompress.report(run)["report"]).read_text()
    assert "distilled from t.onnx on mnist" in page
    assert "ONNX Runtime, student fp32, teacher as its file has it" in page
    assert "as an ONNX file → " in page


@pytest.mark.parametrize("kind", ["h5", "saved_model", "tflite", "nhwc", "logits"])
def test_every_kind_gives_the_same_student(
    kind: str, network: Any, by_keras: kdcompress.Run, digits: Dataset, tmp_path: Path
) -> None:
    settings: dict[str, Any] = PIXELS
    if kind == "h5":
        network.save(tmp_path / "t.h5")
        teacher = tmp_path / "t.h5"
    elif kind == "saved_model":
        teacher = other_models.saved_model(network, tmp_path / "t")
    elif kind == "tflite":
        teacher = other_models.tflite_file(network, tmp_path / "t.tflite")
    elif kind == "nhwc":
        teacher = other_models.onnx_file(network, tmp_path / "t.onnx", nchw=False)
    else:
        every = [digits.train, digits.test]
        logits = np.concatenate([np.asarray(network(part.images / 255.0)) for part in every])
        np.savez(tmp_path / "t.npz", logits=logits, ids=np.concatenate([part.ids for part in every]))
        teacher, settings = tmp_path / "t.npz", {}
    run = distill(tmp_path / "run", teacher, settings)
    for a, b in zip(weights(run), weights(by_keras), strict=True):
        assert a == pytest.approx(b, abs=1e-3)
    shutil.rmtree(teacher) if teacher.is_dir() else teacher.unlink()
    verdict = kdcompress.verify(run)
    known = None if kind == "logits" else network.count_params()
    assert verdict["teacher"]["params"] == known
    accuracy = by_keras.result["teacher"]["metrics"]["accuracy"]
    assert verdict["teacher"]["metrics"]["accuracy"] == pytest.approx(accuracy, abs=1e-3)
    if kind in ("h5", "nhwc"):
        return  # timed and told as a SavedModel and an ONNX file are
    kdcompress.export(run, "onnx")
    timed = kdcompress.bench(run, threads=[1], duration=0.05, max_slowdown=1e6)
    runtimes = [one["teacher_runtime"] for one in timed["comparisons"]]
    assert runtimes == {"logits": [], "tflite": ["litert"]}.get(kind, ["onnxruntime"])
    (gate,) = timed["gates"]  # across runtimes if there is no other ratio
    assert (gate["passed"], gate["across_runtimes"]) == (kind != "logits", kind == "tflite")
    page = Path(kdcompress.report(run)["report"]).read_text()
    assert ("than the teacher, across runtimes" in page) == (kind == "tflite")
    assert "not measured" not in page


def test_a_run_goes_on_with_the_teacher_that_it_kept(network: Any, tmp_path: Path, recorder: Recorder) -> None:
    class Stop(Recorder):
        def epoch(self, *args: Any) -> None:
            raise KeyboardInterrupt

    path = other_models.onnx_file(network, tmp_path / "t.onnx")
    with pytest.raises(KeyboardInterrupt):
        distill(tmp_path / "run", path, PIXELS, progress=Stop())
    assert (tmp_path / "run" / "teacher.onnx").read_bytes() == path.read_bytes()
    whole = weights(distill(tmp_path / "whole", path, PIXELS))
    run = distill(tmp_path / "run", path, PIXELS, progress=recorder)
    assert any("from the cache" in note for note in recorder.notes)
    assert all(np.array_equal(a, b) for a, b in zip(weights(run), whole, strict=True))
    other_models.onnx_file(network, path, order=SHUFFLED)
    with pytest.raises(RunError, match=r"teacher .*t\.onnx was replaced since run"):
        distill(tmp_path / "run", path, PIXELS)
    path.unlink()
    assert distill(tmp_path / "run", path, PIXELS).result == run.result  # a finished run needs it no more
    with pytest.raises(RecipeError, match=r"teacher\.model: model file .*t\.onnx does not exist"):
        distill(tmp_path / "other", path, PIXELS)


def test_several_teachers_are_labelled_once_each_and_averaged(
    network: Any, digits: Dataset, tmp_path: Path, recorder: Recorder
) -> None:
    one = other_models.with_scaling(network)
    other = keras.models.clone_model(one)
    rng = np.random.default_rng(0)
    other.set_weights([w + rng.normal(scale=0.05, size=w.shape) for w in one.get_weights()])
    one.save(tmp_path / "a.keras")
    path = other_models.onnx_file(keras.Sequential(other.layers[1:]), tmp_path / "b.onnx")
    members = [
        {"model": str(tmp_path / "a.keras"), "weight": 3},
        {"model": str(path), "preprocessing": {"scale": "1/255"}},
    ]
    settings = {"teacher.model": "", "teacher.members": members}
    run = distill(tmp_path / "run", None, settings, progress=recorder)
    assert recorder.phases.count("labelling") == 2
    with np.load(run.path / "outputs" / "test.npz") as outputs:
        found = softmax(outputs["teacher_logits"])
    images = digits.test.images.astype(np.float32)
    p, q = (softmax(np.asarray(model(images))) for model in (one, other))
    assert found == pytest.approx((3 * p + q) / 4, abs=1e-4)
    distill(tmp_path / "by logits", None, {**settings, "teacher.combine": "logits"}, progress=recorder)
    assert recorder.phases.count("labelling") == 2  # each teacher's answers were there
    verdict = kdcompress.verify(run)
    assert verdict["teacher"]["params"] == 2 * network.count_params()
    assert {layer["name"].split("/")[0] for layer in verdict["teacher"]["layers"]} == {"teacher-1", "teacher-2"}
    kdcompress.export(run, "onnx")
    assert "it is an ensemble of 2 teachers" in " ".join(kdcompress.bench(run, threads=[1], duration=0.05)["skipped"])
    assert "b.onnx" in Path(kdcompress.report(run)["report"]).read_text()
    # Two of the zoo, with seeds of their own, in one line of Python
    both = ["mnist_mlp", str(tmp_path / "a.keras")]
    result = distill(tmp_path / "two", both, {}, epochs=1).result
    assert result["teacher"]["params"] == 1_238_730 + network.count_params()


@pytest.mark.parametrize(
    ("how", "settings", "words"),
    [
        (
            {"dark": True},
            {},
            r"with teacher\.preprocessing: scale = '1/255' it is right on 9.* %, .*; teacher\.check = false goes",
        ),
        (
            {"order": SHUFFLED},
            PIXELS,
            r"its classes are in another order, in which it is right on 9.* %: set teacher\.preprocessing\.classes = "
            r'\["3", "1", "4", "0", "5", "9", "2", "6", "8", "7"\]',
        ),
        (
            {"order": SHUFFLED, "dark": True},
            {},
            r"with teacher\.preprocessing: scale = '1/255' and teacher\.preprocessing\.classes = \[\"3\", \"1\"",
        ),
        ({"order": (1, 0, *range(2, 10))}, PIXELS, r'classes = \["1", "0", "2", "3"'),
        (
            {"order": SHUFFLED},
            {**PIXELS, "teacher.preprocessing.classes": IN_ORDER[::-1]},
            r'classes = \["3", "1", "4", "0", "5", "9", "2", "6", "8", "7"\]',
        ),
    ],
)
def test_a_teacher_that_knows_nothing_is_stopped_with_what_to_set(
    how: dict[str, Any], settings: dict[str, Any], words: str, network: Any, tmp_path: Path
) -> None:
    path = other_models.onnx_file(network, tmp_path / "t.onnx", **how)
    with pytest.raises(TargetsError, match=words) as caught:
        distill(tmp_path / "run", path, settings)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_a_teacher_that_answers_in_certainties_is_warned_about(
    network: Any, tmp_path: Path, recorder: Recorder
) -> None:
    """A wrong scale of pixels leaves most answers right, but nothing soft in them."""
    path = other_models.onnx_file(network, tmp_path / "t.onnx")
    run = distill(tmp_path / "run", path, {}, progress=recorder)
    (warning,) = [text for text in recorder.warnings if "t.onnx" in text]
    assert "answers in certainties" in warning
    assert "with teacher.preprocessing: scale = '1/255' it is right on 9" in warning
    assert warning in run.result["warnings"]
    again = Recorder()
    distill(tmp_path / "second", path, {}, progress=again, seed=1)  # the targets are in the cache
    assert warning in again.warnings
    right = Recorder()
    distill(tmp_path / "right", path, PIXELS, progress=right)
    assert not [text for text in right.warnings if "t.onnx" in text]


def test_logits_of_other_images_are_warned_about(
    network: Any, digits: Dataset, tmp_path: Path, recorder: Recorder
) -> None:
    every = [digits.train, digits.test]
    logits = np.concatenate([np.asarray(network(part.images / 255.0)) for part in every])
    logits[4000:] = np.roll(logits[4000:], 137, axis=0)
    np.savez(tmp_path / "t.npz", logits=logits, ids=np.concatenate([part.ids for part in every]))
    distill(tmp_path / "run", tmp_path / "t.npz", {}, progress=recorder)
    assert any("on test the teacher is right on" in warning for warning in recorder.warnings)


def test_a_second_run_finds_targets_of_a_teacher_with_its_own_order(
    network: Any, tmp_path: Path, recorder: Recorder
) -> None:
    path = other_models.onnx_file(network, tmp_path / "t.onnx", order=SHUFFLED)
    settings = {**PIXELS, "teacher.preprocessing.classes": IN_ORDER}
    distill(tmp_path / "one", path, settings, progress=recorder)
    distill(tmp_path / "other", path, settings, progress=recorder, seed=1)
    assert recorder.phases.count("labelling") == 1
    # Members of an ensemble are fed as [teacher.preprocessing] says
    twice = distill(tmp_path / "twice", [path, path], settings, progress=recorder, seed=2)
    assert recorder.phases.count("labelling") == 1
    assert len(twice.result["warnings"]) == 1


def test_an_untrained_teacher_is_stopped_unless_told_otherwise(tmp_path: Path, recorder: Recorder) -> None:
    with pytest.raises(TargetsError, match=r"right on \d+\.\d % of 200 labelled.*chance: 10\.0 %.*likely it expects"):
        distill(tmp_path / "run", "tiny_models:subclassed", {})
    run = distill(tmp_path / "run", "tiny_models:subclassed", {"teacher.check": False})
    assert run.result["teacher"]["metrics"]["accuracy"] < 0.3


def test_unlabelled_images_are_learned_from_with_the_teacher_alone(
    network: Any, digits: Dataset, tmp_path: Path, recorder: Recorder
) -> None:
    other_models.with_scaling(network).save(tmp_path / "t.keras")
    other_models.save_images(digits.train.take(np.arange(2000, 3000)), tmp_path / "more")
    choices = {"unlabelled": tmp_path / "more", "baseline": True}
    run = distill(tmp_path / "run", tmp_path / "t.keras", {}, progress=recorder, **choices)
    assert run.result["dataset"]["n_unlabelled"] == 1000
    assert any("1,000 unlabelled images beside them" in note for note in recorder.notes)
    rows = [line.split(",") for line in (run.path / "history.csv").read_text().splitlines()]
    assert {row[0] for row in rows[1:]} == {"student", "baseline"}
    # The images are seen: the student is better than one that has the 600 alone
    alone = distill(tmp_path / "alone", tmp_path / "t.keras", {}, progress=recorder)
    accuracy = [one.result["student"]["metrics"]["accuracy"] for one in (run, alone)]
    assert accuracy[0] > accuracy[1]
    kdcompress.export(run, "onnx")
    assert "report" in kdcompress.report(run)
    with pytest.raises(RecipeError, match="unlabelled images teach nothing without the teacher's outputs"):
        distill(tmp_path / "vain", tmp_path / "t.keras", {}, alpha=0.0, unlabelled=tmp_path / "more")
    with pytest.raises(RecipeError, match="unlabelled images teach nothing"):
        distill(tmp_path / "vain", tmp_path / "t.keras", {}, method="none", unlabelled=tmp_path / "more")


def test_from_an_image_folder_to_a_shipped_file(network: Any, digits: Dataset, tmp_path: Path) -> None:
    """All verbs on images that are read from disk, and the same student as from the same pixels in memory."""
    names = [f"digit {name}" for name in "0123456789"]
    photos = tmp_path / "photos"
    for part, n in (("train", 500), ("test", 200)):
        samples = getattr(digits, part)
        some = samples.take(np.arange(0, len(samples), len(samples) // n)[:n])
        other_models.save_images(some, photos / part, names)
    path = other_models.onnx_file(network, tmp_path / "t.onnx", batch=1)
    recipe = {
        "name": "own",
        "data": {"name": "folder", "dir": str(photos)},
        "teacher": {"model": str(path), "preprocessing": {"scale": "1/255"}},
        "student": {"model": "tiny_models:plain"},
        "method": {"name": "hinton"},
        "split": {"validation_fraction": 0.2},
        "training": {"epochs": 2, "batch_size": 50},
        "views": {"count": 2},
    }
    run = kdcompress.distill(recipe, out=tmp_path / "run")
    assert run.result["dataset"]["n_train"] == 400
    arrays = {}
    for part in ("train", "test"):
        files = sorted((photos / part).glob("*/*.png"))
        arrays[f"x_{part}"] = np.stack([_pixels(file) for file in files])
        arrays[f"y_{part}"] = np.array([names.index(file.parent.name) for file in files])
        arrays[f"ids_{part}"] = np.array([str(file.relative_to(photos)) for file in files])
    np.savez(tmp_path / "same.npz", **arrays, classes=np.array(names))
    same = {**recipe, "data": {"name": "arrays", "dir": str(tmp_path / "same.npz")}}
    for a, b in zip(weights(run), weights(kdcompress.distill(same, out=tmp_path / "same")), strict=True):
        assert np.array_equal(a, b)
    assert kdcompress.verify(run)["passed"]
    exported = kdcompress.export(run, ["onnx", "tflite"], ["fp32", "int8"])
    assert [one["parity"]["n"] for one in exported["artefacts"]] == [200] * 4
    timed = kdcompress.bench(run, threads=[1], batch_sizes=[1], duration=0.05)
    assert timed["comparisons"]
    assert kdcompress.predict(run.path, [photos / "test" / "digit 7"])[0]["class"].startswith("digit")
    manifest = json.loads((run.path / "manifest.json").read_text())
    assert manifest["dataset"]["source"] == str(photos)


def _pixels(file: Path) -> np.ndarray:
    from PIL import Image

    return np.asarray(Image.open(file))


def test_a_zoo_teacher_has_its_preprocessing_inside(tmp_path: Path, network: Any) -> None:
    with pytest.raises(RecipeError, match=r"mnist_mlp is a zoo model, which has its preprocessing inside"):
        distill(tmp_path / "run", "mnist_mlp", PIXELS, epochs=1)
    path = other_models.onnx_file(network, tmp_path / "t.onnx")
    run = distill(tmp_path / "both", ["mnist_mlp", path], PIXELS, epochs=1)  # each as it wants it
    assert run.result["teacher"]["metrics"]["accuracy"] > 0.85
