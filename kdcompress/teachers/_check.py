"""Whether a teacher knows the labelled images, and says so softly: the guard against distilling noise unnoticed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kdcompress.data import Samples
from kdcompress.errors import TargetsError
from kdcompress.metrics.ranking import auc
from kdcompress.metrics.softmax import cross_entropy
from kdcompress.teachers._base import TargetRows, Teacher
from kdcompress.teachers._common_preprocessing import predict_with_common_preprocessing

Logits = NDArray[np.float32]
# Makes class logits of a teacher's outputs
Read = Callable[[Logits], Logits]
NOTHING, _LITTLE = 0.1, 0.5  # of the way from chance to certainty: below it a teacher knows nothing, or little
_SATURATED = 40.0  # between the first two logits of half of the images: nothing soft is left at any usual temperature
_OF_EACH_CLASS, _OF_ALL = 20, 400  # images that a teacher is tried on before it labels
_SURE = 5  # images of a class, below which nothing is said of its place
_GAIN = 0.05  # nats of cross-entropy that another preprocessing must gain to be worth a word
_BLOCK = 65536  # rows of targets that are read at once


@dataclass(frozen=True)
class Assessment:
    """How often a teacher is right on n images, in the mean over classes, and by chance; and its order of classes.

    `auc` is how well it ranks two classes: one that has not found the line between them yet may well know them. `order`
    has the place of each class among the answers, where another than the data's fits them plainly; `ordered`
    is how often it is right in that order. All in [0, 1].
    """

    n: int
    right: float
    chance: float
    order: tuple[int, ...] | None
    ordered: float
    auc: float | None = None

    def above(self, part: float, ordered: bool = False) -> bool:
        """Whether it is right more often than that part of the way from chance to certainty."""
        return (self.ordered if ordered else self.right) >= self._line(part)

    @property
    def knows(self) -> bool:
        """Whether it knows more than chance, by its answers or, of two classes, by its ranking."""
        return max(self.right, self.auc or 0.0) >= self._line(NOTHING)

    @property
    def sound(self) -> bool:
        """Whether the teacher knows more than chance, in the order of the data's classes."""
        return self.knows and self.order is None

    @property
    def shown(self) -> str:
        """How often it is right, in words."""
        ranking = "" if self.auc is None else f"; its AUC is {100 * self.auc:.1f} %"
        return f"{100 * self.right:.1f} % (mean over classes{ranking})"

    def _line(self, part: float) -> float:
        return self.chance + part * (1 - self.chance)

    @property
    def weak(self) -> bool:
        """Whether it knows little of what it was trained to know."""
        return not self.above(_LITTLE)


@dataclass(frozen=True)
class _Trial:
    """How a teacher does on the images that it is tried on."""

    verdict: Assessment
    gap: float
    cross_entropy: float

    @property
    def saturated(self) -> bool:
        """Whether half of the answers are certainties."""
        return self.gap > _SATURATED

    @property
    def worth_proposing(self) -> bool:
        """Whether a preprocessing that gives this is likely the teacher's own."""
        return self.verdict.above(_LITTLE, ordered=True) and not self.saturated


def assess_confusion(confusion: NDArray[np.int64], ranking: float | None = None) -> Assessment:
    """The verdict on a confusion matrix (label, answer) of counts; the mean is over classes that have images.

    `ranking` is the AUC of two classes.
    """
    from scipy.optimize import linear_sum_assignment

    counts = confusion.sum(axis=1)
    shares = confusion / np.maximum(counts, 1)[:, None]
    there = counts > 0
    right = float(np.diag(shares)[there].mean())
    _, best = linear_sum_assignment(-shares)
    moved = np.flatnonzero(best != np.arange(len(best)))
    plain = len(moved) > 0 and all(shares[c, best[c]] > 0.5 and counts[c] >= _SURE for c in moved)
    order = tuple(int(place) for place in best) if plain else None
    ordered = float(shares[np.arange(len(best)), best][there].mean()) if plain else right
    return Assessment(int(counts.sum()), right, 1 / len(confusion), order, ordered, ranking)


def assess_logits(logits: Logits, labels: NDArray[np.int64], classes: int) -> Assessment:
    """The verdict on class logits (n, classes)."""
    return assess_confusion(confusion_of(logits, labels, classes), auc(logits, labels) if classes == 2 else None)


def check_on_samples(teacher: Teacher, train: Samples, classes: Sequence[str], read: Read) -> str | None:
    """Try a teacher on some labelled images before it labels all; returns a warning, or None.

    Most networks of rectifiers hardly mind a wrong scale of pixels: they answer rightly, but as certainties, and teach
    little. So answers are looked at for softness too, and a teacher that gets unscaled pixels is tried with what is
    usual. `read` makes class logits of its outputs. Errors: TargetsError, see `make_teacher_error`.
    """
    probe = train.take(_probe(train.labels, _OF_ALL))
    logits = read(teacher.predict(probe))
    if not np.isfinite(logits).all():
        return None  # labelling names the sample
    now = _tried(logits, probe.labels, len(classes))
    if not now.verdict.sound:
        proposal = None if now.verdict.order else _proposal(teacher, probe, classes, read)
        raise make_teacher_error(teacher, now.verdict, classes, proposal)
    in_doubt = now.verdict.weak or now.saturated
    if not in_doubt and teacher.adapter.section.scale != 1:
        return None
    few = probe if in_doubt else train.take(_probe(train.labels, _OF_ALL // 4))
    found = _proposal(teacher, few, classes, read)
    better = found and (in_doubt or now.cross_entropy - found[1].cross_entropy > max(_GAIN, now.cross_entropy / 2))
    return _doubt(teacher, now, classes, found if better else None)


def label_agreement(
    targets: TargetRows, train: Samples, classes: Sequence[str], read: Read
) -> tuple[float, Assessment]:
    """The fraction of the training labels that targets agree with, and the verdict on them."""
    confusion = np.zeros((len(classes), len(classes)), np.int64)
    of_two = []
    for begin in range(0, len(train), _BLOCK):
        rows = slice(begin, begin + _BLOCK)
        logits = read(np.asarray(targets[rows, 0]))
        confusion += confusion_of(logits, train.labels[rows], len(classes))
        if len(classes) == 2:
            of_two.append(logits)
    ranking = auc(np.concatenate(of_two), train.labels) if of_two else None
    return float(np.trace(confusion) / confusion.sum()), assess_confusion(confusion, ranking)


def make_teacher_error(
    teacher: Teacher, verdict: Assessment, classes: Sequence[str], proposal: tuple[str, _Trial] | None
) -> TargetsError:
    """What is wrong with a teacher, what is likely the reason, and what to set."""
    said = (
        f"{teacher.description} is right on {100 * verdict.right:.1f} % of {verdict.n:,} labelled training images "
        f"(chance: {100 * verdict.chance:.1f} %)"
    )
    if verdict.order:
        said += f"; its classes are in another order, in which it is right on {100 * verdict.ordered:.1f} %: set "
        said += _classes(teacher, verdict.order, classes)
    elif proposal:
        said += f"; {_told(teacher, proposal, classes)}"
    else:
        given = (
            "as teacher.preprocessing says" if not teacher.adapter.section.is_identity else "as they are, 0 to 255, RGB"
        )
        said += (
            f"; it gets pixels {given}: likely it expects another scale, mean or std, layout or channel order, has "
            "another order of classes, or was never trained"
        )
    return TargetsError(f"{said}; teacher.check = false goes on all the same")


def confusion_of(logits: Logits, labels: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """The confusion matrix (label, answer) of counts."""
    pairs = labels * classes + logits.argmax(axis=-1)
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def _doubt(teacher: Teacher, now: _Trial, classes: Sequence[str], proposal: tuple[str, _Trial] | None) -> str | None:
    said = []
    if now.verdict.weak:
        said.append(f"is right on no more than {100 * now.verdict.right:.1f} % of {now.verdict.n:,} training images")
    if now.saturated:
        said.append("answers in certainties, of which a student learns no more than of labels")
    if not said and proposal:
        said.append(f"has a cross-entropy of {now.cross_entropy:.3g} on labelled training images")
    if not said:
        return None
    told = _told(teacher, proposal, classes) if proposal else "is it fed as it was trained (teacher.preprocessing)?"
    return f"{teacher.description} {' and '.join(said)}; {told}"


def _told(teacher: Teacher, proposal: tuple[str, _Trial], classes: Sequence[str]) -> str:
    """A proposal, as the guess that it is."""
    settings, found = proposal
    verdict = found.verdict
    order = f" and {_classes(teacher, verdict.order, classes)}" if verdict.order else ""
    return (
        f"with teacher.preprocessing: {settings}{order} it is right on {100 * verdict.ordered:.1f} %, at a "
        f"cross-entropy of {found.cross_entropy:.2g}: set what it was trained with"
    )


def _classes(teacher: Teacher, order: tuple[int, ...], classes: Sequence[str]) -> str:
    """The setting that names the teacher's outputs in its own order."""
    columns, named = teacher.adapter.columns, teacher.adapter.section.classes
    names = list(named or classes)
    for number, place in enumerate(order):
        names[place if columns is None else columns[place]] = classes[number]
    listed = ", ".join(f'"{name}"' for name in names)
    return f"teacher.preprocessing.classes = [{listed}]"


def _proposal(teacher: Teacher, probe: Samples, classes: Sequence[str], read: Read) -> tuple[str, _Trial] | None:
    """The usual preprocessing that suits the teacher best, if one does: right, soft, and the likeliest labels."""
    found: list[tuple[str, _Trial]] = []
    for said, outputs in predict_with_common_preprocessing(teacher, probe):
        trial = _tried(read(outputs), probe.labels, len(classes))
        if trial.worth_proposing:
            found.append((said, trial))
    return min(found, key=lambda one: one[1].cross_entropy, default=None)


def _tried(logits: Logits, labels: NDArray[np.int64], classes: int) -> _Trial:
    verdict = assess_logits(logits, labels, classes)
    first_two = np.sort(logits, axis=-1)[:, -2:]
    gap = float(np.median(first_two[:, 1] - first_two[:, 0]))
    places = labels if verdict.order is None else np.array(verdict.order)[labels]
    return _Trial(verdict, gap, cross_entropy(logits, places))


def _probe(labels: NDArray[np.int64], of_all: int) -> NDArray[np.int64]:
    """Some images of every class, spread over the data, as far as there are so many."""
    kinds = np.unique(labels)
    most = max(1, min(_OF_EACH_CLASS, of_all // len(kinds)))
    places = [np.flatnonzero(labels == kind) for kind in kinds]
    return np.sort(
        np.concatenate([one[np.linspace(0, len(one) - 1, min(most, len(one))).astype(int)] for one in places])
    )
