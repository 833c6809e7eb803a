"""What is made of a teacher's answers to labelled images."""

from __future__ import annotations

import numpy as np
import pytest

from kdcompress.teachers import assess_logits, label_agreement


def shifted(by: float, n: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Logits that rank two classes perfectly, with the line between them off by `by`."""
    labels = np.arange(n) % 2
    return np.stack([np.zeros(n), np.where(labels == 1, 1.0, -1.0) + by], axis=1).astype(np.float32), labels


def test_a_teacher_that_ranks_two_classes_knows_them_wherever_it_draws_the_line() -> None:
    logits, labels = shifted(3.0)
    assessment = assess_logits(logits, labels, 2)
    assert (assessment.accuracy, assessment.auc) == (0.5, 1.0)
    assert assessment.is_informative and assessment.is_sound and assessment.is_weak
    assert assessment.summary == "50.0 % (mean over classes; its AUC is 100.0 %)"
    agree, same = label_agreement(logits[:, None], _samples(labels), ["a", "b"], lambda outputs: outputs)
    assert (agree, same) == (0.5, assessment)


def test_one_that_ranks_them_by_chance_does_not() -> None:
    logits, labels = shifted(3.0, 2000)
    assessment = assess_logits(logits[np.random.default_rng(0).permutation(2000)], labels, 2)
    assert assessment.auc == pytest.approx(0.5, abs=0.05) and not assessment.is_informative


def test_more_classes_are_judged_by_answers_alone() -> None:
    logits = np.eye(3, dtype=np.float32)[[0, 1, 2, 0]]
    assessment = assess_logits(logits, np.array([0, 1, 2, 1]), 3)
    assert assessment.auc is None
    assert assessment.summary == "83.3 % (mean over classes)"


def _samples(labels: np.ndarray) -> object:
    from kdcompress.data import Samples

    return Samples(np.zeros((len(labels), 2, 2, 1), np.uint8), labels, labels.astype(str))
