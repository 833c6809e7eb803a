from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from differences import slopes
from scipy.special import log_softmax, logsumexp

from kdcompress.errors import RecipeError
from kdcompress.methods import Classes, make_method
from kdcompress.methods.dkd import Dkd, decoupled_losses
from kdcompress.methods.hinton import distillation_loss

TEACHER = np.array([[9, 6, 3], [2, 4, 0]], np.float32)
STUDENT = np.array([[3, 6, 9], [1, 3, 2]], np.float32)
LABELS = np.array([0, 1])


def losses(teacher: np.ndarray, student: np.ndarray, labels: np.ndarray, temperature: float) -> list[np.ndarray]:
    return [np.asarray(one) for one in decoupled_losses(teacher, student, labels, temperature)]


def test_the_hand_worked_values() -> None:
    target, non_target = losses(TEACHER, STUDENT, LABELS, 4.0)
    assert target == pytest.approx([9.232716, 0.246678], abs=1e-4)
    assert non_target == pytest.approx([4.300289, 1.099311], abs=1e-4)
    total = np.asarray(Dkd().targets_loss({"logits": TEACHER}, STUDENT, LABELS))
    assert total == pytest.approx([43.635026, 9.041166], abs=1e-3)


def test_the_parts_make_up_the_plain_loss() -> None:
    """KD = TCKD + (1 - p) NCKD."""
    rng = np.random.default_rng(0)
    teacher, student = rng.normal(0, 3, (2, 16, 7)).astype(np.float32)
    labels = rng.integers(0, 7, 16)
    target, non_target = losses(teacher, student, labels, 3.0)
    p = np.exp(log_softmax(teacher / 3, axis=-1))[np.arange(16), labels]
    expected = np.asarray(distillation_loss(teacher, student, 3.0))
    assert target + (1 - p) * non_target == pytest.approx(expected, rel=1e-3, abs=1e-4)


def test_against_sums_in_double_precision() -> None:
    rng = np.random.default_rng(1)
    teacher, student = rng.normal(0, 6, (2, 16, 5))
    labels, temperature = rng.integers(0, 5, 16), 2.0
    target, non_target = losses(teacher, student, labels, temperature)
    for i, label in enumerate(labels):
        rest = np.arange(5) != label
        logs = [one[i] / temperature for one in (teacher, student)]
        binary = [np.array([z[label], logsumexp(z[rest])]) - logsumexp(z) for z in logs]
        others = [log_softmax(z[rest]) for z in logs]
        for found, (left, right) in ((target[i], binary), (non_target[i], others)):
            assert found == pytest.approx(temperature**2 * (np.exp(left) * (left - right)).sum(), rel=1e-3, abs=1e-4)


def test_soft_labels_count_by_their_largest() -> None:
    soft = np.array([[0.6, 0.4, 0.0], [0.1, 0.8, 0.1]], np.float32)
    for one, other in zip(losses(TEACHER, STUDENT, soft, 4.0), losses(TEACHER, STUDENT, LABELS, 4.0), strict=True):
        assert one == pytest.approx(other)


def test_gradient_against_finite_differences() -> None:
    rng = np.random.default_rng(2)
    teacher, student = rng.normal(0, 2, (2, 3, 5)).astype(np.float32)
    labels, method, variable = np.array([0, 2, 4]), Dkd(temperature=2.0), tf.Variable(student)

    def total(logits: np.ndarray) -> float:
        return float(np.asarray(method.targets_loss({"logits": teacher}, logits, labels)).sum())

    with tf.GradientTape() as tape:
        value = tf.reduce_sum(method.targets_loss({"logits": teacher}, variable, labels))
    assert tape.gradient(value, variable).numpy() == pytest.approx(slopes(total, student), abs=5e-2)


def test_the_weight_is_a_function_of_the_epoch_alone() -> None:
    weights = [Dkd(warmup=4).weight_at(epoch) for epoch in range(6)]
    assert weights == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]
    assert Dkd(warmup=0).weight_at(0) == 1
    assert [Dkd().label_weight_at(epoch) for epoch in (0, 50)] == [1, 1]


def test_two_classes_are_refused_with_the_reason() -> None:
    with pytest.raises(RecipeError, match="method dkd is hinton with two classes"):
        Dkd().bind(Classes(2))
    with pytest.raises(RecipeError, match="standardize leaves nothing but the sign"):
        make_method({"name": "hinton", "standardize": True}).bind(Classes(2))
