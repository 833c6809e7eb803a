from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from kdcompress.errors import RecipeError
from kdcompress.methods import make_method
from kdcompress.methods.hinton import distillation_loss, standardized

TEACHER = np.array([[9.0, 6.0, 3.0]], np.float32)
STUDENT = np.array([[3.0, 6.0, 9.0]], np.float32)


def loss(teacher: np.ndarray, student: np.ndarray, temperature: float) -> np.ndarray:
    return np.asarray(distillation_loss(teacher, student, temperature))


def test_the_hand_worked_value() -> None:
    # At T = 3 the softened logits are (3, 2, 1) and (1, 2, 3), so KL = sum p * (2, 0, -2) with p = softmax(3, 2, 1):
    # 2 * (e^2 - 1) / (1 + e + e^2) = 1.15042, and T^2 = 9 times that.
    e = np.e
    assert loss(TEACHER, STUDENT, 3.0) == pytest.approx([9 * 2 * (e**2 - 1) / (1 + e + e**2)], rel=1e-6)
    assert loss(TEACHER, STUDENT, 3.0) == pytest.approx([10.3538], abs=1e-4)


def test_keras_s_own_default_gives_0_for_the_same_logits_and_ours_does_not() -> None:
    neighbour = keras.distillation.LogitsDistillation(temperature=3.0)
    theirs = float(neighbour.compute_loss(tf.constant(TEACHER), tf.constant(STUDENT)))
    if theirs != 0.0:
        pytest.skip(f"this Keras has mended its default loss: it gives {theirs}")
    assert loss(TEACHER, STUDENT, 3.0)[0] > 10


def test_identical_logits_have_no_loss_whatever_their_offset() -> None:
    logits = np.random.default_rng(0).normal(0, 5, (8, 10)).astype(np.float32)
    assert loss(logits, logits, 4.0) == pytest.approx(np.zeros(8), abs=1e-5)
    assert loss(logits, logits + 3, 4.0) == pytest.approx(np.zeros(8), abs=1e-4)


def test_against_scipy_over_temperatures() -> None:
    from scipy.special import log_softmax, rel_entr, softmax

    rng = np.random.default_rng(1)
    teacher, student = rng.normal(0, 4, (2, 16, 7))
    for temperature in (0.5, 1.0, 4.0, 64.0):
        p = softmax(teacher / temperature, axis=-1)
        q = np.exp(log_softmax(student / temperature, axis=-1))
        expected = temperature**2 * rel_entr(p, q).sum(axis=-1)
        assert loss(teacher, student, temperature) == pytest.approx(expected, rel=1e-3, abs=1e-4)


def test_gradient_against_finite_differences_and_the_closed_form() -> None:
    rng = np.random.default_rng(2)
    teacher, student = rng.normal(0, 3, (2, 1, 5)).astype(np.float32)
    temperature = 3.0
    variable = tf.Variable(student)
    with tf.GradientTape() as tape:
        value = tf.reduce_sum(distillation_loss(teacher, variable, temperature))
    gradient = tape.gradient(value, variable).numpy()
    step = 1e-2
    for i in range(5):
        up, down = student.copy(), student.copy()
        up[0, i] += step
        down[0, i] -= step
        slope = (loss(teacher, up, temperature) - loss(teacher, down, temperature)) / (2 * step)
        assert gradient[0, i] == pytest.approx(slope[0], abs=5e-3)

    def soft(z: np.ndarray) -> np.ndarray:
        return np.exp(z / temperature) / np.exp(z / temperature).sum()

    assert gradient == pytest.approx(temperature * (soft(student) - soft(teacher)), abs=1e-5)


def test_half_precision_logits_are_computed_in_single() -> None:
    value = distillation_loss(TEACHER.astype(np.float16), STUDENT.astype(np.float16), 3.0)
    assert np.asarray(value).dtype == np.float32
    assert np.asarray(value) == pytest.approx([10.3538], abs=1e-3)


def test_settings_are_checked_at_construction() -> None:
    assert make_method({"name": "hinton", "alpha": 0.25}).distillation_weight == 0.25
    assert make_method({"name": "none"}).distillation_weight == 0
    assert not make_method({"name": "none"}).needs_targets
    with pytest.raises(RecipeError, match=r"method\.temperature must be > 0, got 0"):
        make_method({"name": "hinton", "temperature": 0.0})


def test_standardized_logits_by_hand() -> None:
    # (9, 6, 3) has mean 6 and population deviation sqrt(6): (1.2247, 0, -1.2247)
    assert np.asarray(standardized(TEACHER))[0] == pytest.approx([1.224745, 0, -1.224745], abs=1e-5)
    two = np.array([[9, 6, 3], [2, 4, 0]], np.float32), np.array([[3, 6, 9], [1, 3, 2]], np.float32)
    method = make_method({"name": "hinton", "standardize": True, "temperature": 2.0})
    assert np.asarray(method.targets_loss({"logits": two[0]}, two[1])) == pytest.approx([1.884366, 0.331194], abs=1e-4)


def test_standardized_logits_know_no_scale() -> None:
    logits = np.random.default_rng(5).normal(0, 2, (8, 6)).astype(np.float32)
    assert np.asarray(standardized(7 * logits + 3)) == pytest.approx(np.asarray(standardized(logits)), abs=1e-4)
    assert np.asarray(standardized(np.full((2, 3), 4, np.float32))) == pytest.approx(np.zeros((2, 3)))
    variable = tf.Variable(np.full((2, 3), 4, np.float32))
    with tf.GradientTape() as tape:
        value = tf.reduce_sum(standardized(variable))
    assert np.isfinite(tape.gradient(value, variable).numpy()).all()


def test_a_recipe_without_standardize_is_that_of_before_it_was_there() -> None:
    assert "standardize" not in make_method({"name": "hinton"}).to_dict()
    assert make_method({"name": "hinton", "standardize": True}).to_dict()["standardize"] is True
