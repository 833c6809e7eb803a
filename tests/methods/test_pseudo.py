from __future__ import annotations

import math

import numpy as np
import pytest
import tensorflow as tf
from differences import slopes

from kdcompress.errors import RecipeError
from kdcompress.methods import Classes, make_method
from kdcompress.methods.pseudo import pseudo_label_loss

# Probabilities of the likeliest class: 0.9, 0.5 and 0.6
TEACHER = np.log(np.array([[0.9, 0.05, 0.05], [0.3, 0.5, 0.2], [0.2, 0.2, 0.6]], np.float32))
STUDENT = np.log(np.array([[0.5, 0.25, 0.25], [0.5, 0.25, 0.25], [0.5, 0.25, 0.25]], np.float32))


def loss(teacher: np.ndarray, student: np.ndarray, threshold: float = 0.0) -> np.ndarray:
    return np.asarray(pseudo_label_loss(teacher, student, threshold))


def test_the_hand_worked_values() -> None:
    # -log of 1/2, 1/4 and 1/4, whatever else the teacher says
    assert loss(TEACHER, STUDENT) == pytest.approx([math.log(2), math.log(4), math.log(4)], rel=1e-6)
    assert loss(TEACHER * 3 + 5, STUDENT + 7) == pytest.approx([math.log(2), math.log(4), math.log(4)], rel=1e-5)


@pytest.mark.parametrize(
    ("threshold", "used"), [(0.49, [1, 1, 1]), (0.55, [1, 0, 1]), (0.7, [1, 0, 0]), (0.95, [0] * 3)]
)
def test_a_label_that_the_teacher_is_unsure_of_is_not_learned(threshold: float, used: list[int]) -> None:
    expected = np.array([math.log(2), math.log(4), math.log(4)]) * used
    assert loss(TEACHER, STUDENT, threshold) == pytest.approx(expected, rel=1e-6)


def test_it_is_the_cross_entropy_of_keras_for_two_classes_and_more() -> None:
    from keras.losses import sparse_categorical_crossentropy

    rng = np.random.default_rng(0)
    for classes in (2, 7):
        teacher, student = rng.normal(0, 4, (2, 16, classes)).astype(np.float32)
        expected = np.asarray(sparse_categorical_crossentropy(teacher.argmax(1), student, from_logits=True))
        assert loss(teacher, student) == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_gradient_against_finite_differences_and_none_below_the_threshold() -> None:
    rng = np.random.default_rng(1)
    teacher, student = rng.normal(0, 2, (2, 6, 4)).astype(np.float32)
    variable = tf.Variable(student)
    with tf.GradientTape() as tape:
        value = tf.reduce_sum(pseudo_label_loss(teacher, variable, 0.6))
    gradient = tape.gradient(value, variable).numpy()
    assert gradient == pytest.approx(slopes(lambda z: loss(teacher, z, 0.6).sum(), student), abs=1e-2)
    powers = np.exp(teacher)
    unsure = (powers / powers.sum(1, keepdims=True)).max(1) < 0.6
    assert 0 < unsure.sum() < 6
    assert not gradient[unsure].any() and gradient[~unsure].any(axis=1).all()


def test_settings_out_of_range_are_refused() -> None:
    method = make_method({"name": "pseudo", "alpha": 0.3, "threshold": 0.8}).bind(Classes(2))
    assert (method.head(Classes(2)), method.weight_at(0), method.needs_labels) == (2, 0.3, False)
    with pytest.raises(RecipeError, match=r"method.threshold must be <= 1, got 95"):
        make_method({"name": "pseudo", "threshold": 95})
