"""Subclass distillation against figures by hand and slow loops."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from tiny_runs import distill

import kdcompress
from kdcompress.data import Dataset
from kdcompress.errors import ModelError, RecipeError
from kdcompress.methods import Classes, make_method
from kdcompress.methods._subclass_logits import auxiliary_loss, class_logits, intra_class_loss
from kdcompress.progress import Progress

pytestmark = pytest.mark.slow

ZOO = {"teacher.model": "mnist_mlp", "student.model": "mnist_mlp", "teacher.check": True}
TWO = {"method.name": "subclass", "method.subclasses": 2}


def softmax(z: np.ndarray) -> np.ndarray:
    e = np.exp(z.astype(np.float64))
    return np.asarray(e / e.sum(-1, keepdims=True))


def outputs(n: int = 32, d: int = 6, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(scale=3, size=(n, d)).astype(np.float32)


@pytest.mark.parametrize("sizes", [(2, 2, 2), (3, 3), (1, 3, 2), (1, 1, 4), (6,), (1,) * 6])
def test_the_probability_of_a_class_is_that_of_its_subclasses_together(sizes: tuple[int, ...]) -> None:
    z = outputs()
    p = softmax(z)
    ends = np.cumsum(sizes)
    by_hand = np.stack([p[:, end - size : end].sum(-1) for size, end in zip(sizes, ends, strict=True)], -1)
    assert softmax(np.asarray(class_logits(z, sizes))) == pytest.approx(by_hand, abs=1e-6)


def test_class_logits_far_out() -> None:
    far = np.array([[2000.0, 1999.0, -3000.0, -3001.0]], np.float32)
    expected = [[2000 + np.log1p(np.exp(-1)), -3000 + np.log1p(np.exp(-1))]]
    assert np.asarray(class_logits(far, (2, 2))) == pytest.approx(np.array(expected), rel=1e-6)


def test_permuting_subclasses_within_a_class_changes_no_class() -> None:
    z = outputs()
    order = [1, 0, 4, 2, 3, 5]
    for centred in (False, True):
        before, after = (np.asarray(class_logits(one, (2, 3, 1), centred)) for one in (z, z[:, order]))
        assert after == pytest.approx(before, abs=1e-5)


@pytest.mark.parametrize("temperature", [1.0, 20.0])
def test_the_auxiliary_loss_against_a_slow_double_loop(temperature: float) -> None:
    z = outputs(n=9, d=5).astype(np.float64)
    v = [(row - row.mean()) / row.std() for row in z]
    rows = [np.log(sum(np.exp(a @ b / temperature) for b in v)) for a in v]
    expected = np.mean(rows) - 1 / temperature - np.log(9)
    found = np.asarray(auxiliary_loss(z.astype(np.float32), temperature))
    assert found.shape == (9,)
    assert found.mean() == pytest.approx(expected, rel=1e-4)
    collapsed = np.repeat(outputs(1, 5), 9, axis=0)
    assert np.asarray(auxiliary_loss(collapsed, temperature)).mean() == pytest.approx((5 - 1) / temperature, rel=1e-4)


def test_the_auxiliary_loss_of_constant_outputs_is_finite_and_so_is_its_gradient() -> None:
    import tensorflow as tf

    z = tf.Variable(np.zeros((4, 6), np.float32))
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(auxiliary_loss(z, 20.0))
    assert np.isfinite(float(loss))
    assert np.isfinite(tape.gradient(loss, z).numpy()).all()


def test_intra_class_loss_by_hand() -> None:
    teacher, student = outputs(seed=1), outputs(seed=2)
    p, q = (softmax(z[:, :2] / 2) for z in (teacher, student))
    r, s = (softmax(z[:, 2:5] / 2) for z in (teacher, student))
    expected = 4 * ((p * np.log(p / q)).sum(-1) + (r * np.log(r / s)).sum(-1))
    assert np.asarray(intra_class_loss(teacher, student, (2, 3, 1), 2.0)) == pytest.approx(expected, rel=1e-3)
    # What lies between classes does not count
    moved = student + np.array([5, 5, -3, -3, -3, 9], np.float32)
    assert np.asarray(intra_class_loss(teacher, moved, (2, 3, 1), 2.0)) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"subclasses": 0}, r"method\.subclasses must be >= 1, got 0"),
        ({"subclasses": [2, 0]}, r"method\.subclasses"),
        ({"subclasses": [1, 3]}, r"must have a number for each of the 10 classes, got 2: \[1, 3\]"),
        ({"auxiliary_temperature": 0}, r"method\.auxiliary_temperature must be > 0, got 0"),
        ({"auxiliary_temperature": -1}, r"method\.auxiliary_temperature must be > 0, got -1"),
        ({"beta": -0.1}, r"method\.beta must be >= 0, got -0\.1"),
        ({"subclasses": "known"}, r"'known' needs data with subclasses"),
        ({"subclasses": "some"}, r"method\.subclasses"),
    ],
)
def test_settings_that_do_not_fit(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        make_method({"name": "subclass", **settings}).bind(Classes(10))


def test_one_subclass_a_class_is_hinton_exactly(tmp_path: Path) -> None:
    one = distill(tmp_path / "one", settings={"method.name": "subclass", "method.subclasses": 1})
    plain = distill(tmp_path / "plain", settings={"method.name": "hinton"})
    for name in ("student", "baseline"):
        a, b = (keras.saving.load_model(run.path / f"{name}.keras").get_weights() for run in (one, plain))
        assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def test_a_whole_run_with_a_student_that_ends_in_classes(tmp_path: Path) -> None:
    run = distill(tmp_path / "run", settings={**ZOO, **TWO})
    assert run.result["teacher"]["params"] == 1_238_730 + 785 * 10
    student = keras.saving.load_model(run.path / "student.keras")
    assert student.output_shape == (None, 10)
    assert keras.saving.load_model(run.path / "teacher.keras").output_shape == (None, 20)
    with np.load(run.path / "outputs/test.npz") as kept:
        assert (
            kept["teacher_logits"].shape == kept["student_logits"].shape == kept["baseline_logits"].shape == (1000, 10)
        )
    rows = (run.path / "history.csv").read_text().splitlines()
    assert "auxiliary_loss" in rows[0]
    again = distill(tmp_path / "run", settings={**ZOO, **TWO})
    assert again.result == run.result
    assert kdcompress.verify(run)["passed"]
    assert kdcompress.export(run, ["onnx", "tflite"], ["fp32"])["passed"]
    assert "report" in kdcompress.report(run)


def test_going_on_after_a_stop_is_as_never_stopped(tmp_path: Path) -> None:
    class Stop(Progress):
        def epoch(self, phase: str, epoch: int, epochs: int, row: Any) -> None:
            if (phase, epoch) == ("student", 1):
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        distill(tmp_path / "run", settings={**ZOO, **TWO}, progress=Stop(), baseline=False)
    run = distill(tmp_path / "run", settings={**ZOO, **TWO}, baseline=False)
    whole = distill(tmp_path / "whole", settings={**ZOO, **TWO}, baseline=False)
    pairs = zip(run.student().get_weights(), whole.student().get_weights(), strict=True)
    assert all(np.array_equal(a, b) for a, b in pairs)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            {"student.model": "mnist_mlp"},
            r"has 10 outputs, and a subclass student learns from 20 subclass logits; take a",
        ),
        (
            {**ZOO, "student.model": "tiny_models:student"},
            r"student .* has 10 classes, the method wants 20 subclass logits",
        ),
    ],
)
def test_models_without_a_head_for_subclasses(tmp_path: Path, settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ModelError, match=words):
        distill(tmp_path / "run", settings={**TWO, **settings})


KNOWN = {"low": list("01234"), "high": list("56789")}


def test_known_subclasses_are_learned_as_such(tmp_path: Path) -> None:
    settings = {
        **ZOO,
        "method.name": "subclass",
        "method.subclasses": "known",
        "superclasses": KNOWN,
        "split.limit": 2000,
    }
    run = distill(tmp_path / "run", settings=settings, epochs=6, limit=2000, baseline=False)
    assert run.result["teacher"]["metrics"]["accuracy"] > 0.9
    assert run.result["student"]["metrics"]["accuracy"] > 0.9
    assert keras.saving.load_model(run.path / "student.keras").output_shape == (None, 2)
    # The teacher's subclasses are the digits
    teacher = keras.saving.load_model(run.path / "teacher.keras")
    from kdcompress.data import make_source

    digits: Dataset = make_source({"name": "mnist", "source": "embedded"}).load(Progress())
    answers = np.asarray(teacher(digits.test.images.astype(np.float32))).argmax(-1)
    assert np.mean(answers == digits.test.labels) > 0.85


@pytest.mark.parametrize(
    ("classes", "words"),
    [
        ({"low": list("01234"), "high": list("5678")}, "class '9' is in none of them"),
        ({"low": list("01234"), "high": list("456789")}, "class '4' is named twice"),
        ({"low": list("01234"), "high": [*"56789", "ten"]}, "the data have no class 'ten'"),
        ({"low": list("01234"), "high": [*"56789", "nin"], "none": []}, "the data have no class 'nin'"),
        ({"low": list("01234"), "high": list("56789"), "none": []}, "superclasses.none must name one class or more"),
        ({"all": list("0123456789")}, "there must be two or more"),
    ],
)
def test_superclasses_that_are_wrong(tmp_path: Path, classes: dict[str, list[str]], words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        distill(tmp_path / "run", settings={"superclasses": classes})


def test_a_subclass_of_two_classes_is_refused(tmp_path: Path) -> None:
    from kdcompress.data import make_source
    from kdcompress.errors import DataError

    x = np.random.default_rng(0).integers(0, 256, (40, 8, 8), np.uint8)
    y, fine = np.arange(40) % 2, np.array(["a", "b", "c", "d"])[np.arange(40) % 4]
    np.savez(tmp_path / "fine.npz", x=x, y=y, subclasses=fine)
    data = make_source({"name": "arrays", "dir": str(tmp_path / "fine.npz")}).load(Progress())
    assert data.subclasses == (("a", "c"), ("b", "d"))
    assert data.train.subclasses is not None
    assert np.array_equal(data.train.subclasses // 2, data.train.labels)
    np.savez(tmp_path / "wrong.npz", x=x, y=y, subclasses=np.roll(fine, 1))
    mixed = fine.copy()
    mixed[0] = "b"
    np.savez(tmp_path / "wrong.npz", x=x, y=y, subclasses=mixed)
    with pytest.raises(DataError, match="subclass 'b' is in class 0 and in class 1; a subclass is of one class"):
        make_source({"name": "arrays", "dir": str(tmp_path / "wrong.npz")}).load(Progress())


def test_without_labels_a_class_is_read_by_how_sure_its_subclasses_are(tmp_path: Path) -> None:
    method = make_method({"name": "subclass", "intra_class": True, "alpha": 1.0}).bind(Classes(2))
    z = np.array([[3.0, -3.0, 50.0, 50.0], [20.0, 20.0, 9.0, 1.0]], np.float32)
    assert np.asarray(method.class_logits(z)).argmax(-1).tolist() == [0, 1]
    assert method.label_weight_at(0) == 0.0


def test_unequal_classes_without_labels_are_read_alike() -> None:
    method = make_method({"name": "subclass", "intra_class": True, "alpha": 1.0, "subclasses": [4, 6]}).bind(Classes(2))
    flat = np.zeros((1, 10), np.float32)
    assert np.asarray(method.class_logits(flat)) == pytest.approx(np.zeros((1, 2)), abs=1e-6)
    answers = np.asarray(method.class_logits(outputs(n=4000, d=10))).argmax(-1)
    assert 0.3 < answers.mean() < 0.7
    with pytest.raises(RecipeError, match=r"each class needs two or more, got \[1, 3\]"):
        make_method({"name": "subclass", "intra_class": True, "alpha": 1.0, "subclasses": [1, 3]}).bind(Classes(2))


def test_an_image_s_subclass_is_one_of_its_class() -> None:
    from kdcompress.pipeline.subclass_outputs import assign_subclasses

    z = np.array([[1.0, 1.0, 1.5, -9.0], [5.0, 0.0, 1.0, 2.0]], np.float32)
    # Two of 1.0 are together likelier than one of 1.5
    assert np.asarray(class_logits(z, (2, 2))).argmax(-1).tolist() == [0, 0]
    assert assign_subclasses(z, np.array([0, 0]), (2, 2)).tolist() == [0, 0]
    assert assign_subclasses(z, np.array([1, 1]), (2, 2)).tolist() == [2, 3]


def test_use_of_subclasses_by_hand() -> None:
    from kdcompress.metrics.subclasses import subclass_usage

    assigned = np.array([0] * 6 + [1] * 2 + [2] * 4 + [5] * 8)
    found = subclass_usage(assigned, np.array([2, 2, 2]), np.array([1] * 6 + [0] * 2 + [2] * 4 + [4] * 8))
    assert found["shares"] == [[0.75, 0.25], [1.0, 0.0], [0.0, 1.0]]
    entropy = -(0.75 * np.log(0.75) + 0.25 * np.log(0.25)) / np.log(2)
    assert found["utilisation"] == pytest.approx([entropy, 0.0, 0.0])
    assert found["died"] == [3, 4]
    assert found["agreement"] == 1.0  # by other numbers
    empty = subclass_usage(np.array([0, 1]), np.array([2, 2]))
    assert (empty["died"], empty["utilisation"], empty["agreement"]) == ([], [1.0, None], None)


def test_teachers_that_invent_subclasses_are_not_averaged(tmp_path: Path) -> None:
    members = [{"model": "mnist_mlp", "seed": 0}, {"model": "mnist_mlp", "seed": 1}]
    settings = {**ZOO, **TWO, "teacher.model": "", "teacher.members": members}
    with pytest.raises(RecipeError, match="teachers that invent their own subclasses cannot be averaged"):
        distill(tmp_path / "run", settings=settings)


def test_a_student_of_a_class_of_one_s_own_is_verified_and_exported(tmp_path: Path) -> None:
    settings = {**ZOO, **TWO, "student.model": "tiny_models:subclassed_head"}
    run = distill(tmp_path / "run", settings=settings, epochs=1, baseline=False)
    assert kdcompress.verify(run, trust_code=True)["student"]["params"] == 785 * 20
    # What is exported is compared with what the run's student answered on test
    (entry,) = kdcompress.export(run, "onnx", trust_code=True)["artefacts"]
    assert entry["passed"]
    assert entry["parity"]["n"] == 1000
