from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from differences import slopes

from kdcompress.methods import make_method

TEACHER = np.array([[3, 4], [1, 0]], np.float32)
STUDENT = np.array([[4, 3], [0, 2]], np.float32)
TEACHER_LOGITS = np.array([[9, 6, 3], [2, 4, 0]], np.float32)
STUDENT_LOGITS = np.array([[3, 6, 9], [1, 3, 2]], np.float32)
METHODS = ("embedding", "srrl", "simkd")


def loss(name: str, teacher: np.ndarray, student: Any, student_logits: Any = STUDENT_LOGITS) -> Any:
    targets = {"embedding": teacher, "logits": TEACHER_LOGITS}
    return make_method({"name": name}).targets_loss(targets, {"embedding": student, "logits": student_logits})


def test_the_cosine_of_a_hand_worked_pair() -> None:
    """cos = (3 * 4 + 4 * 3) / (5 * 5) = 0.96, and 0 of a right angle."""
    assert np.asarray(loss("embedding", TEACHER, STUDENT)) == pytest.approx([0.04, 1.0], abs=1e-5)
    assert np.asarray(loss("embedding", TEACHER, 7 * TEACHER)) == pytest.approx([0, 0], abs=1e-5)
    assert np.asarray(loss("embedding", TEACHER, -TEACHER)) == pytest.approx([2, 2], abs=1e-5)


def test_an_embedding_of_zeros_has_no_direction() -> None:
    assert np.asarray(loss("embedding", TEACHER, 0 * TEACHER)) == pytest.approx([1, 1])


def test_squared_distances_of_a_hand_worked_pair() -> None:
    """((3 - 4)^2 + (4 - 3)^2) / 2 = 1 and (1 + 4) / 2 = 2.5."""
    assert np.asarray(loss("simkd", TEACHER, STUDENT)) == pytest.approx([1.0, 2.5])


def test_srrl_adds_the_distance_of_centred_logits() -> None:
    """(3, 0, -3) - (-3, 0, 3) gives 72 / 3 = 24; (0, 2, -2) - (-1, 1, 0) gives (1 + 1 + 4) / 3 = 2."""
    assert np.asarray(loss("srrl", TEACHER, STUDENT)) == pytest.approx([1 + 24, 2.5 + 2])


def test_a_constant_in_all_logits_of_a_sample_is_nothing_to_srrl() -> None:
    shifted = STUDENT_LOGITS + np.array([[5.0], [-3.0]], np.float32)
    assert np.asarray(loss("srrl", TEACHER, STUDENT, shifted)) == pytest.approx([25, 4.5], rel=1e-5)


@pytest.mark.parametrize("name", METHODS)
def test_gradients_against_finite_differences(name: str) -> None:
    teacher, student = np.random.default_rng(0).normal(0, 1, (2, 2, 5)).astype(np.float32)
    variable = tf.Variable(student)
    with tf.GradientTape() as tape:
        value = tf.reduce_sum(loss(name, teacher, variable))
    expected = slopes(lambda one: float(np.asarray(loss(name, teacher, one)).sum()), student)
    assert tape.gradient(value, variable).numpy() == pytest.approx(expected, abs=2e-2)


def test_labels_come_after_the_label_free_epochs() -> None:
    method = make_method({"name": "embedding", "label_free_epochs": 2, "alpha": 0.0})
    assert [method.weight_at(epoch) for epoch in range(4)] == [1, 1, 0, 0]
    assert [method.label_weight_at(epoch) for epoch in range(4)] == [0, 0, 1, 1]
    assert method.weighs_targets(4)
    assert not make_method({"name": "embedding", "alpha": 0.0}).weighs_targets(4)


def test_simkd_takes_no_labels_and_says_that_its_student_grows() -> None:
    method = make_method({"name": "simkd", "factor": 4})
    assert (method.weight_at(0), method.label_weight_at(0)) == (1, 0)
    assert [layer.units for layer in method.projector(64) if hasattr(layer, "units")] == [16, 64]
    assert "more parameters" in str(method.note)
