"""Whether a teacher knows the labelled images at all: the guard against distilling noise without noticing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress.data import Samples
from kdcompress.errors import TargetsError
from kdcompress.teachers._base import TargetRows, Teacher

Read = Callable[[NDArray[np.float32]], NDArray[np.float32]]
_MARGIN = 0.1  # of the way from chance to certainty, below which a teacher knows nothing
_GOOD = 0.5  # of that way, from which on another preprocessing is worth proposing
_OF_EACH_CLASS, _OF_ALL = 20, 400  # images that a teacher is tried on before it labels
_SURE = 5  # images of a class, below which nothing is said of its place
_SURPRISE = 0.05  # nats that another preprocessing must gain to be worth a word
_BLOCK = 65536  # rows of targets that are read at once
# What people's teachers expect most often: (what a recipe says, what it does)
_USUAL: tuple[tuple[str, dict[str, Any]], ...] = (
    ("scale = '1/255'", {"scale": 1 / 255}),
    ("scale = '1/255', mean = 0.1307, std = 0.3081", {"scale": 1 / 255, "mean": 0.1307, "std": 0.3081}),
    ("scale = '1/127.5', mean = 1", {"scale": 1 / 127.5, "mean": 1.0}),
    (
        "scale = '1/255', mean = [0.485, 0.456, 0.406], std = [0.229, 0.224, 0.225]",
        {"scale": 1 / 255, "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)},
    ),
    (
        "channel_order = 'bgr', mean = [103.939, 116.779, 123.68]",
        {"channel_order": "bgr", "mean": (103.939, 116.779, 123.68)},
    ),
    ("scale = 1, mean = 0, std = 1", {}),
)


@dataclass(frozen=True)
class Verdict:
    """How often a teacher is right on n images, on the mean over classes, and by chance; and its order of classes.

    `order` has the place of each class among the answers, where another than the data's fits them plainly; `ordered`
    is how often it is right in that order. All in [0, 1].
    """

    n: int
    right: float
    chance: float
    order: tuple[int, ...] | None
    ordered: float

    @property
    def near_chance(self) -> bool:
        """Whether the teacher knows no more than chance does."""
        return self.right < self.chance + _MARGIN * (1 - self.chance)

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong with the teacher."""
        return not self.near_chance and self.order is None

    @property
    def good(self) -> bool:
        """Whether it knows the images well, in whatever order."""
        return self.ordered >= self.chance + _GOOD * (1 - self.chance)


def judge(confusion: NDArray[np.int64]) -> Verdict:
    """The verdict on a confusion matrix (label, answer) of counts; the mean is over classes that have images."""
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
    return Verdict(int(counts.sum()), right, 1 / len(confusion), order, ordered)


def check_before(teacher: Teacher, train: Samples, classes: Sequence[str], read: Read) -> str | None:
    """Try a teacher on some labelled images before it labels all; returns a warning, or None.

    Most networks of rectifiers hardly mind a wrong scale of pixels: they answer rightly, but far too surely, and teach
    little. A teacher that gets unscaled pixels is therefore tried with what is usual, too. `read` makes class logits of
    its outputs. Errors: TargetsError, see `complain`.
    """
    probe = train.take(_probe(train.labels, _OF_ALL))
    logits = read(teacher.answer(probe))
    if not np.isfinite(logits).all():
        return None  # labelling names the sample
    verdict = judge(_confusion(logits, probe.labels, len(classes)))
    if not verdict.sound:
        raise complain(teacher, verdict, classes, None if verdict.order else _better(teacher, probe, classes, read))
    if teacher.fit.section.scale != 1:
        return None
    few = train.take(_probe(train.labels, _OF_ALL // 4))
    return _surer(teacher, few, read)


def agreement(targets: TargetRows, train: Samples, classes: Sequence[str], read: Read) -> tuple[float, Verdict]:
    """The fraction of the training labels that targets agree with, and the verdict on them."""
    confusion = np.zeros((len(classes), len(classes)), np.int64)
    for begin in range(0, len(train), _BLOCK):
        rows = slice(begin, begin + _BLOCK)
        confusion += _confusion(read(np.asarray(targets[rows, 0])), train.labels[rows], len(classes))
    return float(np.trace(confusion) / confusion.sum()), judge(confusion)


def complain(
    teacher: Teacher, verdict: Verdict, classes: Sequence[str], better: tuple[str, Verdict] | None
) -> TargetsError:
    """What is wrong with a teacher, what is likely the reason, and what to set."""
    said = (
        f"{teacher.what} is right on {100 * verdict.right:.1f} % of {verdict.n:,} labelled training images "
        f"(chance: {100 * verdict.chance:.1f} %)"
    )
    if verdict.order:
        said += f"; its classes are in another order, in which it is right on {100 * verdict.ordered:.1f} %: set "
        said += _classes(teacher, verdict.order, classes)
    elif better:
        settings, found = better
        said += f"; it is right on {100 * found.ordered:.1f} % with teacher.preprocessing: {settings}"
        said += f" and {_classes(teacher, found.order, classes)}" if found.order else ""
    else:
        said += (
            "; it gets pixels of 0 to 255, RGB: likely it expects another scale, mean or std, layout or channel order, "
            "or has another order of classes (teacher.preprocessing)"
        )
    return TargetsError(f"{said}; teacher.check = false goes on all the same")


def _classes(teacher: Teacher, order: tuple[int, ...], classes: Sequence[str]) -> str:
    """The setting that names the teacher's outputs in its own order."""
    columns, named = teacher.fit.columns, teacher.fit.section.classes
    names = list(named or classes)
    for number, place in enumerate(order):
        names[place if columns is None else columns[place]] = classes[number]
    listed = ", ".join(f'"{name}"' for name in names)
    return f"teacher.preprocessing.classes = [{listed}]"


def _better(teacher: Teacher, probe: Samples, classes: Sequence[str], read: Read) -> tuple[str, Verdict] | None:
    """The usual preprocessing with which the teacher knows the images, if there is one."""
    tried = _usual_answers(teacher, probe, read)
    found = [(said, judge(_confusion(logits, probe.labels, len(classes)))) for said, logits in tried]
    best = max(found, key=lambda one: one[1].ordered, default=None)
    return best if best and best[1].good else None


def _surer(teacher: Teacher, probe: Samples, read: Read) -> str | None:
    """A warning if the labels are far likelier to the teacher with a usual preprocessing than without."""
    now = read(teacher.answer(probe))
    found = [(_surprise(logits, probe.labels), said) for said, logits in _usual_answers(teacher, probe, read)]
    best, before = min(found, default=(np.inf, "")), _surprise(now, probe.labels)
    if before - best[0] < _SURPRISE or best[0] > before / 2:
        return None
    return (
        f"{teacher.what} gets pixels of 0 to 255; with teacher.preprocessing: {best[1]} its cross-entropy on "
        f"{len(probe):,} labelled training images is {best[0]:.3g} instead of {before:.3g}: was it trained so?"
    )


def _usual_answers(teacher: Teacher, probe: Samples, read: Read) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """(what a recipe says, the finite answers) with each of the usual preprocessings that fit the teacher."""
    fit, channels = teacher.fit, teacher.fit.input_shape[2]
    try:
        theirs = {"scale": 1 / 255, "mean": fit.section.mean, "std": fit.section.std}
        beside = [] if fit.section.untouched else [("scale = '1/255' beside what is set", theirs)]
        for said, changes in (*beside, *_USUAL):
            plain = {"scale": 1.0, "mean": 0.0, "std": 1.0, "channel_order": "rgb", **changes}
            if any(isinstance(value, tuple) and len(value) not in (1, channels) for value in plain.values()):
                continue
            teacher.fit = fit.with_preprocessing(**plain)
            logits = read(teacher.answer(probe))
            if np.isfinite(logits).all():
                yield said, logits
    finally:
        teacher.fit = fit


def _surprise(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """The mean of -log softmax(logits)[label], in nats."""
    wide = logits.astype(np.float64)
    wide -= wide.max(axis=-1, keepdims=True)
    return float(np.mean(np.log(np.exp(wide).sum(axis=-1)) - wide[np.arange(len(labels)), labels]))


def _confusion(logits: NDArray[np.float32], labels: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    pairs = labels * classes + logits.argmax(axis=-1)
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def _probe(labels: NDArray[np.int64], of_all: int) -> NDArray[np.int64]:
    """Some images of every class, spread over the data, as far as there are so many."""
    kinds = np.unique(labels)
    most = max(1, min(_OF_EACH_CLASS, of_all // len(kinds)))
    places = [np.flatnonzero(labels == kind) for kind in kinds]
    return np.sort(
        np.concatenate([one[np.linspace(0, len(one) - 1, min(most, len(one))).astype(int)] for one in places])
    )
