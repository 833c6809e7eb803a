from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from kdcompress.errors import UsageError
from kdcompress.metrics.classification import compute_metrics, expected_calibration_error, primary_metric
from kdcompress.metrics.comparison import compare_models
from kdcompress.verification.gates import Gates

THREE = ["a", "b", "c"]


def logits(*answers: int, classes: int = 3) -> np.ndarray:
    """Rows whose largest logit is that of the class given."""
    return np.eye(classes, dtype=np.float32)[list(answers)] * 5


def test_accuracy_recall_and_f1_by_hand() -> None:
    labels = np.array([0, 0, 0, 1, 1, 2])
    found = compute_metrics(logits(0, 0, 1, 1, 2, 2), labels, THREE)
    assert found["accuracy"] == pytest.approx(4 / 6)
    assert found["recall"] == {"a": pytest.approx(2 / 3), "b": 0.5, "c": 1.0}
    # F1 by class: 2*2/(3+2), 2*1/(2+2), 2*1/(1+2)
    assert found["f1"] == pytest.approx((4 / 5 + 1 / 2 + 2 / 3) / 3)
    assert "auc" not in found


def test_two_classes_have_an_auc_and_the_f1_of_the_second() -> None:
    scores = np.array([[0, 0.1], [0, 0.4], [0, 0.35], [0, 0.8]], np.float32)
    found = compute_metrics(scores, np.array([0, 0, 1, 1]), ["neg", "pos"])
    assert found["auc"] == 0.75  # of 4 pairs, (0.35, 0.4) alone is the wrong way round
    assert found["f1"] == pytest.approx(2 * 2 / (4 + 2))
    assert (primary_metric(2), primary_metric(3)) == ("auc", "accuracy")


def test_auc_ranks_by_the_difference_of_logits_not_by_one_of_them() -> None:
    scores = np.array([[5, 6], [0, 3]], np.float32)  # the second column alone would rank the first higher
    assert compute_metrics(scores, np.array([0, 1]), ["neg", "pos"])["auc"] == 1.0


def test_a_class_without_images_has_no_recall_and_one_class_no_auc() -> None:
    found = compute_metrics(logits(1, 1, classes=2), np.array([1, 1]), ["neg", "pos"])
    assert found["recall"] == {"neg": None, "pos": 1.0}
    assert found["auc"] is None


def test_values_that_are_not_finite_count_as_wrong() -> None:
    broken = logits(0, 1)
    broken[0, 2] = np.nan
    found = compute_metrics(broken, np.array([0, 1]), THREE)
    assert (found["accuracy"], found["ece"]) == (0.5, None)


def test_calibration_error_by_hand() -> None:
    # confidences 0.9, 0.9, 0.6, 0.6; the first two right, one of the others: |1 - 0.9| / 2 + |0.5 - 0.6| / 2
    chances = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.6, 0.4]])
    assert expected_calibration_error(np.log(chances).astype(np.float32), np.array([0, 0, 0, 1])) == pytest.approx(0.1)


def test_calibration_error_agrees_with_a_slow_loop() -> None:
    rng = np.random.default_rng(0)
    scores, labels = rng.normal(0, 2, (500, 4)).astype(np.float32), rng.integers(0, 4, 500)
    chances = np.exp(scores.astype(float)) / np.exp(scores.astype(float)).sum(1, keepdims=True)
    total = 0.0
    for index in range(15):
        inside = [i for i in range(500) if index / 15 <= chances[i].max() < (index + 1) / 15]
        if inside:
            right = np.mean([chances[i].argmax() == labels[i] for i in inside])
            total += len(inside) / 500 * abs(right - np.mean([chances[i].max() for i in inside]))
    assert expected_calibration_error(scores, labels) == pytest.approx(total)


def test_confidence_of_one_falls_into_the_last_bin() -> None:
    assert expected_calibration_error(np.array([[500.0, 0.0]], np.float32), np.array([0])) == 0.0


def test_where_student_and_teacher_differ() -> None:
    labels = np.array([0] * 10 + [1] * 10)
    teacher = logits(*[0] * 10, *[1] * 9, 0)
    student = logits(*[0] * 9, 1, *[1] * 6, *[2] * 3, 1)
    found = compare_models(student, teacher, labels, THREE)
    assert found["agreement"] == pytest.approx(15 / 20)
    assert found["recall_change"] == {"a": pytest.approx(-0.1), "b": pytest.approx(0.7 - 0.9), "c": None}
    assert found["mcnemar"]["student_only_right"] == 1
    assert found["mcnemar"]["teacher_only_right"] == 4
    assert found["mcnemar"]["p"] == pytest.approx(2 * binom.cdf(1, 5, 0.5))


def test_the_same_answers_show_no_difference() -> None:
    assert compare_models(logits(0, 1), logits(0, 1), np.array([0, 2]), THREE)["mcnemar"]["p"] == 1.0


def test_every_gate_judges_alone() -> None:
    ratios: dict[str, float | None] = {"params": 1.2, "flops": 0.1, "bytes": None}
    verdicts = Gates(1.0, 0.2, 2.0, 0.01).evaluate(ratios, 0.01)
    assert [(verdict["name"], verdict["passed"]) for verdict in verdicts] == [
        ("max_params_ratio", False),
        ("max_flops_ratio", True),
        ("max_bytes_ratio", False),
        ("max_metric_drop", True),
    ]
    for minimum, gate in ((0.9, "min_accuracy"), (0.02, "min_gain")):
        (enough,) = Gates(**{gate: minimum}).evaluate(ratios, accuracy=0.9, gain=0.02)
        (too_little,) = Gates(**{gate: minimum}).evaluate(ratios, accuracy=0.89, gain=0.019)
        assert (enough["passed"], too_little["passed"]) == (True, False)
    assert Gates(min_gain=-1.0).evaluate(ratios)[0]["passed"] is False  # a run without a baseline
    assert Gates().evaluate(ratios, 0.5) == []
    assert Gates(max_metric_drop=0.0).evaluate(ratios, None)[0]["passed"] is False


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"max_params_ratio": 0.0}, "--max-params-ratio must be a number above 0"),
        ({"max_flops_ratio": float("nan")}, "--max-flops-ratio must be a number above 0"),
        ({"max_bytes_ratio": -1.0}, "--max-bytes-ratio must be a number above 0"),
        ({"max_metric_drop": 2.0}, "0.01 is one point"),
    ],
)
def test_a_limit_that_makes_no_sense_is_refused(limits: dict[str, float], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Gates(**limits)
