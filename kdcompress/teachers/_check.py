"""Accuracy checks that stop distillation from a teacher whose outputs carry no information about the labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kdcompress.data import Samples
from kdcompress.errors import TargetsError
from kdcompress.metrics.ranking import auc
from kdcompress.metrics.softmax import cross_entropy, softmax
from kdcompress.teachers._assessment import WEAK, Assessment, assess_confusion, assess_logits, confusion_of
from kdcompress.teachers._base import Teacher
from kdcompress.teachers._common_preprocessing import is_distorted, predict_with_common_preprocessing
from kdcompress.teachers._spec import TargetRows

Logits = NDArray[np.float32]
ToClassLogits = Callable[[Logits], Logits]
"""Converts a teacher's outputs (n, head) to class logits (n, classes)."""
# Median margin between the two largest logits, beyond which nothing soft is left at any usual temperature
_SATURATED = 40.0
_ACCURATE, _UNIFORM = 0.9, 0.2  # accuracy, and the fraction of the way from chance to certainty
_MAX_PER_CLASS, _MAX_SAMPLES = 20, 400  # images that a teacher is checked on before it labels
_MIN_GAIN = 0.05  # nats of cross-entropy that another preprocessing must gain to be proposed
_BLOCK = 65536  # rows of targets that are read at once


@dataclass(frozen=True)
class _Trial:
    """Results of a teacher on some images, with one preprocessing.

    Attributes:
        assessment: Its accuracy.
        margin: Median difference of the two largest logits.
        cross_entropy: Cross-entropy in nats, in the order of classes that fits best.
        confidence: Mean probability of its predictions, by its softmax.
        preprocessing: The settings as text of a recipe; empty for the teacher's own.
    """

    assessment: Assessment
    margin: float
    cross_entropy: float
    confidence: float
    preprocessing: str = ""

    @property
    def saturated(self) -> bool:
        """Whether half of the outputs are one-hot for practical purposes."""
        return self.margin > _SATURATED

    @property
    def is_nearly_uniform(self) -> bool:
        """Whether predictions are right nearly always, and yet hardly more probable than by chance."""
        chance = self.assessment.chance
        return self.assessment.accuracy >= _ACCURATE and self.confidence < chance + _UNIFORM * (1 - chance)

    @property
    def is_plausible(self) -> bool:
        """Whether this preprocessing is likely the one that the teacher was trained with."""
        return self.assessment.exceeds(WEAK, reordered=True) and not self.saturated


def check_on_samples(
    teacher: Teacher, train: Samples, classes: Sequence[str], to_class_logits: ToClassLogits
) -> str | None:
    """Check a teacher on some training images before it labels all of them.

    Most ReLU networks are hardly affected by a wrong scale of pixels: their predictions stay right, but saturate, and
    carry little beyond the labels. So saturation is checked too, and a teacher of unscaled pixels is tried with common
    preprocessings.

    Args:
        teacher: The teacher.
        train: Training samples.
        classes: Names of the data's classes.
        to_class_logits: Converts the teacher's outputs.

    Returns:
        A warning, or None.

    Raises:
        TargetsError: The teacher is no better than chance, or its classes are in another order.
    """
    samples = train.take(_select(train.labels, _MAX_SAMPLES))
    logits = to_class_logits(teacher.predict(samples))
    if not np.isfinite(logits).all():
        return None  # labelling reports the sample
    trial = _evaluate(logits, samples.labels, len(classes))
    if not trial.assessment.is_sound:
        reordered_only = trial.assessment.class_order is not None and not is_distorted(teacher, samples)
        proposal = None if reordered_only else _propose(teacher, samples, classes, to_class_logits)
        raise make_teacher_error(teacher, trial.assessment, classes, proposal)
    if trial.is_nearly_uniform:
        return _make_uniform_warning(teacher, trial)
    doubtful = trial.assessment.is_weak or trial.saturated
    if not doubtful and teacher.adapter.section.scale != 1 and not is_distorted(teacher, samples):
        return None
    fewer = samples if doubtful else train.take(_select(train.labels, _MAX_SAMPLES // 4))
    proposal = _propose(teacher, fewer, classes, to_class_logits)
    if proposal and not doubtful:
        gain = trial.cross_entropy - proposal.cross_entropy
        proposal = proposal if gain > max(_MIN_GAIN, trial.cross_entropy / 2) else None
    return _make_warning(teacher, trial, classes, proposal)


def _make_uniform_warning(teacher: Teacher, trial: _Trial) -> str:
    assessment = trial.assessment
    return (
        f"{teacher.description} is right on {100 * assessment.accuracy:.1f} % of {assessment.n:,} training images, but "
        f"its softmax gives these answers a probability of no more than {trial.confidence:.2f} on average (chance: "
        f"{assessment.chance:.2f}): are its outputs logits? teacher.outputs says what they are; logits that lack a "
        "scale teach little at a temperature above 1"
    )


def label_agreement(
    targets: TargetRows, train: Samples, classes: Sequence[str], to_class_logits: ToClassLogits
) -> tuple[float, Assessment]:
    """Compare targets with the training labels.

    Args:
        targets: Targets (samples, views, head), of which view 0 is used.
        train: Training samples.
        classes: Names of the data's classes.
        to_class_logits: Converts the targets.

    Returns:
        (accuracy in [0, 1], assessment).
    """
    confusion = np.zeros((len(classes), len(classes)), np.int64)
    blocks = []
    for begin in range(0, len(train), _BLOCK):
        rows = slice(begin, begin + _BLOCK)
        logits = to_class_logits(np.asarray(targets[rows, 0]))
        confusion += confusion_of(logits, train.labels[rows], len(classes))
        if len(classes) == 2:
            blocks.append(logits)
    ranking = auc(np.concatenate(blocks), train.labels) if blocks else None
    return float(np.trace(confusion) / confusion.sum()), assess_confusion(confusion, ranking)


def make_teacher_error(
    teacher: Teacher, assessment: Assessment, classes: Sequence[str], proposal: _Trial | None
) -> TargetsError:
    """Make the error for a teacher that is not sound.

    Args:
        teacher: The teacher.
        assessment: Its accuracy.
        classes: Names of the data's classes.
        proposal: A preprocessing with which it is accurate.

    Returns:
        An error with the accuracy, the likely reason, and the setting that corrects it.
    """
    message = (
        f"{teacher.description} is right on {100 * assessment.accuracy:.1f} % of {assessment.n:,} labelled training "
        f"images (chance: {100 * assessment.chance:.1f} %)"
    )
    if assessment.class_order and not (proposal and proposal.assessment.accuracy > assessment.reordered_accuracy):
        message += (
            f"; its classes are in another order, in which it is right on {100 * assessment.reordered_accuracy:.1f} %: "
            f"set {_classes_setting(teacher, assessment.class_order, classes)}"
        )
    elif proposal:
        message += f"; {_describe(teacher, proposal, classes)}"
    else:
        own = not teacher.adapter.section.is_identity
        pixels = "as teacher.preprocessing says" if own else "as they are, 0 to 255, RGB"
        message += (
            f"; it gets pixels {pixels}: likely it expects another scale, mean or std, layout or channel order, has "
            "another order of classes, or was never trained"
        )
    return TargetsError(f"{message}; teacher.check = false goes on all the same")


def _make_warning(teacher: Teacher, trial: _Trial, classes: Sequence[str], proposal: _Trial | None) -> str | None:
    problems = []
    assessment = trial.assessment
    if assessment.is_weak:
        problems.append(
            f"is right on no more than {100 * assessment.accuracy:.1f} % of {assessment.n:,} training images"
        )
    if trial.saturated:
        problems.append("answers in certainties, of which a student learns no more than of labels")
    if not problems and proposal:
        problems.append(f"has a cross-entropy of {trial.cross_entropy:.3g} on labelled training images")
    if not problems:
        return None
    question = "is it fed as it was trained (teacher.preprocessing)?"
    hint = _describe(teacher, proposal, classes) if proposal else question
    return f"{teacher.description} {' and '.join(problems)}; {hint}"


def _describe(teacher: Teacher, proposal: _Trial, classes: Sequence[str]) -> str:
    assessment = proposal.assessment
    order = f" and {_classes_setting(teacher, assessment.class_order, classes)}" if assessment.class_order else ""
    return (
        f"with teacher.preprocessing: {proposal.preprocessing}{order} it is right on "
        f"{100 * assessment.reordered_accuracy:.1f} %, at a cross-entropy of {proposal.cross_entropy:.2g}: "
        "set what it was trained with"
    )


def _classes_setting(teacher: Teacher, order: tuple[int, ...], classes: Sequence[str]) -> str:
    """The setting that names the teacher's outputs in its own order."""
    columns = teacher.adapter.columns
    names = list(teacher.adapter.section.classes or classes)
    for label, output in enumerate(order):
        names[output if columns is None else columns[output]] = classes[label]
    listed = ", ".join(f'"{name}"' for name in names)
    return f"teacher.preprocessing.classes = [{listed}]"


def _propose(
    teacher: Teacher, samples: Samples, classes: Sequence[str], to_class_logits: ToClassLogits
) -> _Trial | None:
    """The plausible common preprocessing with the lowest cross-entropy."""
    trials = [
        _evaluate(to_class_logits(outputs), samples.labels, len(classes), preprocessing)
        for preprocessing, outputs in predict_with_common_preprocessing(teacher, samples)
    ]
    plausible = [trial for trial in trials if trial.is_plausible]
    return min(plausible, key=lambda trial: trial.cross_entropy, default=None)


def _evaluate(logits: Logits, labels: NDArray[np.int64], classes: int, preprocessing: str = "") -> _Trial:
    assessment = assess_logits(logits, labels, classes)
    top_two = np.sort(logits, axis=-1)[:, -2:]
    margin = float(np.median(top_two[:, 1] - top_two[:, 0]))
    outputs = labels if assessment.class_order is None else np.array(assessment.class_order)[labels]
    confidence = float(softmax(logits).max(axis=-1).mean())
    return _Trial(assessment, margin, cross_entropy(logits, outputs), confidence, preprocessing)


def _select(labels: NDArray[np.int64], max_samples: int) -> NDArray[np.int64]:
    """Indices of up to `max_samples` samples, evenly spaced within each class."""
    classes = np.unique(labels)
    per_class = max(1, min(_MAX_PER_CLASS, max_samples // len(classes)))
    indices = [np.flatnonzero(labels == label) for label in classes]
    spaced = [
        members[np.linspace(0, len(members) - 1, min(per_class, len(members))).astype(int)] for members in indices
    ]
    return np.sort(np.concatenate(spaced))
