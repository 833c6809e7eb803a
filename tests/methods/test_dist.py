from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from differences import slopes
from scipy.stats import pearsonr

from kdcompress.methods import Classes, make_method
from kdcompress.methods.dist import Dist, dist_loss

TEACHER = np.array([[9, 6, 3], [2, 4, 0], [0, 1, 5]], np.float32)
STUDENT = np.array([[3, 6, 9], [1, 3, 2], [1, 0, 2]], np.float32)


def loss(teacher: np.ndarray, student: np.ndarray, *settings: float) -> np.ndarray:
    return np.asarray(dist_loss(teacher, student, *settings))


def test_the_hand_worked_values() -> None:
    # With T = 1: 1 - Pearson's correlation of the rows of the softmax, and the mean of those of its columns
    assert loss(TEACHER, STUDENT, 1.0, 1.0, 0.0) == pytest.approx([1.570971, 0.068473, 0.037040], abs=1e-5)
    by_class = (1.839528 + 0.004274 + 0.901915) / 3
    assert loss(TEACHER, STUDENT, 1.0, 0.0, 1.0) == pytest.approx(np.full(3, by_class), abs=1e-5)


def test_against_scipy_over_temperatures() -> None:
    rng = np.random.default_rng(0)
    teacher, student = rng.normal(0, 3, (2, 12, 6))
    for temperature in (0.7, 4.0):
        powers = [np.exp(logits / temperature) for logits in (teacher, student)]
        p, q = (one / one.sum(axis=1, keepdims=True) for one in powers)
        rows = np.array([1 - pearsonr(p[i], q[i]).statistic for i in range(12)])
        columns = np.mean([1 - pearsonr(p[:, c], q[:, c]).statistic for c in range(6)])
        expected = temperature**2 * (2.0 * rows + 0.5 * columns)
        assert loss(teacher, student, temperature, 2.0, 0.5) == pytest.approx(expected, rel=1e-3)


def test_probabilities_in_proportion_have_no_loss() -> None:
    logits = np.random.default_rng(1).normal(0, 2, (8, 5)).astype(np.float32)
    assert loss(logits, logits + 3, 2.0) == pytest.approx(np.zeros(8), abs=1e-5)


def test_gradient_against_finite_differences() -> None:
    rng = np.random.default_rng(2)
    teacher, student = rng.normal(0, 2, (2, 4, 5)).astype(np.float32)
    variable = tf.Variable(student)
    with tf.GradientTape() as tape:
        value = tf.reduce_sum(dist_loss(teacher, variable, 2.0))
    assert tape.gradient(value, variable).numpy() == pytest.approx(
        slopes(lambda z: loss(teacher, z, 2.0).sum(), student), abs=2e-2
    )


def test_constant_rows_and_a_batch_of_one_have_gradients() -> None:
    for teacher, student in ((np.zeros((3, 4), np.float32), np.zeros((3, 4), np.float32)), (TEACHER[:1], STUDENT[:1])):
        variable = tf.Variable(student)
        with tf.GradientTape() as tape:
            value = tf.reduce_sum(dist_loss(teacher, variable, 1.0))
        assert np.isfinite(tape.gradient(value, variable).numpy()).all()


def test_two_classes_keep_the_term_by_class_alone_and_say_so() -> None:
    logits = np.random.default_rng(3).normal(0, 2, (2, 6, 2)).astype(np.float32)
    bound = Dist().bind(Classes(2))
    alone = make_method({"name": "dist", "inter": 0.0}).bind(Classes(2))
    one, other = (np.asarray(m.targets_loss({"logits": logits[0]}, logits[1])) for m in (bound, alone))
    assert one == pytest.approx(other)
    assert one.std() == pytest.approx(0, abs=1e-6)
    assert bound.note is not None
    assert "only the term within each class is used" in bound.note
    assert alone.note is None
    assert Dist().bind(Classes(3)).note is None
